"""Logistic regression over words or over features: what a language model has to beat.

Two kinds. `tfidf` reads the notes as counts of words and word pairs; `structured` reads the cohort's `feature_*`
columns, medians for what is missing, with a column that says so. Everything fitted (vocabulary, weights of words,
medians, scales, coefficients) is fitted on training rows; only the strength of the penalty is chosen on the tuning
part, by AUROC. With `shuffle_labels` the same steps run on permuted labels: a score far from .5 then shows a leak.

A fitted baseline is `model.json` and a safetensors file. `predict` needs only those and numpy, and computes every row
by itself, so that neither the batch size nor a library's version moves a probability.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lib import shards, subsets, terms
from lib.stage import StageError

ROWS = 1_000  # notes weighted together when predicting: bounds memory, changes nothing
MAX_ITERATIONS = 1_000


@dataclass
class Fitted:
    """A fitted baseline: `model` (JSON), `arrays` (float64, by name) and `facts` for its manifest."""

    model: dict[str, Any]
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def fit(train: pa.Table, tuning: pa.Table, settings: dict[str, Any]) -> Fitted:
    """Fit on `train`, choose C on `tuning`.

    settings: kind "tfidf" | "structured", task {kind, classes, class_names}, size "all" | int, seed, tfidf {ngrams,
    min_patients, max_terms}, c_grid, shuffle_labels. Raises StageError on a part that cannot be learnt from.
    """
    task = settings["task"]
    train = subsets.chosen(train, settings["size"], settings["seed"])
    labels = {"train": _labels(train, "train", task), "tuning": _labels(tuning, "tuning", task)}
    if settings.get("shuffle_labels"):
        for i, part in enumerate(("train", "tuning")):
            labels[part] = np.random.default_rng([settings["seed"], i]).permutation(labels[part])
    space = _fit_words(train, settings["tfidf"]) if settings["kind"] == "tfidf" else _fit_features(train)
    model: dict[str, Any] = {"kind": settings["kind"], "classes": task["classes"], "class_names": task["class_names"]}
    model |= space.model
    inputs = [_sparse(transform(model, space.arrays, table)) for table in (train, tuning)]
    chosen, tried = _choose(inputs, labels, settings["c_grid"], task["classes"])
    grid = [step["C"] for step in tried]
    edge = {0: "lower", len(grid) - 1: "upper"}.get(grid.index(chosen["C"])) if len(grid) > 1 else None
    arrays = space.arrays | {"coefficients": chosen["coefficients"], "intercepts": chosen["intercepts"]}
    model["fitted_classes"] = chosen["fitted_classes"]
    facts = space.facts | {
        "kind": settings["kind"],
        "size": settings["size"],
        "seed": settings["seed"],
        "shuffled_labels": bool(settings.get("shuffle_labels")),
        "C": chosen["C"],
        "C_at_edge_of_grid": edge,
        "converged": chosen["converged"],
        "persons": _persons(train),
        "tuning": {
            "rows": tuning.num_rows,
            "persons": _persons(tuning),
            "metric": "auroc" if task["classes"] == 2 else "auroc_ovr_macro",
            "value": chosen["auroc"],
            "grid": [{"C": step["C"], "auroc": step["auroc"]} for step in tried],
        },
    }
    return Fitted(model, arrays, facts | {"rows": train.num_rows})


def save(fitted: Fitted, model: Path, weights: Path, manifest: Path) -> None:
    """Write the three files, the manifest last; equal fits give equal bytes."""
    from safetensors.numpy import save_file

    shards.write_json(model, fitted.model | {"weights": weights.name})
    with shards.atomic(weights) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in sorted(fitted.arrays.items())}, temporary)
    facts = dict(fitted.facts)
    shards.write_json(manifest, shards.manifest([model, weights], facts.pop("rows"), **facts))


def predict(model_dir: Path, part: pa.Table) -> np.ndarray:
    """Probabilities (rows, classes) float64 of a dataset part, by the `model.json` and weights in `model_dir`.

    A class without a training row gets 0. Raises StageError if a column that the model reads is not in the part.
    """
    from safetensors.numpy import load_file

    model = shards.read_json(Path(model_dir) / "model.json")
    arrays = load_file(Path(model_dir) / model["weights"])
    vocabulary = terms.Vocabulary.of(model["terms"]) if model["kind"] == "tfidf" else None
    blocks = [
        _probabilities(model, arrays, transform(model, arrays, part.slice(start, ROWS), vocabulary))
        for start in range(0, part.num_rows, ROWS)
    ]
    return np.concatenate(blocks) if blocks else np.empty((0, model["classes"]))


@dataclass
class Cells:
    """A sparse matrix by its cells, sorted by (row, column): the one form in which rows meet coefficients."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]


