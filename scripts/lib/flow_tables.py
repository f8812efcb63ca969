"""The cohort flow by window and by group: of each value all stays, those that fell out by reason, what remains.

Rows and columns add up to the steps of the flow, whose totals are published: so a table is protected with its column
totals known (`disclosure.suppress_table`), and the reasons whose totals are hidden there stand here as one column.
A window's or a group's own total is hidden where it has to be. Events are those of the opened parts' remaining stays.

Each table is protected by itself. Two whose values nest (a year and its months, a department and its wards) would
tell each other's hidden cells, so of such a pair the later is left out, and that is said. Values of fewer than
`min_cell` patients, and those beyond the most frequent, are one: what a group column holds is not known here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.disclosure import suppress_table
from lib.splits import TEMPORAL

Column = tuple[str | None, str | None]  # step, reason

MOST_VALUES = 30
OTHER, UNKNOWN = "other", "unknown"
REMAINING, LATER = (None, "remaining"), (None, "remaining, temporal test")


@dataclass(frozen=True)
class Frame:
    """What all tables share: all stays, those that remain, and as published the steps, which of them hide their sum,
    and the temporal test if there is one. `all_open`: no part is shut, so all that remains has its class counted.
    """

    stays: pa.Table
    remaining: pa.Table
    steps: list[dict[str, Any]]
    hidden_steps: list[str]
    temporal: dict[str, Any] | None
    min_cell: int
    windows: list[str]
    all_open: bool

    @property
    def is_shown(self) -> bool:
        return None not in (self.steps[0]["stays"], self.steps[-1]["stays"])

    def columns(self) -> dict[tuple[str, str], Column]:
        """(step, reason): the column it is counted in; a reason of None stands for all whose totals are hidden."""
        out: dict[tuple[str, str], Column] = {}
        for step in self.steps[1:]:
            for cell in step["dropped"]:
                name = step["step"]
                hidden = (None if name in self.hidden_steps else name, None)
                out[name, cell["reason"]] = hidden if cell["stays"] is None else (name, cell["reason"])
        return out


def by_window(frame: Frame) -> list[dict[str, Any]] | None:
    """A row a window, in order of time; None where the flow hides its first or last step.

    The temporal test is a part and a span of windows: its stays stand in a column of their own, which is not shown,
    so that its totals tell nothing of a window.
    """
    later = pc.fill_null(pc.equal(frame.remaining["part"], TEMPORAL), False)
    return _table(frame, frame.stays["window"], frame.windows, frame.remaining["window"], later)


def by_group(frame: Frame) -> dict[str, dict[str, Any]]:
    """By group column (without its prefix): {"rows", "left_out": why there are none, else null}."""
    out: dict[str, dict[str, Any]] = {}
    kept = {"window": frame.stays["window"]}
    for column in sorted(name for name in frame.stays.column_names if name.startswith("group_")):
        name = column.removeprefix("group_")
        values = _values(frame.stays, column, frame.min_cell)
        other = next((one for one, held in kept.items() if _nest(held, values)), None)
        if other is not None:
            out[name] = {"rows": None, "left_out": f"nests with {other}"}
            continue
        kept[name] = values
        left = values.filter(pc.is_null(frame.stays["step"]))
        names = sorted(values.unique().to_pylist(), key=lambda value: (value in (OTHER, UNKNOWN), value))
        rows = _table(frame, values, names, left, pa.array([False] * len(left), pa.bool_()))
        out[name] = {"rows": rows, "left_out": None if rows is not None else "the flow's totals are hidden"}
    return out


def _values(stays: pa.Table, column: str, min_cell: int) -> pa.ChunkedArray:
    """The column with NULL as `unknown`, and what is rare, by patients or by rank, as `other`."""
    values = pc.fill_null(stays[column], UNKNOWN)
    found = pa.table({"value": values, "person": stays["person_id"]}).group_by("value")
    counted = found.aggregate([("person", "count_distinct"), ([], "count_all")]).to_pylist()
    common = [row for row in counted if row["person_count_distinct"] >= min_cell]
    common.sort(key=lambda row: (-row["count_all"], row["value"]))
    names = [row["value"] for row in common]
    if len(names) < len(counted) or len(names) > MOST_VALUES:
        names = names[: MOST_VALUES - 1]
    return pc.if_else(pc.is_in(values, value_set=pa.array(names, pa.string())), values, OTHER)


def _nest(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether a value of either decides the other's; a column of one value tells no more than the totals do."""
    pairs = pa.table({"one": one, "other": other}).group_by(["one", "other"]).aggregate([]).num_rows
    sizes = [pc.count_distinct(values).as_py() for values in (one, other)]
    return min(sizes) > 1 and pairs in sizes


