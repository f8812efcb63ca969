"""Who is in for a task, and in which part: every stay of the cohort gets a part, or the step and reason it falls out.

Steps in order (the cohort flow's): `note` (no eligible note, or filed too late), `text` (nothing left after cleaning,
or an identical text earlier in the cohort), `label` (the label query's reason), `gap` (its label window reaches the
temporal test). A stay or a note that stands in two windows stops the run.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from lib.contract import REASONS
from lib.splits import TEMPORAL
from lib.stage import StageError

STEPS = ("note", "text", "label", "gap")
NO_NOTE = ("no_note", "late_note")


def schema(identity: pa.DataType, patient: pa.DataType) -> pa.Schema:
    """The columns of the decisions, a row a stay; `identity` is the type of stays and notes, `patient` of patients."""
    return pa.schema(
        [
            ("window", pa.string()),
            ("visit_id", identity),
            ("person_id", patient),
            ("note_id", identity),
            ("anchor_time", pa.timestamp("us")),
            ("index_time", pa.timestamp("us")),
            ("step", pa.string()),
            ("reason", pa.string()),
            ("part", pa.string()),
            ("label", pa.int64()),
            ("text_hash", pa.binary(16)),
        ]
    )


@dataclass
class Rules:
    """How the label is read (kind, edges, values), its horizon in days, and the day the temporal test begins."""

    label: str
    kind: str
    edges: list[int]
    values: list[int]
    horizon_days: int
    temporal_from: str | None
    drop_duplicates: bool
    seen_texts: set[bytes] = field(default_factory=set)
    seen_stays: set[Any] = field(default_factory=set)
    seen_notes: set[Any] = field(default_factory=set)

    def label_class(self, value: int) -> int:
        """Class index from a raw label value. Raises StageError for a value that is no class."""
        if self.kind == "bins" and value >= 0:
            return bisect_right(self.edges, value)
        known = self.values if self.kind == "classes" else [0, 1] if self.kind == "binary" else []
        if value not in known:
            raise StageError(f"label_{self.label} holds a value outside {known or 'whole numbers from 0'}")
        return known.index(value)

    def reaches_temporal_test(self, index_time: datetime) -> bool:
        """Whether the label window of an earlier row touches the temporal test."""
        if self.temporal_from is None:
            return False
        begins = datetime.fromisoformat(self.temporal_from)
        return index_time < begins <= index_time + timedelta(days=self.horizon_days)


def decide(rules: Rules, window: str, tables: dict[str, pa.Table]) -> Iterator[dict[str, Any]]:
    """Rows of one window, in order of visit_id; windows must come in order of time.

    `tables` of that window: labels, split (visit_id, person_id: the patient, part), clean (visit_id, note_id,
    text_hash) and dropped (visit_id, reason).
    """
    clean = {row["visit_id"]: row for row in tables["clean"].to_pylist()}
    dropped = {row["visit_id"]: row["reason"] for row in tables["dropped"].to_pylist()}
    if tables["labels"]["visit_id"].to_pylist() != tables["split"]["visit_id"].to_pylist():
        raise StageError(f"window {window}: the split does not hold the stays of the labels; run split again")
    rules.seen_stays.update(_once("stays", window, rules.seen_stays, tables["labels"]["visit_id"].to_pylist()))
    rules.seen_notes.update(_once("notes", window, rules.seen_notes, [row["note_id"] for row in clean.values()]))
    _same_stays(window, tables["labels"], clean.keys() | dropped.keys())
    reasons = tables["labels"][f"reason_{rules.label}"].to_pylist()
    if unknown := sum(reason not in (None, *REASONS) for reason in reasons):
        raise StageError(
            f"window {window}: {unknown} values of reason_{rules.label} are not on the list; extract again"
        )
    unique = _unique_texts(rules, clean) if rules.drop_duplicates else set(clean)
    for row, assigned in zip(tables["labels"].to_pylist(), tables["split"].to_pylist(), strict=True):
        part = assigned["part"]
        visit_id, reason = row["visit_id"], row[f"reason_{rules.label}"]
        step = None
        if reason in NO_NOTE:
            step = "note"
        elif visit_id in dropped:
            step, reason = "text", dropped[visit_id]
        elif visit_id not in unique:
            step, reason = "text", "duplicate text"
        elif reason is not None:
            step = "label"
        elif part != TEMPORAL and rules.reaches_temporal_test(row["index_time"]):
            step, reason = "gap", "label window reaches the temporal test"
        value = row[f"label_{rules.label}"]
        yield {
            "window": window,
            "visit_id": visit_id,
            "person_id": assigned["person_id"],
            "note_id": clean.get(visit_id, {}).get("note_id"),
            "anchor_time": row["anchor_time"],
            "index_time": row["index_time"],
            "step": step,
            "reason": reason,
            "part": None if step else part,
            "label": None if value is None else rules.label_class(value),
            "text_hash": clean.get(visit_id, {}).get("text_hash"),
        }


def _once(what: str, window: str, seen: set[Any], keys: list[Any]) -> list[Any]:
    twice = len(seen.intersection(keys))
    if twice:
        raise StageError(
            f"window {window}: {twice} {what} stand in an earlier window too; "
            "the query's index_time must put each stay into one window"
        )
    return keys


def _same_stays(window: str, labels: pa.Table, with_text: set[Any]) -> None:
    """The two SELECTs must agree on which stays have an eligible note."""
    indexed = {v for v, t in zip(labels["visit_id"].to_pylist(), labels["index_time"].to_pylist(), strict=True) if t}
    if indexed != with_text:
        raise StageError(
            f"window {window}: the labels query gives an index_time to {len(indexed - with_text)} stays without a row "
            f"in the text query, none to {len(with_text - indexed)} stays with one; the two must use the same notes"
        )


def _unique_texts(rules: Rules, clean: dict[Any, dict[str, Any]]) -> set[Any]:
    """Stays whose text no earlier window holds; `clean` has already kept the earliest within a window."""
    unique = {visit_id for visit_id, row in clean.items() if row["text_hash"] not in rules.seen_texts}
    rules.seen_texts.update(row["text_hash"] for row in clean.values())
    return unique
