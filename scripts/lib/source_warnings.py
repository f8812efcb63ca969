"""What in a source's counts a person should look at before a pull: each warning is a sentence with its number.

docs/check-source.md tells what each means and what to do.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from math import sqrt
from statistics import median
from typing import Any

from lib.source_counts import Notes, Stays
from lib.source_months import merged
from lib.windows import calendar
from lib.wording import percent

SHORTEST_CUT = 200  # characters or bytes: below, equal lengths are templates
CUT_SHARE = 0.002  # of all texts, at one length
CUT_RATIO = 10  # times as many texts at one length as at its neighbours
OFTEN = 0.2
RARE = 0.1
THIN = 0.7  # of the year before
TAIL, YEAR, LEAST_YEAR = 6, 12, 6  # months
SIGMAS = 3  # of a Poisson count: a quiet month of a small hospital is no tail


def of_cohort(
    stays: Stays, notes: Notes, complete_after: Mapping[str, int], span: tuple[date, date], least: int
) -> list[str]:
    """All warnings about a cohort.

    `complete_after`: label -> days from the index time until it is known. `span`: the first day of the data, and the
    day after the last. `least`: the smallest count told.
    """
    least = max(least, 1)
    found = [cuts(notes, least), clocks(stays, notes, least), strays(stays, notes, least)]
    return [warning for warnings in (*found, tails(stays, complete_after, span, least)) for warning in warnings]


def cuts(notes: Notes, least: int) -> Iterator[str]:
    """Texts that pile up at one length: at a usual limit, or at the longest."""
    spread, told = merged(notes.lengths.values()), set[int]()  # the same texts are told once, in characters
    for unit, exact in notes.exact.items():
        for length, count in sorted(exact.items()):
            if length < SHORTEST_CUT or told & {length, count}:
                continue
            near = spread.between(0.8 * length, 1.25 * length) - count
            if count < max(least, 5, CUT_SHARE * notes.rows, CUT_RATIO * near / (0.45 * length)):
                continue
            told |= {length, count}
            longer = "" if length < notes.longest[unit] else ", and none is longer"
            yield (
                f"{_share(count, notes.rows, least)} texts have exactly {length:,} {unit}{longer}: they look cut off"
                " before they came here (a column's or a view's width, SUBSTRING, the driver's limit on long text)"
            )


def clocks(stays: Stays, notes: Notes, least: int) -> Iterator[str]:
    """Times that are dates: then the order within a day is not known, and a lag is off by up to a day."""
    clocked, midnight = notes.clocks["clocked"], notes.clocks["midnight"]
    if midnight >= max(least, OFTEN * clocked):
        yield (
            f"{_share(midnight, clocked, least)} note times that claim a time of day stand at midnight: they are"
            " dates; let note_time_precision say day, or take the column that has the time"
        )
    total = clocked + notes.clocks["day"] + notes.clocks["none"]
    for kind, what in (("day", "are dates without a time"), ("none", "are missing")):
        if (count := notes.clocks[kind]) >= max(least, OFTEN * total):
            yield f"{_share(count, total, least)} note times {what}: what was known when is less certain"
    count, total = stays.anchors[True], stays.anchors.total()
    if count >= max(least, OFTEN * total):
        yield f"{_share(count, total, least)} anchor times stand at midnight: lags are off by up to a day"


def strays(stays: Stays, notes: Notes, least: int) -> Iterator[str]:
    """Notes of no stay, and stays without notes."""
    if notes.strays >= least:
        yield (
            f"{_share(notes.strays, notes.rows, least)} notes belong to no stay that the labels query gives in the"
            " same window: the two queries choose stays or windows differently"
        )
    total, noted = (sum(month[key] for month in stays.months.values()) for key in ("stays", "with_note"))
    if not total:
        yield "there is no stay in the whole span: look at the query's parameters, and at data_start and data_end"
    elif total >= least and noted < RARE * total:
        share = f"only {percent(noted / total, 1)} of stays have" if noted >= least else "hardly any stay has"
        yield f"{share} a note: look at the note types, at max_delay_hours, and at times without a time of day"


def tails(stays: Stays, complete_after: Mapping[str, int], span: tuple[date, date], least: int) -> Iterator[str]:
    """Last months with markedly less than the year before: the data are not complete to `data_end`."""
    names, days = zip(*calendar(*span), strict=True)
    rows = [stays.months[name] for name in names]
    last = span[1] - timedelta(days=1)
    late, unfiled = f"data_end {last} may be too late", f"notes may not all be filed by data_end {last}"
    yield from _thin("stays", names, _column(rows, "stays"), days, late, least)
    noted = _column(rows, "with_note")
    yield from _thin("the share of stays with a note", names, noted, _column(rows, "stays"), unfiled, least)
    for label in stays.labels:
        known = span[1] - timedelta(days=complete_after.get(label, 0))
        whole = [i for i, name in enumerate(names) if _following(name) <= known]
        months, there = [names[i] for i in whole], [rows[i] for i in whole]
        why = f"its facts may come later than its clock says: raise maturity_days, or data_end {last} is too late"
        labelled, noted = _column(there, ("labelled", label)), _column(there, "with_note")
        yield from _thin(f"the share of stays with a label {label}", months, labelled, noted, why, least)
        if stays.binary(label):
            yield from _thin(f"the rate of {label}", months, _column(there, ("ones", label)), labelled, why, least)


def _thin(
    what: str, months: Sequence[str], counts: Sequence[int], weights: Sequence[int], why: str, least: int
) -> Iterator[str]:
    """A warning if the last months have few `counts` for their `weights`, by the median of the year before them."""
    found = None
    for length in range(1, TAIL + 1):
        before = list(zip(counts, weights, strict=True))[-length - YEAR : -length]
        rates = [count / weight for count, weight in before if weight]
        if len(rates) < LEAST_YEAR:
            break
        usual = median(rates)
        if counts[-length] >= THIN * usual * weights[-length]:
            break
        expected, seen = usual * sum(weights[-length:]), sum(counts[-length:])
        if seen < expected - SIGMAS * sqrt(expected):
            found = (length, seen, expected)
    if found:
        length, seen, expected = found
        to = f"to {percent(seen / expected)} of" if seen >= least else "to almost nothing of"
        since = f"in {months[-1]}" if length == 1 else f"from {months[-length]} to {months[-1]}"
        yield f"{what} falls {to} the year before {since}: {why}".replace("stays falls", "stays fall", 1)


def _column(rows: Sequence[Mapping[Any, int]], key: Any) -> list[int]:
    return [row[key] for row in rows]


def _following(month: str) -> date:
    """The first day after a month (`YYYY-MM`)."""
    return (date.fromisoformat(f"{month}-01") + timedelta(days=32)).replace(day=1)


def _share(count: int, total: int, least: int) -> str:
    """`77 % of`; no figure where the rest is small."""
    if count == total:
        return "all"
    return "nearly all" if total - count < least else f"{percent(count / total, 1 if count < 0.1 * total else 0)} of"
