"""Rows of a small source for the tests of a source check, and what is counted of them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from lib.contract import label_columns, schema, text_columns
from lib.source_counts import Notes, Passing, Stays

LABEL_NAMES = ("label_back", "reason_back", "label_days", "reason_days")


def stay(
    visit: int, anchor: str, hours: float | None = 2, back: int | None = 0, days: int | None = 3
) -> dict[str, Any]:
    """`hours` from the anchor to the index time; None: there is no note."""
    at = datetime.fromisoformat(anchor)
    index = None if hours is None else at + timedelta(hours=hours)
    reasons = {"reason_back": None if back is not None else "undetermined", "reason_days": None}
    return {"visit_id": visit, "person_id": visit, "anchor_time": at, "index_time": index} | {
        **reasons,
        "label_back": back,
        "label_days": days,
    }


def note(visit: int, text: str | None, filed: str | None, precision: str = "second", **other: Any) -> dict[str, Any]:
    at = None if filed is None else datetime.fromisoformat(filed)
    row = {
        "visit_id": visit,
        "note_id": visit * 10,
        "person_id": visit,
        "index_time": at,
        "note_time": at,
        "text": text,
    }
    return row | {"note_time_kind": "filed", "note_time_precision": precision, "note_role": "note"} | other


def labels(rows: Iterable[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema(label_columns(LABEL_NAMES, pa.int64())))


def texts(rows: Iterable[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema(text_columns(pa.int64())))


def counted(
    stays: Iterable[dict[str, Any]], notes: Iterable[dict[str, Any]] = (), concatenate: bool = False, batch: int = 1000
) -> tuple[Stays, Notes]:
    """What is counted of one window; `batch` rows come at a time."""
    of_stays, of_notes = Stays(), Notes()
    listed, told = list(stays), list(notes)
    passing = Passing(of_stays.passing(labels(listed[i : i + batch]) for i in range(0, len(listed), batch)))
    of_notes.add((texts(told[i : i + batch]) for i in range(0, len(told), batch)), passing, concatenate)
    passing.end()
    return of_stays, of_notes
