"""How a number is told in JSON: value, interval, and in words why there is none.

`{"value", "low", "high", "left_out"}` with `reason` wherever the value or its interval is null. Values have six
significant digits (curves four), so that files do not differ by the last bit of a logarithm. JSON has no NaN.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib import bootstrap

Array = NDArray[np.float64]

MIN_EVENTS = 10


def number(value: Any, digits: int = 6) -> float | None:
    """A float of so many significant digits, None when it is not finite."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


def numbers(values: Array) -> list[float | None]:
    """Points of a curve: four significant digits, more than a figure shows."""
    return [number(v, 4) for v in values]


def one_line_lists(text: str) -> str:
    """Indented JSON with its lists of plain numbers on one line each: a curve is three lines, not three hundred."""
    return re.sub(
        r"\[\n[^][{}\"]*\]", lambda found: " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]"), text
    )


def min_events(min_cell: int) -> int:
    """The least number of events, and of non-events, for which a measure is given."""
    return max(MIN_EVENTS, min_cell)


def too_few(y: NDArray[np.bool_], least: int) -> str | None:
    """Why a question is not scored on these rows, or None. `y` (n,) bool."""
    events, others = int(y.sum()), int((~y).sum())
    if min(events, others) >= least:
        return None
    if not len(y):
        return "no rows"
    if not events or not others:
        return "no events" if not events else "no non-events"
    return f"fewer than {least} events or non-events"


def no_interval(persons: int, replicates: int, least: int) -> str | None:
    """Why there is nothing to resample, or None. A few patients drawn again and again look certain."""
    if persons < least:
        return f"fewer than {least} patients"
    return None if replicates else "no replicates"


def measure(point: float, samples: Array | None, why: str, without: str | None = None) -> dict[str, Any]:
    """value, low, high, left_out (replicates without a value); `reason` where the value or its interval is null.

    `why` tells a value that is NaN, `without` that there are no samples.
    """
    value = number(point)
    out: dict[str, Any] = {"value": value, "low": None, "high": None, "left_out": 0}
    if value is None:
        return out | {"reason": why}
    if samples is None:
        return out | {"reason": without}
    low, high, left_out = bootstrap.interval(samples)
    out |= {"low": number(low), "high": number(high), "left_out": int(left_out)}
    return out if out["low"] is not None else out | {"reason": "too few replicates have a value"}


def nothing(reason: str) -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "left_out": 0, "reason": reason}
