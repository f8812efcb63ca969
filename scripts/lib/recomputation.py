"""The report's figures once more, from the shared rows of a task alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import shards, sharing
from lib.comparison import Fit, compare
from lib.evaluation import evaluate


def recomputed(shared: Path, results: Path) -> Iterator[tuple[str, bool]]:
    """(file, whether it comes out equal) of each evaluate and compare file of the task that `shared` is named after.

    The published files say which settings they were made with; every value, interval and curve is recomputed.
    """
    rows, name = shards.read_parquet(shared), shared.stem
    published = shards.read_json(results / "compare" / f"{name}.json")
    fits = []
    for facts in _fits(published):
        path = f"{facts['model']}/{facts['size']}-{facts['seed']}"
        metrics = shards.read_json(results / "evaluate" / name / f"{path}.json")
        yield f"evaluate/{name}/{path}.json", _evaluated(rows, path, metrics) == metrics
        part, classes = published["part"], published["task"]["classes"]
        fits.append(Fit(facts, sharing.predictions_of(rows, path, part, classes), metrics["parts"][part]))
    settings = {key: published[key] for key in ("reference", "replicates", "seed")}
    settings |= {"headline": published["part"], "workers": 1}
    table = compare(fits, published["task"], metrics["settings"]["min_cell"], settings)
    yield f"compare/{name}.json", _as_read(table) == published


def _fits(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in table["rows"]:
        facts = {key: row[key] for key in ("model", "kind", "size", "control")}
        yield from (facts | {"seed": seed["seed"]} for seed in row["seeds"])


def _evaluated(rows: pa.Table, fit: str, metrics: dict[str, Any]) -> Any:
    classes = metrics["task"]["classes"]
    names = [part for part in metrics["parts"] if part != "temporal_test_unseen"]
    parts = [(part, sharing.predictions_of(rows, fit, part, classes)) for part in names]
    return _as_read(evaluate(parts, metrics["settings"] | {"task": metrics["task"], "workers": 1}))


def _as_read(value: Any) -> Any:
    return json.loads(json.dumps(value))
