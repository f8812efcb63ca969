"""Are stays without an eligible note other stays? Those with and without one compared, by group and by feature.

The difference is told as a standardized one (Austin 2009, Statistics in Medicine 28): of shares
(p - q) / sqrt((p (1 - p) + q (1 - q)) / 2), of means (m - n) / sqrt((s^2 + t^2) / 2); above 0.1 in size it is worth a
look. Labels cannot be compared: by the contract a stay without an eligible note has none. Group counts are those of
the flow's tables and no others. A mean is given only if at least `min_cell` stays have a value and as many another
than the commonest, or none has: the mean of a feature of zeros and ones is a count.
"""

from math import sqrt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

STEP = "note"


def compare(stays: pa.Table, steps: list[dict[str, Any]], tables: dict[str, Any], min_cell: int) -> dict[str, Any]:
    """{"with", "without": stays; "groups": {name: [row]}, "features": {name: {"with", "without", "smd"}}}.

    A row: value, with, without, share_with, share_without, smd. `tables`: the flow by window and by group, as
    published; of a feature each side has mean, sd, missing (a share).
    """
    first, second = steps[0]["stays"], steps[1]["stays"]
    known = None not in (first, second)
    sides = {"with": second, "without": first - second if known else None}
    groups = {name: _rows(table if name == "window" else table["rows"], sides) for name, table in tables.items()}
    without = pc.fill_null(pc.equal(stays["step"], STEP), False)
    split = {"with": stays.filter(pc.invert(without)), "without": stays.filter(without)}
    features = {
        name.removeprefix("feature_"): _feature({side: rows[name] for side, rows in split.items()}, min_cell)
        for name in stays.column_names
        if name.startswith("feature_") and known
    }
    return sides | {"groups": {name: rows for name, rows in groups.items() if rows}, "features": features}


def _rows(table: list[dict[str, Any]] | None, sides: dict[str, int | None]) -> list[dict[str, Any]]:
    if table is None or not sides["with"] or not sides["without"]:
        return []
    return [_row(row, sides["with"], sides["without"]) for row in table]


def _row(row: dict[str, Any], of_with: int, of_without: int) -> dict[str, Any]:
    gone = [cell["stays"] for cell in row["dropped"] if cell["step"] == STEP]
    names = ("value", "with", "without", "share_with", "share_without", "smd")
    if None in (row["stays"], *gone):
        return dict.fromkeys(names) | {"value": row["value"]}
    without = sum(gone)
    p, q = (row["stays"] - without) / of_with, without / of_without
    smd = _standardized(p, q, p * (1 - p), q * (1 - q))
    told = (row["value"], row["stays"] - without, without, _number(p), _number(q), smd)
    return dict(zip(names, told, strict=True))


def _feature(columns: dict[str, pa.ChunkedArray], min_cell: int) -> dict[str, Any]:
    told: dict[str, Any] = {side: _moments(column, min_cell) for side, column in columns.items()}
    one, two = (told[side] for side in columns)
    smd = None
    if None not in (one["mean"], two["mean"], one["sd"], two["sd"]):
        smd = _standardized(one["mean"], two["mean"], one["sd"] ** 2, two["sd"] ** 2)
    return told | {"smd": smd}


def _moments(column: pa.ChunkedArray, min_cell: int) -> dict[str, float | None]:
    """mean, sd (n - 1) and the share missing; each None where it would tell of few."""
    values, missing = column.drop_null(), column.null_count
    small = any(0 < n < min_cell for n in (missing, len(values)))
    commonest = pc.mode(values, 1).to_pylist()[0]["count"] if len(values) else 0
    given = len(values) and not any(0 < n < min_cell for n in (len(values), len(values) - commonest))
    return {
        "mean": _number(pc.mean(values).as_py()) if given else None,
        "sd": _number(pc.stddev(values, ddof=1).as_py()) if given and len(values) > 1 else None,
        "missing": None if small or not len(column) else _number(missing / len(column)),
    }


def _standardized(one: float, two: float, variance: float, other: float) -> float | None:
    spread = sqrt((variance + other) / 2)
    return _number((one - two) / spread) if spread else None


def _number(value: float | None) -> float | None:
    """Six significant digits, so that files do not differ by the last bit."""
    return None if value is None else float(f"{value:.6g}")
