"""Who is in for a task, and in which part: every stay of the cohort gets a part, or the step and reason it falls out.

Steps in order (the cohort flow's): `note` (no eligible note, or filed too late), `text` (nothing left after cleaning,
or an identical text earlier in the cohort), `label` (the label query's reason), `gap` (its label window reaches the
temporal test). A stay or a note that stands in two windows stops the run.

The temporal test begins on one day for all, or, where it is told by periods because dates are shifted, with a patient's
own first stay in it: only the dates of one patient are in order.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import REASONS
from lib.splits import TEMPORAL, temporal_begin
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
    """How the label is read (kind, edges, values), its horizon in days, and what the temporal test is: all from a day
    on, or periods. Of periods, `first_temporal` has to be told (see `tell_temporal`) before rows are decided."""

    label: str
    kind: str
    edges: list[int]
    values: list[int]
    horizon_days: int
    temporal_from: str | None
    temporal_periods: list[str]
    drop_duplicates: bool
    first_temporal: dict[Any, datetime] = field(default_factory=dict)
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

    def reaches_temporal_test(self, index_time: datetime, patient: Any) -> bool:
        """Whether the label window of an earlier row touches the temporal test."""
        begins = temporal_begin(self.temporal_from, self.first_temporal, patient)
        return begins is not None and index_time < begins <= index_time + timedelta(days=self.horizon_days)

    def tell_temporal(self, windows: Iterable[tuple[pa.Table, pa.Table]]) -> None:
        """Learn from all windows' (labels, split) when each patient's first stay of the temporal test is, where periods
        make it.

        Raises StageError for a period that no stay has.
        """
        unseen = set(self.temporal_periods)
        for labels, split in windows:
            unseen -= set(labels["split_period"].unique().to_pylist())
            times = pc.coalesce(labels["index_time"], labels["anchor_time"]).to_pylist()
            patients, parts = (split[name].to_pylist() for name in ("person_id", "part"))
            for time, patient, part in zip(times, patients, parts, strict=False):  # `decide` compares the two
                if part == TEMPORAL:
                    self.first_temporal[patient] = min(time, self.first_temporal.get(patient, time))
        if unseen:
            raise StageError(
                f"split.temporal_periods: no stay of any window has the split_period "
                f"{' or '.join(repr(period) for period in sorted(unseen))}; write it as the labels query gives it"
            )


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
        elif part != TEMPORAL and rules.reaches_temporal_test(row["index_time"], assigned["person_id"]):
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
