"""A source's rows as they stream by, reduced to counts: no text is kept, no id, and memory does not follow the rows.

Of texts their lengths are counted, of times their distance from the anchor, by calendar month of
coalesce(index_time, anchor_time). Lengths and lags are kept to 8 significant bits, within 1 %, which bounds how many
different ones there are; lengths at which limits are usual are counted exactly, and so is the longest.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
# Lengths at which fields and drivers cut: powers of two, and those less one; hundreds of multiples of 500.
LIMITS = frozenset({*range(500, 100_001, 500), *(2**k - less for k in range(8, 25) for less in (0, 1)), 255_000})
MIDNIGHTS = (time(0), time(23, 59, 59))  # how a date without a time is filled up, at its start or end
CLOCKED = ("second", "minute")


class Spread:
    """Whole numbers, counted to 8 significant bits.

    >>> lengths = Spread()
    >>> lengths.add([3, 900, 901, 70_000])
    >>> lengths.total, lengths.quantile(0.5), lengths.quantile(1)
    (4, 900, 69632)
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    @property
    def total(self) -> int:
        return self.counts.total()

    def add(self, values: Sequence[int] | Ints) -> None:
        array = np.asarray(values, dtype=np.int64)
        size = np.abs(array)
        bits = np.maximum(np.frexp(size.astype(np.float64))[1] - 8, 0)
        kept, counts = np.unique(np.sign(array) * (size >> bits << bits), return_counts=True)
        self.counts.update(dict(zip(kept.tolist(), counts.tolist(), strict=True)))

    def quantile(self, share: float) -> int | None:
        """The smallest kept value that `share` of all do not exceed; None of nothing."""
        left = share * self.total
        for value in sorted(self.counts):
            left -= self.counts[value]
            if left <= 0:
                return value
        return None

    def between(self, low: float, high: float) -> int:
        return sum(count for value, count in self.counts.items() if low <= value <= high)


class Stays:
    """The rows of a labels query: stays and labels by month."""

    def __init__(self) -> None:
        self.months: defaultdict[str, Counter[Any]] = defaultdict(Counter)
        self.labels: list[str] = []
        self.anchors: Counter[bool] = Counter()  # by whether they are at midnight

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, datetime | None]]:
        """(visit_id, anchor_time) of each stay, counted as it passes."""
        for batch in batches:
            rows = batch.to_pydict()
            self.labels = [name.removeprefix("label_") for name in rows if name.startswith("label_")]
            for i, anchor in enumerate(rows["anchor_time"]):
                if when := rows["index_time"][i] or anchor:
                    self._count(self.months[f"{when:%Y-%m}"], rows, i)
                self.anchors.update([anchor.time() in MIDNIGHTS] if anchor else [])
                yield rows["visit_id"][i], anchor

    def _count(self, month: Counter[Any], rows: dict[str, list[Any]], i: int) -> None:
        month["stays"] += 1
        if rows["index_time"][i] is None:
            return
        month["with_note"] += 1
        for name in self.labels:
            if (value := rows[f"label_{name}"][i]) is not None:
                month["labelled", name] += 1
                month["sum", name] += value
                month["ones", name] += value == 1
                month["others", name] += value not in (0, 1)

    def binary(self, label: str) -> bool:
        """Whether the label had no value but 0 and 1."""
        return not any(month["others", label] for month in self.months.values())


class Notes:
    """The rows of a text query: lengths and lags by month, and what hints at a cut or at a clock without a time."""

    def __init__(self) -> None:
        self.lengths: defaultdict[str, Spread] = defaultdict(Spread)  # characters of each text, by month
        self.lags: defaultdict[str, Spread] = defaultdict(Spread)  # minutes from the anchor to the note, by month
        self.of_stays = Spread()  # characters of what a model reads of a stay
        self.exact = {"characters": Counter[int](), "bytes": Counter[int]()}  # of LIMITS, and of the longest
        self.longest = {"characters": 0, "bytes": 0}
        self.bytes = self.rows = self.strays = 0
        self.clocks: Counter[str] = Counter()  # midnight, clocked, day, none

    def add(self, batches: Iterable[pa.RecordBatch], stays: "Passing", concatenate: bool) -> None:
        """Count one window. A stay's text is all its notes (`concatenate`), or taken to be the longest of them."""
        visit: Any = None
        held = 0
        of_stays = []
        for batch in batches:
            texts = pc.fill_null(batch["text"], "")
            length, size = (count(texts).to_numpy().astype(np.int64) for count in (pc.utf8_length, pc.binary_length))
            self._exact("characters", length)
            self._exact("bytes", size)
            self.rows += batch.num_rows
            self.bytes += int(size.sum())
            months = batch["index_time"].to_numpy(zero_copy_only=False).astype("datetime64[M]")
            for month in np.unique(months[~np.isnat(months)]):
                self.lengths[str(month)].add(length[months == month])
            self._times(batch.select(["visit_id", "index_time", "note_time", "note_time_precision"]), stays)
            for i, characters in zip(batch["visit_id"].to_pylist(), length.tolist(), strict=True):
                if i != visit and visit is not None:
                    of_stays.append(held)
                held = characters if i != visit else (held + characters if concatenate else max(held, characters))
                visit = i
            self.of_stays.add(of_stays)
            of_stays = []
        self.of_stays.add([held] if visit is not None else [])

    def _exact(self, unit: str, lengths: Ints) -> None:
        for length, count in zip(*(a.tolist() for a in np.unique(lengths, return_counts=True)), strict=True):
            if length > self.longest[unit]:
                if self.longest[unit] not in LIMITS:
                    del self.exact[unit][self.longest[unit]]
                self.longest[unit] = length
            if length in LIMITS or length == self.longest[unit]:
                self.exact[unit][length] += count

    def _times(self, batch: pa.RecordBatch, stays: "Passing") -> None:
        lags = defaultdict(list)
        for row in batch.to_pylist():
            filed, precision = row["note_time"], row["note_time_precision"]
            known = stays.find(row["visit_id"])
            self.strays += not known
            if filed is None:
                self.clocks["none"] += 1
                continue
            self.clocks["clocked" if precision in CLOCKED else "day"] += 1
            self.clocks["midnight"] += precision in CLOCKED and filed.time() in MIDNIGHTS
            if known and stays.anchor and row["index_time"]:
                lag = (filed - stays.anchor).total_seconds() // 60
                lags[f"{row['index_time']:%Y-%m}"].append(int(lag))
        for month, minutes in lags.items():
            self.lags[month].add(minutes)


class Passing:
    """The stays of one window, in the order of visit_id, looked into by notes that come in the same order."""

    def __init__(self, stays: Iterator[tuple[Any, datetime | None]]) -> None:
        self._stays = stays
        self._visit: Any = None
        self.anchor: datetime | None = None

    def find(self, visit: Any) -> bool:
        """Go on to `visit`, whose `anchor` it then has; False if there is no such stay."""
        while visit is not None and (self._visit is None or self._visit < visit):
            if (following := next(self._stays, None)) is None:
                return False
            self._visit, self.anchor = following
        return visit is not None and self._visit == visit

    def end(self) -> None:
        """Let the rest pass."""
        for _ in self._stays:
            pass
