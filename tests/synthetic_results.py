"""Made-up results of a run, by the real evaluate and compare: what figures and the report are tested on."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import compare
import evaluate
from lib import shards, stage
from lib.flow import cohort_flow

TASKS = {
    "readmission": {
        "name": "readmission",
        "title": "Readmission within 30 days",
        "kind": "binary",
        "classes": 2,
        "class_names": ["no", "yes"],
        "ordered": False,
    },
    "length_of_stay": {
        "name": "length_of_stay",
        "title": "Length of stay",
        "kind": "bins",
        "classes": 4,
        "class_names": ["0-2", "3", "4-5", ">5"],
        "ordered": True,
    },
    "comorbidity": {
        "name": "comorbidity",
        "title": "Charlson comorbidity index",
        "kind": "bins",
        "classes": 5,
        "class_names": ["0", "1-2", "3-4", "5-7", ">7"],
        "ordered": True,
    },
    "ward": {
        "name": "ward",
        "title": "Next ward <script>",
        "kind": "classes",
        "classes": 3,
        "class_names": ["A & B", "C", "<D>"],
        "ordered": False,
    },
}
SIGNAL = {"tiny_bert": 0.9, "tfidf": 0.5, "structured": 0.3, "shuffled": 0.0}
KINDS = {"tiny_bert": "transformer", "structured": "structured"}
SHARES = {2: [0.85, 0.15], 3: [0.5, 0.3, 0.2], 4: [0.4, 0.18, 0.17, 0.25], 5: [0.66, 0.22, 0.07, 0.04, 0.01]}


def fits(sizes: tuple[str, ...] = ("all",), seeds: tuple[int, ...] = (0, 1)) -> list[dict[str, Any]]:
    """As the plan describes them: models with every seed, fixed baselines with the first."""
    out = []
    for model in SIGNAL:
        for size in sizes:
            for seed in seeds if model in ("tiny_bert", "shuffled") or size != "all" else seeds[:1]:
                kind = KINDS.get(model, "tfidf")
                control = model == "shuffled"
                out.append({"model": model, "kind": kind, "size": size, "seed": seed, "control": control})
    return out


def truth(task: dict[str, Any], rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The risk of each stay, (rows, K), and the label drawn from it."""
    rng = np.random.default_rng([seed, task["classes"]])
    place = np.arange(task["classes"]) - (task["classes"] - 1) / 2
    z = np.log(SHARES[task["classes"]]) + 1.2 * rng.normal(size=(rows, 1)) * place
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = (rng.random((rows, 1)) > p.cumsum(axis=1)).sum(axis=1)
    return p, np.minimum(label, task["classes"] - 1)


def predictions(path: Path, task: dict[str, Any], fit: dict[str, Any], rows: int, part: int = 0) -> Path:
    """A prediction file whose probabilities mix the true risk with a permuted one."""
    p, label = truth(task, rows, part)
    rng = np.random.default_rng([fit["seed"], part, len(fit["model"])])
    share = SIGNAL[fit["model"]] * (1 if fit["size"] == "all" else 0.6)
    mixed = np.log(p) * share + np.log(p[rng.permutation(rows)]) * (1 - share)
    told = np.exp(mixed) / np.exp(mixed).sum(axis=1, keepdims=True)
    ids = np.arange(rows) + 10_000 * part
    columns = {
        "visit_id": ids,
        "note_id": ids + 1,
        "person_id": ids // 2,
        "index_time": pa.array([0] * rows, pa.timestamp("us")),
        "seen": np.zeros(rows, dtype=bool),
        "label": label,
    }
    table = pa.table(columns | {f"p_{k}": told[:, k] for k in range(task["classes"])})
    shards.write_parquet(path, table.schema, [table])
    return path


def oracle(path: Path, rows: int, part: int = 0, **changes: Any) -> Path:
    """The oracle of the binary and the ordered task; `changes` replaces columns of the first."""
    tables = []
    for name in ("length_of_stay", "readmission"):
        p, label = truth(TASKS[name], rows, part)
        columns = {"task": [name] * rows, "visit_id": np.arange(rows) + 10_000 * part, "p": p.tolist(), "label": label}
        tables.append(pa.table(columns | (changes if name == "readmission" else {})))
    table = pa.concat_tables(tables)
    shards.write_parquet(path, table.schema, [table])
    return path


