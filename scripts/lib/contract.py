"""The columns of a cohort's two queries: what their names promise, checked row by row while they stream.

A text query has nine fixed columns. A labels query has four, `split_key` if the site has a better key of its patients
than person_id, `split_period` if its dates do not tell when a stay was, and any number of columns whose prefix says
what they hold:
`label_x` (integer) with `reason_x` (text, one of REASONS; exactly one of the two is null), `feature_x` (number),
`group_x` (text). Faults are counted to the end of the stream, and told by column and count, never by value.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

# In this order: a stay without a label has the first reason that applies.
REASONS = (
    "no_note",
    "late_note",
    "newborn",
    "died_in_hospital",
    "excluded_department",
    "left_against_advice",
    "event_before_index",
    "still_in_hospital",
    "follow_up_incomplete",
    "uncoded",
    "no_claim",
    "undetermined",
)
WITHOUT_INDEX = REASONS[:2]
NOTE_TIME_KINDS = ("filed", "written", "date", "none")

NOT_UTF8 = object()  # what `warehouse` puts in the place of text that does not decode

_TIME = pa.timestamp("us")
_CLOSED = {
    "note_time_kind": NOTE_TIME_KINDS,
    "note_time_precision": ("second", "minute", "day", "none"),
    "note_role": ("note", "addendum"),
}
_MAY_BE_NULL = ("note_time", "text")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Column:
    """A column of the contract: its Arrow type, whether it may be NULL, its closed list of values if it has one."""

    name: str
    type: pa.DataType
    nullable: bool = False
    values: tuple[str, ...] = ()


def text_columns(id_type: pa.DataType) -> list[Column]:
    """The columns of a text query, one row a note; `id_type` is int64 or string."""
    types = {"visit_id": id_type, "note_id": id_type, "person_id": id_type, "index_time": _TIME, "note_time": _TIME}
    names = [*types, *_CLOSED, "text"]
    return [Column(n, types.get(n, pa.string()), n in _MAY_BE_NULL, _CLOSED.get(n, ())) for n in names]


def label_columns(found: Iterable[str], id_type: pa.DataType) -> list[Column]:
    """The columns of a labels query, one row a stay: its keys, then labels with reasons, features, groups by name."""
    columns = [Column("visit_id", id_type), Column("person_id", id_type), Column("anchor_time", _TIME)]
    columns.append(Column("index_time", _TIME, nullable=True))
    names = sorted(found)
    columns += [Column(name, pa.string()) for name in ("split_key", "split_period") if name in names]
    for label in names:
        if label.startswith("label_"):
            columns.append(Column(label, pa.int64(), nullable=True))
            columns.append(Column("reason_" + label.removeprefix("label_"), pa.string(), True, REASONS))
    columns += [Column(n, pa.float64(), nullable=True) for n in names if n.startswith("feature_")]
    return columns + [Column(n, pa.string(), nullable=True) for n in names if n.startswith("group_")]


def schema(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([(column.name, column.type) for column in columns])


def column_faults(found: Sequence[str], columns: Sequence[Column], labels: bool) -> list[str]:
    """What is wrong with the names of the columns that a query returns; empty when nothing is."""
    expected = [column.name for column in columns]
    prefixes = ", split_key, split_period or label_*, reason_*, feature_*, group_*" if labels else ""
    faults = [f"column {n} is missing" for n in expected if n not in found]
    faults += [f"column {n} stands there {c} times" for n, c in sorted(Counter(found).items()) if c > 1]
    for name in sorted(set(found) - set(expected)):
        near = difflib.get_close_matches(name, expected, 1)
        hint = f"did you mean {near[0]}?" if near else f"the contract has {', '.join(expected)}{prefixes}"
        if labels and name.startswith("reason_"):
            hint = f"a reason needs its label: there is no label_{name.removeprefix('reason_')}"
        faults.append(f"column {name} is unknown; {hint}")
    if labels and not any(name.startswith("label_") for name in expected):
        faults.append("there is no label_* column")
    return faults


class Faults:
    """Counts by message; `tell` gives them as lines, in the order in which they first appeared."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, message: str, count: int = 1) -> None:
        if count:
            self._counts[message] += count

    def tell(self) -> list[str]:
        return [f"{message} ({count} rows)" for message, count in self._counts.items()]


def convert(column: Column, values: Sequence[Any], faults: Faults) -> list[Any]:
    """One column of a batch as Python values of its type; what does not fit is counted and becomes None."""
    reader, wanted = _READERS[column.type]
    out: list[Any] = []
    nulls = wrong = undecodable = infinite = foreign = 0
    for value in values:
        if value is None:
            nulls += 1
            out.append(None)
            continue
        read = reader(value)
        if value is NOT_UTF8:
            undecodable += 1
        elif read is None:
            wrong += 1
        elif isinstance(read, float) and not math.isfinite(read):
            infinite += 1
            read = None
        elif column.values and read not in column.values:
            foreign += 1
        out.append(read)
    name = column.name
    if not column.nullable:
        faults.add(f"column {name} is NULL: every row needs it", nulls)
    faults.add(f"column {name} is not valid UTF-8: convert it in the database, or leave such rows out", undecodable)
    faults.add(f"column {name} is not {wanted}: CAST it in the query", wrong)
    faults.add(f"column {name} is infinite or not a number: give NULL where a value is unknown", infinite)
    faults.add(f"column {name} is none of {', '.join(column.values)}", foreign)
    return out


