"""Random streams and time for the demo hospital.

Each patient has streams of their own, so that neither the order of work nor the number of patients nor the end of
the data changes anybody's draws. Times are whole minutes since 2000-01-01 00:00, days are whole days since then.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from statistics import NormalDist
from typing import TypeVar

import numpy as np

DAY = 1440
_ORIGIN = date(2000, 1, 1)
_DATES = [(_ORIGIN + timedelta(days=d)).isoformat() for d in range(366 * 35)]
_TIMES = [f" {m // 60:02d}:{m % 60:02d}:00" for m in range(DAY)]
_NORMAL = NormalDist()
T = TypeVar("T")


class Stream:
    """Draws from NumPy's `default_rng(key)`, fetched in blocks because single draws cost more than they give."""

    __slots__ = ("_block", "_rng")

    def __init__(self, *key: int) -> None:
        self._rng = np.random.default_rng(key)
        self._block: list[float] = []

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if not self._block:
            self._block = self._rng.random(128).tolist()
        return self._block.pop()

    def flip(self, p: float) -> bool:
        """True with probability `p`."""
        return self.uniform() < p

    def below(self, n: int) -> int:
        """A whole number in 0..n-1."""
        return int(self.uniform() * n)

    def between(self, low: int, high: int) -> int:
        """A whole number in low..high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.uniform() * len(items))]

    def choose(self, shares: Sequence[float]) -> int:
        """An index, with probability its share; shares sum to 1."""
        u = self.uniform()
        for i, share in enumerate(shares[:-1]):
            u -= share
            if u < 0:
                return i
        return len(shares) - 1

    def normal(self) -> float:
        return _NORMAL.inv_cdf(self.uniform() or 0.5)

    def wait(self, mean: float) -> float:
        """An exponential waiting time."""
        return -mean * math.log1p(-self.uniform())

    def shuffle(self, items: Sequence[T]) -> list[T]:
        """A shuffled copy."""
        shuffled = list(items)
        for i in range(len(shuffled) - 1, 0, -1):
            j = int(self.uniform() * (i + 1))
            shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
        return shuffled


def day_of(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - _ORIGIN).days


def day_from_text(text: str) -> int:
    """The day of 'YYYY-MM-DD'; ValueError if it is none."""
    return (date.fromisoformat(text) - _ORIGIN).days


def date_text(day: int) -> str:
    return _DATES[day]


def birthday(day: int) -> date:
    """The calendar date of a day, which may lie before the origin."""
    return _ORIGIN + timedelta(days=day)


def time_text(minute: int) -> str:
    """'YYYY-MM-DD HH:MM:SS' of a minute."""
    return _DATES[minute // DAY] + _TIMES[minute % DAY]
