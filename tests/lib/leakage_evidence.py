"""Small evidence for a leakage certificate: a clean cohort of four patients and one of the temporal test."""

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from lib import eligibility
from lib.leakage import Evidence

DECIDED = eligibility.schema(pa.int64(), pa.int64())
SCHEMA = pa.schema([field for field in DECIDED if field.name not in ("window", "note_id")])
PAIRS = pa.schema([("visit_id_a", pa.int64()), ("visit_id_b", pa.int64())])
PAIRS = PAIRS.append(pa.field("jaccard", pa.float64())).append(pa.field("same_patient", pa.bool_()))
CLEAN = [
    {"visit_id": i, "person_id": i, "part": part, "day": 10 * i}
    for i, part in enumerate(["train", "tuning", "calibration", "test"])
]
LATE = {"visit_id": 9, "person_id": 0, "part": "temporal_test", "day": 400}
SETTINGS: dict[str, Any] = {
    "task": "t",
    "kind": "binary",
    "class_names": ["no", "yes"],
    "anchor": "discharge",
    "horizon_days": 30,
    "maturity_days": 10,
    "temporal_from": "2021-01-01",
    "temporal_periods": [],
    "limits": {"max_near_duplicates": 0.01, "max_term_auroc": 0.75, "max_lost_events": 0.15},
    "min_cell": 0,
}


def table(*rows: dict[str, Any]) -> pa.Table:
    """Eligibility rows; a row needs visit_id, person_id, part (None: fell out) and day, hours after its anchor 2."""
    full = []
    for row in rows:
        index = datetime(2020, 1, 1) + timedelta(days=row["day"])
        given = {name: row[name] for name in ("visit_id", "person_id", "part")}
        step = {"step": row.get("step"), "reason": row.get("reason"), "label": row.get("label", 0)}
        digest = (
            row.get("text", f"text {row['visit_id']}").encode().ljust(16) if "text" not in row or row["text"] else None
        )
        times = {"index_time": index, "anchor_time": index - timedelta(hours=row.get("hours", 2))}
        full.append(given | step | times | {"text_hash": digest})
    return pa.Table.from_pylist(full, SCHEMA)


def extracted(**kinds: int) -> dict[str, Any]:
    """The manifest of a window's text extract, with so many notes of each kind of time."""
    return {
        "rows": sum(kinds.values()),
        "counts": {"by_time_kind": dict.fromkeys(("filed", "written", "date", "none"), 0) | kinds},
    }


def cleaned(**copies: int) -> dict[str, Any]:
    return {
        "rows": 100,
        "counts": {"copies": {"same patient": copies.get("same", 0), "another patient": copies.get("other", 0)}},
    }


def pairs(*found: tuple[int, int, bool]) -> pa.Table:
    """(visit, visit, of one patient)"""
    rows = [{"visit_id_a": a, "visit_id_b": b, "jaccard": 0.9, "same_patient": same} for a, b, same in found]
    return pa.Table.from_pylist(rows, PAIRS)


def evidence(*rows: dict[str, Any], capped: int = 0, **changes: Any) -> Evidence:
    given: dict[str, Any] = {
        "rows": table(*rows),
        "extracts": [extracted(filed=50)],
        "cleaned": [cleaned()],
        "pairs": pairs(),
        "duplicates": {"counts": {"buckets not compared in full": capped}},
        "words": [],
    }
    return Evidence(**given | changes)