def results(folder: Path, name: str, rows: int = 600, described: list[dict[str, Any]] | None = None,
            min_cell: int = 5, replicates: int = 30) -> dict[str, Any]:  # fmt: skip
    """Files of one task by the names that figures takes: metrics, histories, table, flow; and the predictions."""
    task, described = TASKS[name], described or fits()
    facts = {key: task[key] for key in ("kind", "classes", "class_names", "ordered")}
    own = {"replicates": replicates, "slope_replicates": replicates // 2, "seed": 7, "workers": 1}
    metrics, told = [], []
    for fit in described:
        place = folder / "predict" / name / fit["model"] / f"{fit['size']}-{fit['seed']}"
        parts = {part: predictions(place / f"{part}.parquet", task, fit, rows, i)
                 for i, part in enumerate(("calibration", "test"))}  # fmt: skip
        out = folder / "evaluate" / name / fit["model"] / f"{fit['size']}-{fit['seed']}.json"
        settings = own | {"task": facts, "parts": list(parts), "target_sensitivity": 0.8, "min_cell": min_cell}
        evaluate.main(stage.Job(settings, {"predictions": list(parts.values()), "metrics": out}))
        metrics.append(out)
        told.append(parts["test"])
    table, csv = folder / "compare" / f"{name}.json", folder / "compare" / f"{name}.csv"
    settings = own | {"task": task, "fits": described, "headline": "test", "reference": "tfidf"}
    compare.main(stage.Job(settings, {"predictions": told, "metrics": metrics, "table": table, "csv": csv}))
    return {
        "metrics": metrics,
        "histories": [history(folder, name, fit) for fit in described if fit["kind"] == "transformer"],
        "table": table,
        "flow": flow(folder / "flow" / f"{name}.json", task),
        "predictions": told,
    }


def history(folder: Path, name: str, fit: dict[str, Any]) -> Path:
    """Ten evaluations that get better, then worse."""
    rng = np.random.default_rng(fit["seed"])
    evaluations = [
        {
            "step": 20 * i,
            "epoch": i / 2,
            "train_loss": 0.7 * 0.88**i,
            "tuning_loss": 0.45 + 0.006 * (i - 6) ** 2 + 0.005 * rng.normal(),
            "tuning_auroc": 0.72 - 0.006 * (i - 6) ** 2 + 0.004 * rng.normal(),
        }
        for i in range(1, 11)
    ]
    best = max(evaluations, key=lambda e: e["tuning_auroc"])
    path = folder / "finetune" / name / fit["model"] / f"{fit['size']}-{fit['seed']}" / "history.json"
    steps = {"planned": 240, "taken": 200}
    shards.write_json(
        path, {"metric": "auroc", "evaluations": evaluations, "best": best, "steps": steps, "stopped_early": True}
    )
    return path


def flow(path: Path, task: dict[str, Any]) -> Path:
    """A flow of 12,345 made-up stays by the real thing, with small cells hidden."""
    rng = np.random.default_rng(task["classes"])
    fallen = {
        "note": {"late_note": 500, "no_note": 1000},
        "text": {"duplicate": 138, "empty": 3, "short": 4},
        "label": {"died_in_hospital": 300, "excluded_department": 500, "follow_up_incomplete": 600,
                  "left_against_advice": 100, "newborn": 300},
        "gap": {"temporal_gap": 200},
    }  # fmt: skip
    parts = {"train": 6000, "tuning": 700, "calibration": 700, "test": 800, "temporal_test": 500}
    told = [(step, why, None) for step, reasons in fallen.items() for why, n in reasons.items() for _ in range(n)]
    told += [(None, None, part) for part, n in parts.items() for _ in range(n)]
    step, reason, part = zip(*told, strict=True)
    size = len(told)
    label = rng.choice(task["classes"], p=SHARES[task["classes"]], size=size)
    without = np.array([s in ("note", "label") for s in step])
    table = pa.table(
        {
            "window": rng.choice(["2019", "2020", "2021"], p=[0.499, 0.499, 0.002], size=size),
            "person_id": rng.integers(0, 9000, size),
            "step": step,
            "reason": reason,
            "part": part,
            "notes": np.where([s == "note" for s in step], 0, rng.integers(1, 3, size)),
            "label": pa.array(label, pa.int64(), mask=without),
            "group_sex": np.where(rng.random(size) < np.where(without, 0.6, 0.5), "female", "male"),
            "group_ward": rng.choice(["A & B", "C", "<D>"], p=[0.6, 0.39, 0.01], size=size),
            "feature_age": rng.normal(60 + 5 * without, 15),
        }
    )
    windows, opened = ["2019", "2020", "2021"], list(parts)
    flow = cohort_flow(table, task["name"], task["classes"], 5, opened, windows)
    shards.write_json(path, flow)
    return path


def certificate(path: Path, name: str) -> Path:
    """A leakage certificate with one check of each verdict that can be published, and a hidden number."""
    checks = [
        {"check": "patients in train and test", "value": 0, "limit": 0, "verdict": "pass", "detail": "none shared"},
        {"check": "notes filed after the index time", "value": None, "limit": 0, "verdict": "not verifiable",
         "detail": "10 of 10 notes have no time"},
        {"check": "patients of the temporal test seen in training", "value": 12, "limit": None, "verdict": "reported",
         "detail": "of 80; figures are given for both"},
        {"check": "near-duplicates of another patient's training text in test", "value": None, "limit": 0.01,
         "verdict": "pass", "detail": "hidden of 1200"},
        {"check": "highest AUROC of a single word of the training texts", "value": 0.6123, "limit": 0.75,
         "verdict": "pass", "detail": "of 1200 words"},
    ]  # fmt: skip
    shards.write_json(path, {"task": name, "checks": checks, "verdict": "pass"})
    return path
