"""What is shown of a cohort: small cells hidden, and nothing that gives them away."""

import doctest
import random
from datetime import date
from typing import Any

from lib import source_months
from lib.source_months import periods, shown
from lib.windows import calendar
from source_rows import counted, note, stay

MONTHS = [month for month, _ in calendar(date(2020, 1, 1), date(2022, 1, 1))]


def hospital(a_month: int, seed: int = 1) -> tuple[Any, Any]:
    draw = random.Random(seed)
    stays, notes = [], []
    for number, month in enumerate(MONTHS):
        for i in range(a_month):
            visit, has = number * 10_000 + i, draw.random() < 0.9
            known = has and draw.random() < 0.8
            at = f"{month}-10 10:00:00"
            stays.append(stay(visit, at, 2 if has else None, int(draw.random() < 0.1) if known else None))
            stays[-1]["label_days"] = draw.randrange(9) if known else None
            if has:
                notes.append(note(visit, "x" * draw.randrange(100, 9000), f"{month}-10 12:00:00"))
    return counted(stays, notes)


def test_the_examples() -> None:
    assert doctest.testmod(source_months).failed == 0


def test_periods_are_as_long_as_it_takes() -> None:
    for a_month, length, name in ((120, 24, "2020-03"), (40, 8, "2020Q1"), (2, 2, "2020")):
        found = periods(hospital(a_month)[0], MONTHS, 10)
        assert len(found) == length and name in found
        assert [month for held in found.values() for month in held] == MONTHS
    assert len(periods(hospital(1)[0], MONTHS, 0)) == 24


def test_everything_is_shown_where_no_cell_is_small() -> None:
    stays, notes = hospital(400)
    found = shown(stays, notes, MONTHS, 10)
    assert found["labels"] == {"back": "binary", "days": "number"}
    row, true = found["periods"][4], stays.months["2020-05"]
    assert (row["stays"], row["with_note"]) == (400, true["with_note"])
    assert row["labels"]["back"]["known"] == true["labelled", "back"]
    assert abs(row["labels"]["back"]["mean"] - true["ones", "back"] / true["labelled", "back"]) <= 0.005
    assert abs(row["labels"]["days"]["mean"] - 4) < 0.5
    assert row["lag_minutes"] == {"median": 120, "high": 120} and 4000 < row["characters"]["median"] < 5000
    assert found["total"]["stays"] == 400 * 24 == sum(one["stays"] for one in found["periods"])
    assert found["total"]["labels"]["back"]["known"] == sum(r["labels"]["back"]["known"] for r in found["periods"])


def test_no_small_cell_is_shown_or_follows_from_two_that_are() -> None:
    hidden = 0
    for a_month in (9, 60, 120):
        stays, notes = hospital(a_month, a_month)
        found = shown(stays, notes, MONTHS, 10)
        for row in [*found["periods"], found["total"]]:
            counts = [row["stays"], row["with_note"], *(label["known"] for label in row["labels"].values())]
            hidden += counts.count(None)
            told = [count for count in counts if count is not None]
            assert not [n for n in told if 0 < n < 10]
            if row["with_note"] is not None and row["stays"] is not None:
                assert row["stays"] - row["with_note"] not in range(1, 10)
            for name, label in row["labels"].items():
                if label["known"] is not None and row["with_note"] is not None:
                    assert row["with_note"] - label["known"] not in range(1, 10)
                if found["labels"][name] == "binary" and None not in (label["known"], label["mean"]):
                    assert round(label["known"] * label["mean"]) == 0 or label["known"] * label["mean"] > 9
    assert hidden, "the test's hospital has small cells"


def test_one_hidden_period_does_not_follow_from_the_total() -> None:
    stays, notes = hospital(120)
    stays.months["2020-07"]["with_note"] = 117
    found = shown(stays, notes, MONTHS, 10)
    hidden = [row for row in found["periods"] if row["with_note"] is None]
    assert len(hidden) > 1 or found["total"]["with_note"] is None


def test_lengths_of_few_texts_are_hidden_and_where_none_was_read_nothing_is() -> None:
    stays, notes = hospital(120)
    del notes.lengths["2020-02"]
    notes.lengths["2020-03"].counts.clear()
    notes.lengths["2020-03"].add([5] * 9)
    found = shown(stays, notes, MONTHS, 10)
    assert [row["characters"] for row in found["periods"][1:3]] == [None, {}]
