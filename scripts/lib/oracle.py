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

UNKNOWN = "not the outcomes that were drawn"


def auroc(oracle: pa.Table, task: Mapping[str, Any], rows: Predictions, classes: Sequence[str] | None) -> float | None:
    """AUROC of the true risk on `rows`, or its mean over `classes` of one against the rest.

    `oracle`: columns task, visit_id, p (list of K float64), label (null where not known), for any stays of any tasks.
    `classes`: names of the classes that compare averaged over; None for a binary task. None is returned where the
    oracle does not know this task's outcomes (see `knows`), or the AUROC is undefined.
    """
    known = _known(oracle, task, rows)
    if known is None or not rows.rows:
        return None
    p = np.array(known["p"].to_pylist(), dtype=np.float64)
    wanted = [1] if classes is None else [task["class_names"].index(name) for name in classes]
    values = [metrics.auroc(rows.label == k, p[:, k]) for k in wanted]
    return number(np.mean(values)) if values else None


def knows(oracle: pa.Table, task: Mapping[str, Any], rows: Predictions) -> bool:
    """Whether the task's outcomes are those that were drawn: as many classes, and on `rows` the same labels.

    They are not once its edges, horizon, SQL or parameters say another outcome. StageError with counts: rows of which
    the oracle has never heard.
    """
    return _known(oracle, task, rows) is not None


def _known(oracle: pa.Table, task: Mapping[str, Any], rows: Predictions) -> pa.Table | None:
    """What the oracle says of `rows`, in their order."""
    known = oracle.filter(pc.equal(oracle["task"], task["name"]))
    if not known.num_rows or len(known["p"][0]) != task["classes"]:
        return None
    visits = known["visit_id"].cast(rows.keys.schema.field("visit_id").type)
    place = pc.index_in(rows.keys["visit_id"].combine_chunks(), visits.combine_chunks())
    if place.null_count:
        raise StageError(
            f"task {task['name']}: {place.null_count} of {rows.rows} rows are not in the oracle; make the demo again"
        )
    found = known.take(place)
    same = pc.all(pc.fill_null(pc.equal(found["label"], pa.array(rows.label)), False)).as_py()
    return found if same in (True, None) else None


def share(value: float | None, ceiling: float | None) -> float | None:
    """(value - 1/2) / (ceiling - 1/2): 0 is chance, 1 the oracle; None where that has no meaning."""
    if value is None or ceiling is None or ceiling <= 0.5:
        return None
    return (value - 0.5) / (ceiling - 0.5)