def _integer(value: Any) -> int | None:
    if isinstance(value, Decimal):  # what servers make of sum() and round()
        value = int(value) if value.is_finite() and value == int(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT64 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    """From 'YYYY-MM-DD HH:MM[:SS[.ffffff]]', a date, or the driver's own type; a time with a zone is no local time."""
    if isinstance(value, datetime):
        return value if value.tzinfo is None else None
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


_READERS: dict[pa.DataType, tuple[Callable[[Any], Any], str]] = {
    pa.int64(): (_integer, "a 64-bit integer"),
    pa.string(): (_text, "text"),
    pa.float64(): (_number, "a number"),
    _TIME: (_time, "a local time 'YYYY-MM-DD HH:MM:SS'"),
}


class RowChecks:
    """What no single column can tell: the order of rows, the window, and how columns of a row agree.

    `window`: (start, end), half-open, of coalesce(index_time, anchor_time). Rows are checked batch by batch.
    """

    def __init__(self, columns: Sequence[Column], window: tuple[datetime, datetime]) -> None:
        names = [column.name for column in columns]
        self._labels = "anchor_time" in names
        self._keys = ("visit_id",) if self._labels else ("visit_id", "note_id")
        self._pairs = [n.removeprefix("label_") for n in names if n.startswith("label_")]
        self._window = window
        self._last: tuple[Any, ...] | None = None
        self._stay: tuple[Any, ...] | None = None
        self.stays = 0

    def check(self, batch: dict[str, list[Any]], faults: Faults) -> None:
        """Count the faults of one batch (columns by name, converted)."""
        rows = len(batch["visit_id"])
        self._check_order(list(zip(*(batch[name] for name in self._keys), strict=True)), faults)
        placed = batch["index_time"]
        if self._labels:
            placed = [i or a for i, a in zip(placed, batch["anchor_time"], strict=True)]
        start, end = self._window
        outside = sum(t is not None and not start <= t < end for t in placed)
        name = "coalesce(index_time, anchor_time)" if self._labels else "index_time"
        faults.add(f"{name} lies outside the window: filter it with :window_start <= … AND … < :window_end", outside)
        if self._labels:
            self.stays += rows
            self._check_labels(batch, faults)
        else:
            self._check_notes(batch, faults)

    def _check_order(self, keys: list[tuple[Any, ...]], faults: Faults) -> None:
        name = ", ".join(self._keys)
        for key in keys:
            if None in key:
                continue
            if self._last is not None and key <= self._last:
                again = key == self._last
                faults.add(
                    f"column {name} repeats: one row a {'stay' if self._labels else 'note'}, look at the query's JOINs"
                    if again
                    else f"column {name} is not in order: end the query with ORDER BY {name} (in binary collation)"
                )
            self._last = key

    def _check_notes(self, batch: dict[str, list[Any]], faults: Faults) -> None:
        times = list(zip(batch["note_time"], batch["note_time_kind"], batch["index_time"], strict=True))
        late = sum(n is not None and i is not None and n > i for n, _, i in times)
        faults.add("column note_time lies after index_time: a note must be there when the prediction is made", late)
        unclear = sum((n is None) != (k == "none") for n, k, _ in times)
        faults.add("column note_time_kind is 'none' exactly where note_time is NULL", unclear)
        for stay in zip(batch["visit_id"], batch["person_id"], batch["index_time"], strict=True):
            if self._stay is None or stay[0] != self._stay[0]:
                self.stays += 1
                self._stay = stay
            elif stay != self._stay:
                faults.add("column person_id or index_time differs between the notes of one visit_id")

    def _check_labels(self, batch: dict[str, list[Any]], faults: Faults) -> None:
        index = batch["index_time"]
        early = sum(i is not None and a is not None and i < a for i, a in zip(index, batch["anchor_time"], strict=True))
        faults.add("column index_time lies before anchor_time", early)
        for name in self._pairs:
            label, reason = batch[f"label_{name}"], batch[f"reason_{name}"]
            pairs = [(value is None) + (why is None) for value, why in zip(label, reason, strict=True)]
            faults.add(f"columns label_{name} and reason_{name} are both NULL: exactly one is", pairs.count(2))
            faults.add(f"columns label_{name} and reason_{name} are both given: exactly one is", pairs.count(0))
            unplaced = sum((i is None) != (why in WITHOUT_INDEX) for i, why in zip(index, reason, strict=True))
            faults.add(f"column reason_{name} is no_note or late_note exactly where index_time is NULL", unplaced)
