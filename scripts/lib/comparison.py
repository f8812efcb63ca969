"""Models side by side on the same rows: means over seeds, intervals over patients, paired differences.

Two sources of spread answer different questions and are kept apart: the standard deviation over seeds (would another
training give this?) and the interval over patients (would another hospital year?). Within a replicate every fit is
scored on the same drawn patients; its AUROC is averaged over the model's seeds, and the difference to the reference is
taken before the interval is. So the interval belongs to the mean over seeds that stands beside it, never to the best
seed, and a difference is judged by its own interval, not by the overlap of two.

A control's seeds are permutations of the labels. What a permuted model ranks by is a direction drawn at random, which
may lean to either side of the truth whatever the patients; its replicates draw permutations as well as patients.

AUROC is one-vs-rest averaged over classes where there are several: the classes with enough rows inside and outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib import bootstrap
from lib.disclosure import suppress
from lib.estimates import measure, min_events, no_interval, nothing, number, too_few
from lib.metrics import Ranking
from lib.predictions import Predictions, by_content, require_same_rows
from lib.stage import StageError

Array = NDArray[np.float64]

AGREE = 1e-5  # relative; evaluate writes six digits
BESIDE = ("auprc", "brier_scaled", "log_loss", "oe_ratio", "calibration_intercept", "calibration_slope", "ici")
COLUMNS = (
    *("task", "part", "model", "kind", "size", "seeds", "n_rows", "n_persons", "prevalence"),
    *("auroc", "auroc_low", "auroc_high", "auroc_sd"),
    *("reference", "difference", "difference_low", "difference_high"),
    *BESIDE,
)


@dataclass(frozen=True)
class Fit:
    """One trained model: what it is (model, kind, size, seed), its predictions and its evaluate block."""

    facts: Mapping[str, Any]
    rows: Predictions
    block: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.facts['model']}/{self.facts['size']}-{self.facts['seed']}"


def compare(fits: Sequence[Fit], task: Mapping[str, Any], min_cell: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The table of one task. `settings`: headline, reference (a model's name or None), replicates, seed, workers.

    StageError: no fit, a fit given twice, fits on different rows, an AUROC that is not the one evaluate wrote.
    """
    if not fits:
        raise StageError("no fits to compare; give at least one with its prediction and metrics files")
    names = [fit.name for fit in fits]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise StageError(f"fits given twice: {', '.join(repeated)}")
    first = fits[0]
    for fit in fits[1:]:
        require_same_rows(first.rows, fit.rows, first.name, fit.name)
    fits = [replace(fit, rows=rows) for fit, rows in zip(fits, by_content([fit.rows for fit in fits]), strict=True)]
    first = fits[0]
    scored, refused = _scored_classes(task, first.rows, min_events(min_cell))
    rankings = [[Ranking(f.rows.label == k, f.rows.p[:, k], first.rows.person) for k in scored] for f in fits]

    def aurocs(counts: Array) -> dict[str, Array]:
        each = [np.mean([r.cumulate(counts).auroc() for r in ranked], axis=0) for ranked in rankings]
        return {"auroc": np.stack(each, axis=1)}  # (c, fits)

    point, samples = np.full(len(fits), np.nan), np.empty((0, len(fits)))
    without = no_interval(first.rows.persons, int(settings["replicates"]), min_events(min_cell))
    if scored:
        point = aurocs(np.ones((1, first.rows.persons)))["auroc"][0]
    if scored and not without:
        persons, n, replicates = first.rows.persons, first.rows.rows, int(settings["replicates"])
        workers = int(settings["workers"])
        samples = bootstrap.replicate(aurocs, persons, n, replicates, int(settings["seed"]), workers)["auroc"]
    for fit, value in zip(fits, point, strict=True):
        _check_same(fit, value)

    why = None if scored else refused or "no class has enough rows inside and outside it"

    def estimate(value: float, replicates: Array) -> dict[str, Any]:
        return nothing(why) if why else measure(value, None if without else replicates, "undefined", without)

    def drawn(members: list[int]) -> Array:
        """(replicates,): the mean over a model's seeds in each replicate, over a control's drawn permutations."""
        if not fits[members[0]].facts.get("control"):
            return samples[:, members].mean(axis=1)
        shares = [bootstrap.draw(len(members), int(settings["seed"]) + 1, b) for b in range(len(samples))]
        return (samples[:, members] * np.reshape(shares, (-1, len(members)))).sum(axis=1) / len(members)

    reference = settings["reference"]
    rows, models = [], _models(fits)
    for (model, size), members in models.items():
        against = models.get((reference, size), [])
        if model == reference or not against:
            difference = nothing(_no_difference(model, reference))
        else:
            paired = drawn(members) - drawn(against)
            difference = estimate(point[members].mean() - point[against].mean(), paired)
        rows.append(
            {
                "model": model,
                "kind": fits[members[0]].facts["kind"],
                "size": size,
                "control": bool(fits[members[0]].facts.get("control", False)),
                "seeds": [{"seed": fits[i].facts["seed"], "auroc": number(point[i])} for i in members],
                "auroc": estimate(point[members].mean(), drawn(members)),
                "auroc_sd": _spread(point[members], why),
                "difference": difference,
            }
            | {name: _beside([fits[i].block for i in members], name) for name in BESIDE}
        )
    shown = suppress(np.bincount(first.rows.label, minlength=first.rows.classes).tolist(), min_cell)
    binary, open_ = task["kind"] == "binary", None not in shown
    return {
        "task": dict(task),
        "part": settings["headline"],
        "metric": "auroc" if binary else "auroc, one-vs-rest, mean over macro_classes",
        "macro_classes": None if binary else [task["class_names"][k] for k in scored],
        "reference": reference,
        "replicates": int(settings["replicates"]),
        "seed": int(settings["seed"]),
        "n_rows": suppress([first.rows.rows], min_cell)[0],
        "n_persons": suppress([first.rows.persons], min_cell)[0],
        "n_events": dict(zip(task["class_names"], shown, strict=True)),
        "prevalence": number(np.mean(first.rows.label == 1)) if binary and open_ and first.rows.rows else None,
        "rows": rows,
    }


