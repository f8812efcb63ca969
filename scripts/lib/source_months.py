"""A cohort over time, as it may be shown: small cells hidden, and what would give them away.

By calendar month; by quarter or year where months have so few stays that most would be hidden. Two kinds of table hang
together. Stays with and without a note make a period's stays; and, for each label, the stays with a note are those of
each value and those without a label. Where the former may not be told, all stays take their place.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from lib.disclosure import suppress, suppress_table
from lib.source_counts import Notes, Spread, Stays

USUAL = 10  # times `min_cell`: the stays of a usual period

Row = dict[str, Any]
Counts = Counter[Any]


def periods(stays: Stays, months: Sequence[str], min_cell: int) -> dict[str, list[str]]:
    """Months, quarters (`2020Q1`) or years with their months: the shortest in which stays are not few."""
    out: dict[str, list[str]] = {}
    for unit in ("month", "quarter", "year"):
        out = {}
        for month in months:
            quarter = f"{month[:4]}Q{(int(month[5:]) + 2) // 3}"
            out.setdefault({"month": month, "quarter": quarter, "year": month[:4]}[unit], []).append(month)
        if median(sum(stays.months[month]["stays"] for month in held) for held in out.values()) >= USUAL * min_cell:
            break
    return out


def shown(stays: Stays, notes: Notes, months: Sequence[str], min_cell: int) -> dict[str, Any]:
    """periods: a row each; total: the same of all; labels: which there are, binary or number.

    A row: period, stays, with_note, labels (name -> known, the stays with a label, and mean), characters and
    lag_minutes (median, and high: 95 %). A hidden count is None, and so is a mean of it; lengths and lags are None
    where no text was read, and empty where too few were.
    """
    grouped = periods(stays, months, min_cell)
    counted = [sum((stays.months[month] for month in held), Counter[Any]()) for held in grouped.values()]
    noted = [[one["with_note"], one["stays"] - one["with_note"]] for one in counted]
    cells, totals, sums = suppress_table(noted, min_cell, [None] * len(noted), [None, None])
    rows: list[Row] = [
        {"period": name, "stays": total, "with_note": inside[0], "labels": {}}
        for name, total, inside in zip(grouped, totals, cells, strict=True)
    ]
    whole: Row = {"period": "all", "stays": None, "with_note": sums[0], "labels": {}}
    whole["stays"] = None if None in sums else sum(n for n in sums if n)
    for label in stays.labels:
        for row, told in zip([*rows, whole], _label(label, stays.binary(label), counted, rows, min_cell), strict=True):
            row["labels"][label] = told
    for row, held in zip([*rows, whole], [*grouped.values(), list(months)], strict=True):
        row["characters"] = _quantiles([notes.lengths[month] for month in held if month in notes.lengths], min_cell)
        row["lag_minutes"] = _quantiles([notes.lags[month] for month in held if month in notes.lags], min_cell)
    kinds = {label: "binary" if stays.binary(label) else "number" for label in stays.labels}
    return {"periods": rows, "total": whole, "labels": kinds}


def _label(label: str, binary: bool, counted: Sequence[Counts], rows: Sequence[Row], min_cell: int) -> list[Row]:
    """known and mean of one label: of each period, and of all.

    Means are rounded so far that they do not give a hidden number of labels away where there are USUAL ones and more.
    """
    inside = [
        one["stays"] if row["with_note"] is None else one["with_note"] for one, row in zip(counted, rows, strict=True)
    ]
    labelled = [one["labelled", label] for one in counted]
    lines = [[known, of - known] for known, of in zip(labelled, inside, strict=True)]
    cells, _, sums = suppress_table(lines, min_cell, [row["stays"] is not None for row in rows], [None, None])
    known = [*(cell[0] for cell in cells), sums[0]]
    small = [False] * len(known)
    if binary:
        lines = [
            [one["ones", label], number - one["ones", label]] for one, number in zip(counted, labelled, strict=True)
        ]
        fixed = [True if number is not None else None for number in known[:-1]]
        cells, _, sums = suppress_table(lines, min_cell, fixed, [None, None])
        small = [None in cell for cell in (*cells, sums)]
    told = []
    for one, number, hidden in zip([*counted, sum(counted, Counter[Any]())], known, small, strict=True):
        true = one["labelled", label]
        usual = number is not None or true >= USUAL * min_cell
        mean = round(one["sum", label] / true, 2 if binary else 1) if true and usual and not hidden else None
        told.append({"known": number, "mean": mean})
    return told


def merged(spreads: Iterable[Spread]) -> Spread:
    out = Spread()
    for spread in spreads:
        out.counts.update(spread.counts)
    return out


def _quantiles(spreads: Sequence[Spread], min_cell: int) -> Mapping[str, int | None] | None:
    found = merged(spreads)
    if not found.total:
        return None
    if suppress([found.total], min_cell)[0] is None:
        return {}
    return {"median": found.quantile(0.5), "high": found.quantile(0.95)}
