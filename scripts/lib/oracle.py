"""The best attainable AUROC: that of the demo's true risk, on exactly the rows that the models were scored on.

A generator that draws outcomes from a known risk knows the ceiling of every model. It depends on the labels that were
drawn, so it is computed on the same rows and for the same classes as the models' AUROC, and a model is told as its
share of what lies between chance and that ceiling. No stage but the report reads the oracle's file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib import metrics
from lib.estimates import number
from lib.predictions import Predictions
from lib.stage import StageError


def auroc(oracle: pa.Table, task: Mapping[str, Any], rows: Predictions, classes: Sequence[str] | None) -> float | None:
    """AUROC of the true risk on `rows`, or its mean over `classes` of one against the rest.

    `oracle`: columns task, visit_id, p (list of K float64), label (null where not known), for any stays of any tasks.
    `classes`: names of the classes that compare averaged over; None for a binary task. None is returned where the
    oracle knows nothing of this task with this number of classes, or the AUROC is undefined. StageError with counts:
    rows that the oracle does not know, or whose label differs.
    """
    known = oracle.filter(pc.equal(oracle["task"], task["name"]))
    if not known.num_rows or len(known["p"][0]) != task["classes"] or not rows.rows:
        return None
    visits = known["visit_id"].cast(rows.keys.schema.field("visit_id").type)
    place = pc.index_in(rows.keys["visit_id"].combine_chunks(), visits.combine_chunks())
    if place.null_count:
        raise StageError(
            f"task {task['name']}: {place.null_count} of {rows.rows} rows are not in the oracle; make the demo again"
        )
    found = known.take(place)
    same = pc.fill_null(pc.equal(found["label"], pa.array(rows.label)), False)
    if differing := rows.rows - pc.sum(same).as_py():
        raise StageError(
            f"task {task['name']}: {differing} of {rows.rows} labels differ from the oracle's; the cohort's SQL, or the"
            " task's label, horizon or edges, say another outcome than the one that was drawn"
        )
    p = np.array(found["p"].to_pylist(), dtype=np.float64)
    wanted = [1] if classes is None else [task["class_names"].index(name) for name in classes]
    values = [metrics.auroc(rows.label == k, p[:, k]) for k in wanted]
    return number(np.mean(values)) if values else None


def share(value: float | None, ceiling: float | None) -> float | None:
    """(value - 1/2) / (ceiling - 1/2): 0 is chance, 1 the oracle; None where that has no meaning."""
    if value is None or ceiling is None or ceiling <= 0.5:
        return None
    return (value - 0.5) / (ceiling - 0.5)