def _table(
    frame: Frame, values: pa.ChunkedArray, names: list[str], left: pa.ChunkedArray, later: pa.ChunkedArray
) -> list[dict[str, Any]] | None:
    """A row for each of `names`. `values`: of all stays; `left`: of those that remain, which are `later` or not."""
    if not frame.is_shown:
        return None
    column_of = frame.columns()
    fell = list(dict.fromkeys(column_of.values()))
    counted: Counter[tuple[str, Any]] = Counter()
    for row in _counted(value=values, step=frame.stays["step"], reason=frame.stays["reason"]):
        if row["step"]:
            counted[row["value"], column_of[row["step"], row["reason"]]] += row["count_all"]
    for row in _counted(value=left, later=later):
        counted[row["value"], LATER if row["later"] else REMAINING] += row["count_all"]
    columns = [*fell, *(end for end in (REMAINING, LATER) if any(counted[name, end] for name in names))]
    cells = [[counted[name, column] for column in columns] for name in names]
    parted = frame.temporal is None or frame.temporal["stays"] is not None
    published = [column in fell or parted or LATER not in columns for column in columns]
    # A window before the temporal test has none of it, and everybody knows.
    none = [(i, j) for i, row in enumerate(cells) for j in range(len(fell), len(columns)) if not row[j]]
    shown, totals, _ = suppress_table(cells, frame.min_cell, [None] * len(names), published, none)
    ends = [row[len(fell) :] for row in shown]
    classes = _classes(frame, left, later, names, [dict(zip(columns[len(fell) :], row, strict=True)) for row in ends])
    return [
        {
            "value": name,
            "stays": total,
            "dropped": [
                {"step": step, "reason": reason, "stays": n}
                for (step, reason), n in zip(fell, row[: len(fell)], strict=True)
            ],
            "remaining": _sum(end),
            "classes": by_class,
            "events": by_class[1] if len(by_class) == 2 else None,
        }
        for name, total, row, end, by_class in zip(names, totals, shown, ends, classes, strict=True)
    ]


def _classes(
    frame: Frame,
    left: pa.ChunkedArray,
    later: pa.ChunkedArray,
    names: list[str],
    remains: list[dict[Column, int | None]],
) -> list[list[int | None]]:
    """The classes of what remains (by column, as shown), before and in the temporal test: a table each, then summed."""
    last = frame.steps[-1]["classes"]
    after = frame.temporal["classes"] if frame.temporal and LATER in (remains or [{}])[0] else [0] * len(last)
    if frame.temporal and not frame.all_open and all(n is None for n in after):
        after = [0] * len(last)  # shut: none of its labels is counted
    if all(n is None for n in last):
        return [list(last) for _ in names]
    before = [None if None in pair else pair[0] - pair[1] for pair in zip(last, after, strict=True)]
    counted: Counter[tuple[str, Any, bool]] = Counter()
    for row in _counted(value=left, label=frame.remaining["label"], later=later):
        counted[row["value"], row["label"], row["later"]] += row["count_all"]
    tables = []
    for end, totals in ((REMAINING, before), (LATER, after)):
        cells = [[counted[name, k, end == LATER] for k in range(len(last))] for name in names]
        whole = [row.get(end, 0) is not None for row in remains]
        # With a part shut, what remains does not tell how many labels there are; with none, it does.
        rows: list[bool | None] = [*whole] if frame.all_open else [None] * len(names)
        told = suppress_table(cells, frame.min_cell, rows, [n is not None for n in totals])[0]
        tables.append([[v if v == 0 or ok else None for v in line] for line, ok in zip(told, whole, strict=True)])
    return [[_sum(pair) for pair in zip(*lines, strict=True)] for lines in zip(*tables, strict=True)]


def _sum(counts: Sequence[int | None]) -> int | None:
    """None if one is hidden."""
    known = [n for n in counts if n is not None]
    return sum(known) if len(known) == len(counts) else None


def _counted(**columns: pa.ChunkedArray) -> list[dict[str, Any]]:
    return pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")]).to_pylist()