def _scored_classes(task: Mapping[str, Any], rows: Predictions, least: int) -> tuple[list[int], str | None]:
    """Classes whose one-vs-rest AUROC is taken, and why a binary task has none."""
    classes = [1] if task["kind"] == "binary" else range(rows.classes)
    reasons = {k: too_few(rows.label == k, least) for k in classes}
    return [k for k, why in reasons.items() if why is None], reasons.get(1) if task["kind"] == "binary" else None


def _models(fits: Sequence[Fit]) -> dict[tuple[str, Any], list[int]]:
    """(model, size) -> positions of its seeds, in the order given."""
    out: dict[tuple[str, Any], list[int]] = {}
    for position, fit in enumerate(fits):
        out.setdefault((fit.facts["model"], fit.facts["size"]), []).append(position)
    return out


def _no_difference(model: str, reference: str | None) -> str:
    if reference is None:
        return "no reference"
    return "the reference itself" if model == reference else "no reference of this training size"


def _spread(points: Array, why: str | None) -> dict[str, Any]:
    """Sample standard deviation over seeds (n - 1)."""
    if why or len(points) < 2:
        return {"value": None, "reason": why or "one seed"}
    return {"value": number(points.std(ddof=1))}


def _beside(blocks: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Mean over seeds of a measure that evaluate wrote; None where a seed has none or the task has no such measure."""
    values = [block.get(name, {}).get("value") for block in blocks]
    return None if None in values else number(float(np.mean(values)))


def _check_same(fit: Fit, value: float) -> None:
    written = fit.block["auroc"]["value"]
    here = number(value)
    if (written is None) != (here is None) or (here is not None and abs(here - written) > AGREE * abs(written)):
        raise StageError(
            f"{fit.name}: AUROC of the predictions is {here}, its metrics file says {written}; evaluate it again"
        )


def flat(table: Mapping[str, Any]) -> list[list[Any]]:
    """COLUMNS and one list a row, for the CSV; None is an empty cell."""
    out: list[list[Any]] = [list(COLUMNS)]
    for row in table["rows"]:
        cells = [table["task"].get("name"), table["part"], row["model"], row["kind"], row["size"], len(row["seeds"])]
        cells += [table["n_rows"], table["n_persons"], table["prevalence"]]
        cells += [row["auroc"][key] for key in ("value", "low", "high")] + [row["auroc_sd"]["value"]]
        cells += [table["reference"]] + [row["difference"][key] for key in ("value", "low", "high")]
        out.append(cells + [row[name] for name in BESIDE])
    return out
