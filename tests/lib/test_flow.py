"""The cohort flow starts at stays, never increases, adds up, and hides small cells."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.flow import cohort_flow

SCHEMA = pa.schema(
    [
        ("person_id", pa.int64()),
        ("step", pa.string()),
        ("reason", pa.string()),
        ("part", pa.string()),
        ("label", pa.int64()),
    ]
)


def stays(*described: tuple) -> pa.Table:
    """(count, step, reason, part, label) -> rows; every stay a patient of its own."""
    rows: list[dict] = []
    for count, step, reason, part, label in described:
        for _ in range(count):
            rows.append({"person_id": len(rows), "step": step, "reason": reason, "part": part, "label": label})
    return pa.Table.from_pylist(rows, SCHEMA)


ROWS = stays(
    (50, None, None, "train", 0),
    (20, None, None, "train", 1),
    (30, None, None, "test", 0),
    (12, "note", "no_note", None, None),
    (15, "text", "short", None, 0),
    (11, "label", "died_in_hospital", None, None),
    (40, "label", "uncoded", None, None),
)


def test_it_starts_at_stays_and_adds_up() -> None:
    flow = cohort_flow(ROWS, "t", 2, 10, 0)
    assert [(s["step"], s["stays"]) for s in flow["steps"]] == [
        ("stays", 178), ("note", 166), ("text", 151), ("label", 100), ("gap", 100),
    ]  # fmt: skip
    assert flow["steps"][3]["dropped"] == [
        {"reason": "died_in_hospital", "stays": 11},
        {"reason": "uncoded", "stays": 40},
    ]
    assert flow["steps"][4]["events"] == 20
    assert {part: f["stays"] for part, f in flow["parts"].items()} == {"test": 30, "train": 70}


def test_small_cells_and_their_complements_are_hidden() -> None:
    rows = stays(
        (50, None, None, "train", 0), (3, "label", "uncoded", None, None), (40, "label", "no_claim", None, None)
    )
    step = cohort_flow(rows, "t", 2, 10, 0)["steps"][3]
    assert {d["reason"]: d["stays"] for d in step["dropped"]} == {"no_claim": None, "uncoded": None}
    assert cohort_flow(rows, "t", 2, 1, 0)["steps"][3]["dropped"][1]["stays"] == 3


REASONS = [(None, None), ("note", "no_note"), ("text", "short"), ("label", "uncoded"), ("gap", "gap")]


@given(st.lists(st.tuples(st.sampled_from(REASONS), st.integers(0, 3)), max_size=60))
def test_no_step_increases_and_the_sums_are_exact(drawn) -> None:
    rows = pa.Table.from_pylist(
        [{"person_id": p, "step": s, "reason": r, "part": None if s else "train", "label": 0} for (s, r), p in drawn],
        SCHEMA,
    )
    steps = cohort_flow(rows, "t", 2, 1, 0)["steps"]
    assert steps[0]["stays"] == len(drawn)
    for before, after in pairwise(steps):
        assert before["stays"] - sum(d["stays"] for d in after["dropped"]) == after["stays"]
        assert before["patients"] >= after["patients"]


def test_rows_without_a_part_or_a_step_are_a_defect() -> None:
    with pytest.raises(AssertionError, match="do not add up"):
        cohort_flow(stays((5, None, None, None, 0)), "t", 2, 1, 0)


@pytest.mark.parametrize(("opted_out", "min_cell", "shown"), [(0, 10, 0), (9, 10, None), (10, 10, 10), (1, 1, 1)])
def test_stays_of_patients_who_opted_out_are_counted_apart(opted_out: int, min_cell: int, shown: int | None) -> None:
    flow = cohort_flow(ROWS, "t", 2, min_cell, opted_out)
    assert flow["opted_out"] == shown
    assert flow["steps"][0]["stays"] == 178
