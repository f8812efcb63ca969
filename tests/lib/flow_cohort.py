"""A cohort's stays as the flow takes them, from a short description."""

from typing import Any

import pyarrow as pa

COLUMNS = {"window": str, "person_id": int, "step": str, "reason": str, "part": str, "notes": int, "label": int}
COLUMNS |= {"group_sex": str, "group_ward": str, "feature_age": float}
TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}
SCHEMA = pa.schema([(name, TYPES[kind]) for name, kind in COLUMNS.items()])
PARTS = ["train", "tuning", "calibration", "test", "temporal_test"]


def stays(*described: dict[str, Any] | tuple) -> pa.Table:
    """(count, step, reason, part, label[, other columns]) -> rows; every stay a patient of its own unless told."""
    rows: list[dict[str, Any]] = []
    for count, step, reason, part, label, *other in described:
        for _ in range(count):
            row = {"window": "2020", "person_id": len(rows), "notes": int(step != "note")}
            row |= {"step": step, "reason": reason, "part": part, "label": label}
            rows.append(row | (other[0] if other else {}))
    return pa.Table.from_pylist(rows, SCHEMA)
