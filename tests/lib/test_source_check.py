"""What a run needs of the columns, and which windows' texts are read."""

from itertools import pairwise
from typing import Any

import pytest

from lib.source_check import missing, spread, uneven_keys

LABELS = ["visit_id", "person_id", "label_back", "reason_back", "feature_age", "group_ward"]
SETTINGS: dict[str, Any] = {
    "tasks": {"back": {"cohort": "stays", "label": "back"}},
    "features": "structured",
    "groups": ["ward"],
}


def test_nothing_is_missing() -> None:
    assert missing({"stays": LABELS}, SETTINGS) == []


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("label_back", "task back: cohort stays, labels query: there is no 'label_back'"),
        ("feature_age", "baseline structured: cohort stays, labels query: there is no feature_* column"),
        ("group_ward", "share.groups: cohort stays, labels query: there is no 'group_ward'"),
    ],
)
def test_what_a_run_needs_is_told_by_who_needs_it(gone: str, told: str) -> None:
    (line,) = missing({"stays": [name for name in LABELS if name != gone]}, SETTINGS)
    assert line.startswith(told)


def test_the_nearest_label_is_proposed() -> None:
    (line,) = missing({"stays": [name.replace("_back", "_bakc") for name in LABELS]}, SETTINGS)
    assert "did you mean 'label_bakc'?" in line


def test_all_that_is_missing_is_told_together_and_once_a_cohort() -> None:
    settings = SETTINGS | {"tasks": SETTINGS["tasks"] | {"died": {"cohort": "stays", "label": "died"}}}
    assert len(missing({"stays": ["visit_id", "label_other"]}, settings)) == 4


def test_what_no_task_needs_may_be_missing_and_a_failed_query_is_passed_over() -> None:
    assert missing({"stays": LABELS, "unused": ["visit_id"]}, SETTINGS) == []
    assert missing({}, SETTINGS) == []
    assert missing({"stays": LABELS[:4]}, SETTINGS | {"features": None, "groups": []}) == []


def test_cohorts_that_split_by_different_keys_are_told() -> None:
    (line,) = uneven_keys({"a": [*LABELS, "split_key"], "b": LABELS})
    assert line.startswith("a split by split_key, b by person_id")
    assert uneven_keys({"a": LABELS, "b": LABELS}) == uneven_keys({"a": ["split_key"], "b": ["split_key"]}) == []


@pytest.mark.parametrize(("total", "wanted"), [(1, 2), (12, 12), (13, 12), (132, 12), (132, 2), (3, 2)])
def test_windows_are_spread_evenly_with_both_ends(total: int, wanted: int) -> None:
    chosen = spread(total, wanted)
    assert len(chosen) == len(set(chosen)) == min(total, wanted)
    assert chosen[0] == 0 and chosen[-1] == total - 1
    steps = [b - a for a, b in pairwise(chosen)]
    assert not steps or max(steps) - min(steps) <= 1
