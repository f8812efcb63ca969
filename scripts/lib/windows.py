"""Calendar windows: of extraction, of work, of reuse; and the months by which a source is shown."""

from collections.abc import Iterator
from datetime import date, timedelta


def windows(start: date, last: date, unit: str) -> Iterator[tuple[str, tuple[date, date]]]:
    """Half-open calendar windows (name, (start, end)) from `start` through the day `last`; the ends are clipped.

    >>> [name for name, _ in windows(date(2020, 11, 5), date(2021, 1, 31), "month")]
    ['2020-11', '2020-12', '2021-01']
    """
    months = {"month": 1, "quarter": 3, "year": 12, "decade": 120}[unit]
    beyond = last + timedelta(days=1)
    index = (start.year * 12 + start.month - 1) // months * months
    while (first := date(index // 12, index % 12 + 1, 1)) < beyond:
        index += months
        following = date(index // 12, index % 12 + 1, 1)
        name = {
            "month": f"{first:%Y-%m}",
            "quarter": f"{first.year}Q{first.month // 3 + 1}",
            "year": f"{first.year}",
            "decade": f"{first.year}s",
        }
        yield name[unit], (max(first, start), min(following, beyond))


def calendar(start: date, end: date) -> Iterator[tuple[str, int]]:
    """Each month (`YYYY-MM`) of the days from `start` to before `end`, with how many of its days lie in them.

    >>> list(calendar(date(2020, 1, 30), date(2020, 3, 1)))
    [('2020-01', 2), ('2020-02', 29)]
    """
    for name, (first, beyond) in windows(start, end - timedelta(days=1), "month"):
        yield name, (beyond - first).days