def transform(
    model: dict[str, Any], arrays: dict[str, np.ndarray], part: pa.Table, vocabulary: terms.Vocabulary | None = None
) -> Cells:
    """The rows of a part in the model's space of terms or standardised features."""
    if model["kind"] == "structured":
        return _standardise(model, arrays, part)
    vocabulary = vocabulary or terms.Vocabulary.of(model["terms"])
    rows, columns, tallies = terms.counts(vocabulary, terms.number(_texts(part), vocabulary.words))
    values = terms.weights(rows, columns, tallies, arrays["idf"])
    return Cells(rows, columns, values, (part.num_rows, len(vocabulary.terms)))


def _fit_words(train: pa.Table, settings: dict[str, Any]) -> Fitted:
    low, high = settings["ngrams"]
    if not 1 <= low <= high <= 3:
        raise StageError(f"tfidf.ngrams {settings['ngrams']}: give two numbers from 1 to 3, the smaller first")
    people = train.column("person_id").combine_chunks().dictionary_encode()
    persons = people.indices.to_numpy().astype(np.int64)
    vocabulary = terms.learn(_texts(train), persons, (low, high), settings["min_patients"], settings["max_terms"])
    if not vocabulary.terms:
        raise StageError(
            f"tfidf: no term is in the notes of {settings['min_patients']} persons among {train.num_rows} training"
            " rows; lower tfidf.min_patients or train on more rows"
        )
    _, columns, _ = terms.counts(vocabulary, terms.number(_texts(train), vocabulary.words))
    idf = terms.inverse_document_frequency(columns, train.num_rows, len(vocabulary.terms))
    return Fitted({"terms": vocabulary.terms}, {"idf": idf}, {"terms": len(vocabulary.terms)})


def _fit_features(train: pa.Table) -> Fitted:
    names = sorted(name for name in train.column_names if name.startswith("feature_"))
    raw = _features(train, names)
    missing = np.isnan(raw)
    kept = [j for j in range(len(names)) if not missing[:, j].all()]
    if not kept:
        raise StageError(f"structured: none of {len(names)} feature_* columns has a value in the training part")
    names, raw, missing = [names[j] for j in kept], raw[:, kept], missing[:, kept]
    medians = np.nanmedian(raw, axis=0)
    flagged = [j for j in range(len(names)) if missing[:, j].any()]
    filled = np.hstack([np.where(missing, medians, raw), missing[:, flagged].astype(float)])
    spread = filled.std(axis=0)
    arrays = {"medians": medians, "means": filled.mean(axis=0), "scales": np.where(spread > 0, spread, 1.0)}
    model = {"features": names, "missing_indicators": [names[j] for j in flagged]}
    return Fitted(model, arrays, {"features": names, "missing_indicators": len(flagged)})


def _standardise(model: dict[str, Any], arrays: dict[str, np.ndarray], part: pa.Table) -> Cells:
    names = model["features"]
    raw = _features(part, names)
    missing = np.isnan(raw)
    flagged = [names.index(name) for name in model["missing_indicators"]]
    filled = np.hstack([np.where(missing, arrays["medians"], raw), missing[:, flagged].astype(float)])
    values = (filled - arrays["means"]) / arrays["scales"]
    rows, columns = np.indices(values.shape)
    return Cells(rows.ravel(), columns.ravel(), values.ravel(), values.shape)


def _features(part: pa.Table, names: list[str]) -> np.ndarray:
    """(rows, names) float64, NaN where missing."""
    absent = sorted(set(names) - set(part.column_names))
    if absent:
        raise StageError(f"the part has no column {', '.join(absent)}, which the structured baseline reads")
    values = np.empty((part.num_rows, len(names)))
    for j, name in enumerate(names):
        values[:, j] = part.column(name).cast(pa.float64()).to_numpy()
        infinite = int(np.isinf(values[:, j]).sum())
        if infinite:
            raise StageError(f"{name}: {infinite} infinite values; give null where a value is unknown")
    return values


