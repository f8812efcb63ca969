"""Stays with and without an eligible note: shares, means, standardized differences, and what is not told."""

import numpy as np
import pyarrow as pa
import pytest

from flow_cohort import PARTS, stays
from lib.flow import cohort_flow


def compared(rows: pa.Table, min_cell: int = 10) -> dict:
    return cohort_flow(rows, "t", 2, min_cell, PARTS, ["2020"])["notes"]


def with_feature(rows: pa.Table, values: list) -> pa.Table:
    return rows.append_column("feature_x", pa.array(values, pa.float64()))


HALVES = stays((200, None, None, "train", 0), (100, "note", "no_note", None, None))


def test_shares_and_their_standardized_difference() -> None:
    rows = stays(
        (120, None, None, "train", 0, {"group_sex": "f"}),
        (80, None, None, "train", 0, {"group_sex": "m"}),
        (30, "note", "no_note", None, None, {"group_sex": "f"}),
        (40, "note", "no_note", None, None, {"group_sex": "m"}),
        (10, "note", "late_note", None, None, {"group_sex": "f"}),
        (20, "note", "late_note", None, None, {"group_sex": "m"}),
    )
    found = compared(rows)
    assert (found["with"], found["without"]) == (200, 100)
    female = found["groups"]["sex"][0]
    assert (female["with"], female["without"]) == (120, 40)
    assert (female["share_with"], female["share_without"]) == (0.6, 0.4)
    assert female["smd"] == pytest.approx(0.2 / np.sqrt(0.24), rel=1e-5)
    assert found["groups"]["sex"][1]["smd"] == -female["smd"]


def test_means_and_their_standardized_difference() -> None:
    values = np.random.default_rng(1).normal([5] * 200 + [7] * 100)
    told = compared(with_feature(HALVES, values.tolist()))["features"]["x"]
    one, two = values[:200], values[200:]
    assert told["with"]["mean"] == pytest.approx(one.mean(), rel=1e-5)
    assert told["without"]["sd"] == pytest.approx(two.std(ddof=1), rel=1e-5)
    expected = (one.mean() - two.mean()) / np.sqrt((one.var(ddof=1) + two.var(ddof=1)) / 2)
    assert told["smd"] == pytest.approx(expected, rel=1e-4)
    assert told["with"]["missing"] == 0


@pytest.mark.parametrize(("ones", "shown"), [(0, True), (9, False), (10, True), (95, False), (100, True)])
def test_the_mean_of_zeros_and_ones_is_a_count(ones: int, shown: bool) -> None:
    told = compared(with_feature(HALVES, [0, 1] * 100 + [1] * ones + [0] * (100 - ones)))["features"]["x"]
    assert (told["without"]["mean"] is not None) == shown
    assert told["without"]["mean"] in (None, ones / 100)


@pytest.mark.parametrize(("missing", "share"), [(0, 0), (3, None), (12, 0.12), (95, None), (100, 1)])
def test_the_share_missing_is_a_count_too(missing: int, share: float | None) -> None:
    values = [*range(200), *([None] * missing), *range(100 - missing)]
    told = compared(with_feature(HALVES, values))["features"]["x"]
    assert told["without"]["missing"] == share
    assert (told["without"]["mean"] is None) == (missing > 90)
    assert (told["smd"] is None) == (missing > 90)


def test_with_nothing_to_compare_nothing_is_told() -> None:
    found = compared(stays((200, None, None, "train", 0, {"group_sex": "f"})))
    assert (found["with"], found["without"], found["groups"]) == (200, 0, {})
    assert found["features"]["age"]["smd"] is None
    hidden = compared(stays((200, None, None, "train", 0), (4, "note", "no_note", None, None)))
    assert (hidden["with"], hidden["without"], hidden["features"]) == (None, None, {})
