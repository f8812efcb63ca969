"""The report's figures once more: from the shared rows of a task alone, or from the predictions of its fits."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lib import shards, sharing
from lib.comparison import Fit, compare
from lib.evaluation import evaluate
from lib.predictions import Predictions

Read = Callable[[str, str, int], Predictions]  # of a fit's path, a part and the number of classes
_WITHOUT_INTERVALS = {"low", "high", "left_out", "reason", "replicates", "slope_replicates"}


def recomputed(shared: Path, results: Path) -> Iterator[tuple[str, bool]]:
    """(file, whether it comes out equal) of each evaluate and compare file of the task that `shared` is named after.

    The published files say which settings they were made with; every value, interval and curve is recomputed.
    """
    rows = shards.read_parquet(shared)

    def read(fit: str, part: str, classes: int) -> Predictions:
        return sharing.predictions_of(rows, fit, part, classes)

    for file, published, again in figures(read, results, shared.stem):
        yield file, again == published


def figures(read: Read, results: Path, task: str, intervals: bool = True) -> Iterator[tuple[str, Any, Any]]:
    """(file, what it says, what comes out) of each evaluate and compare file of a task.

    Without `intervals` both are given without what replicates decide: the points of all measures and curves are left.
    """
    published = shards.read_json(results / "compare" / f"{task}.json")
    fits, part = [], published["part"]
    for facts in _fits(published):
        path = f"{facts['model']}/{facts['size']}-{facts['seed']}"
        metrics = shards.read_json(results / "evaluate" / task / f"{path}.json")
        again = _evaluated(read, path, metrics, intervals)
        yield f"evaluate/{task}/{path}.json", _shown(metrics, intervals), _shown(again, intervals)
        fits.append(Fit(facts, read(path, part, published["task"]["classes"]), again["parts"][part]))
    settings = {key: published[key] for key in ("reference", "replicates", "seed")} | _fewer(intervals)
    settings |= {"headline": part, "workers": 1}
    table = compare(fits, published["task"], metrics["settings"]["min_cell"], settings)
    yield f"compare/{task}.json", _shown(published, intervals), _shown(_as_read(table), intervals)


def _fits(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in table["rows"]:
        facts = {key: row[key] for key in ("model", "kind", "size", "control")}
        yield from (facts | {"seed": seed["seed"]} for seed in row["seeds"])


def _evaluated(read: Read, fit: str, metrics: dict[str, Any], intervals: bool) -> Any:
    classes = metrics["task"]["classes"]
    names = [part for part in metrics["parts"] if part != "temporal_test_unseen"]
    parts = [(part, read(fit, part, classes)) for part in names]
    settings = metrics["settings"] | _fewer(intervals) | {"task": metrics["task"], "workers": 1}
    return _as_read(evaluate(parts, settings))


def _fewer(intervals: bool) -> dict[str, int]:
    return {} if intervals else {"replicates": 0, "slope_replicates": 0}


def _shown(value: Any, intervals: bool) -> Any:
    """`value`, or what of it no replicate decides."""
    if intervals:
        return value
    if isinstance(value, dict):
        return {key: _shown(one, False) for key, one in value.items() if key not in _WITHOUT_INTERVALS}
    return [_shown(one, False) for one in value] if isinstance(value, list) else value


def _as_read(value: Any) -> Any:
    return json.loads(json.dumps(value))