def _choose(
    inputs: list[Any], labels: dict[str, np.ndarray], grid: list[float], classes: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Fit one model for each C, in ascending order; of equal tuning AUROCs the smaller C wins."""
    from sklearn.linear_model import LogisticRegression

    tried = []
    for c in sorted(grid):
        regression = LogisticRegression(C=c, max_iter=MAX_ITERATIONS).fit(inputs[0], labels["train"])
        step: dict[str, Any] = {
            "C": c,
            "coefficients": np.asarray(regression.coef_, dtype=np.float64),
            "intercepts": np.asarray(regression.intercept_, dtype=np.float64),
            "fitted_classes": [int(k) for k in regression.classes_],
            "converged": bool(regression.n_iter_.max() < MAX_ITERATIONS),
        }
        scores = np.zeros((len(labels["tuning"]), classes))
        scores[:, step["fitted_classes"]] = regression.predict_proba(inputs[1])
        step["auroc"] = _auroc(labels["tuning"], scores)
        tried.append(step)
    return max(tried, key=lambda step: (step["auroc"], -step["C"])), tried


def _auroc(labels: np.ndarray, p: np.ndarray) -> float:
    """AUROC of the positive class, or the mean over the classes that occur of one against the rest."""
    from sklearn.metrics import roc_auc_score

    which = [1] if p.shape[1] == 2 else [int(k) for k in np.unique(labels)]
    return float(np.mean([roc_auc_score(labels == k, p[:, k]) for k in which]))


def _probabilities(model: dict[str, Any], arrays: dict[str, np.ndarray], cells: Cells) -> np.ndarray:
    """Sigmoid of one score, or softmax of one a class; each score is summed over one row, in column order."""
    coefficients, intercepts = arrays["coefficients"], arrays["intercepts"]
    scores = np.stack(
        [
            np.bincount(cells.rows, weights=cells.values * line[cells.columns], minlength=cells.shape[0]) + offset
            for line, offset in zip(coefficients, intercepts, strict=True)
        ],
        axis=1,
    )
    p = np.zeros((cells.shape[0], model["classes"]))
    if scores.shape[1] == 1:
        small = np.exp(-np.abs(scores[:, 0]))
        positive = np.where(scores[:, 0] >= 0, 1 / (1 + small), small / (1 + small))
        p[:, model["fitted_classes"]] = np.stack([1 - positive, positive], axis=1)
        return p
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    total = np.zeros(len(raised))
    for k in range(raised.shape[1]):
        total += raised[:, k]
    p[:, model["fitted_classes"]] = raised / total[:, None]
    return p


def _labels(part: pa.Table, name: str, task: dict[str, Any]) -> np.ndarray:
    """The part's labels, (rows,) int64; StageError if nothing can be learnt or chosen from them."""
    labels = np.asarray(part.column("label").to_numpy(), dtype=np.int64)
    if not len(labels):
        raise StageError(f"the {name} part has no rows; widen the windows or the part's share")
    if labels.min() < 0 or labels.max() >= task["classes"]:
        raise StageError(f"the {name} part has labels outside 0..{task['classes'] - 1}")
    seen = np.unique(labels)
    if len(seen) < 2:
        only = task["class_names"][int(seen[0])]
        raise StageError(
            f"all {len(labels)} rows of the {name} part are of class '{only}', 0 of any other; a classifier needs two"
        )
    return labels


def _texts(part: pa.Table) -> Iterator[str]:
    if "text" not in part.column_names:
        raise StageError("the part has no column text, which the tfidf baseline reads: use the encoding text")
    for chunk in part.column("text").chunks:
        for start in range(0, len(chunk), ROWS):
            yield from chunk.slice(start, ROWS).to_pylist()


def _persons(part: pa.Table) -> int:
    return len(part.column("person_id").unique())


def _sparse(cells: Cells) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((cells.values, (cells.rows, cells.columns)), shape=cells.shape)
