"""What is known of time is counted, what is not is not verifiable; windows and parts are in order."""

from typing import Any

import pytest

from leakage_evidence import CLEAN, LATE, SETTINGS, extracted, table
from lib.note_times import of_time
from lib.verdicts import Checks


def timed(*rows: dict, extracts: list | None = None, **changes: Any) -> dict[str, dict]:
    settings = SETTINGS | changes
    found = of_time(Checks(settings["min_cell"]), table(*rows), extracts or [extracted(filed=5)], settings)
    return {check["check"]: check for check in found}


def test_each_kind_of_time_has_a_line_of_its_own() -> None:
    found = timed(*CLEAN, extracts=[extracted(written=20, date=3), extracted(written=10, none=2)])
    names = ("filed after", "written after", "dated after the day of")
    checks = [found[f"notes {name} the index time"] for name in names]
    assert [check["verdict"] for check in checks] == ["not verifiable", "pass", "pass"]
    assert [check["value"] for check in checks] == [None, 0, 0]
    assert checks[0]["detail"] == "no note has such a time; of 35: 0 filed, 30 written, 3 date, 2 none"
    assert checks[1]["detail"] == "checked by extract on 30 of 35 notes"
    assert (found["notes without a time"]["value"], found["notes without a time"]["detail"]) == (2, "of 35")


def test_a_source_without_any_time_verifies_nothing() -> None:
    found = timed(*CLEAN, extracts=[extracted(none=5)], temporal_from=None)
    verdicts = [found[name]["verdict"] for name in found if "after" in name or "windows" in name]
    assert verdicts == ["not verifiable"] * 4


def test_hours_from_the_anchor() -> None:
    rows = [row | {"hours": hours} for row, hours in zip(CLEAN, (1, 2, 3, 50.2), strict=True)]
    found = timed(*rows)
    hours = [found[name]["value"] for name in found if name.startswith("hours")]
    assert hours == [2.5, 36.0, 51]
    hidden = timed(*rows, min_cell=10)
    assert {hidden[name]["value"] for name in hidden if name.startswith("hours")} == {None}
    for changes in ({"anchor": "none"}, {}):
        unknown = timed(*(rows if changes else []), **changes)
        assert {unknown[n]["verdict"] for n in unknown if n.startswith("hours")} == {"not verifiable"}


@pytest.mark.parametrize(
    ("day", "reaching", "late"), [(325, 0, 0), (326, 0, 1), (335, 0, 1), (336, 1, 1)], ids=lambda value: str(value)
)
def test_horizon_and_maturity_before_the_temporal_test(day: int, reaching: int, late: int) -> None:
    """2021-01-01 is day 366: a window of 30 days reaches it from day 336, with 10 days of maturity from 326."""
    found = timed(*CLEAN, LATE, {"visit_id": 7, "person_id": 7, "part": "train", "day": day})
    check = found["label windows that reach the temporal test"]
    assert (check["value"], check["verdict"]) == (reaching, "fail" if reaching else "pass")
    check = found["earlier labels complete only in the temporal test's time"]
    assert (check["value"], check["verdict"]) == (late, "reported")
    assert check["detail"] == "of 5 rows; 40 days after the prediction, horizon and maturity"


@pytest.mark.parametrize(("person", "day", "reaching"), [(0, 369, 0), (0, 370, 1), (0, 500, 1), (7, 399, 0)])
def test_of_periods_only_a_patients_own_dates_are_in_order(person: int, day: int, reaching: int) -> None:
    """Patient 0 is in the temporal test from day 400 on; a training row after it is as wrong as one just before."""
    row = {"visit_id": 7, "person_id": person, "part": "train", "day": day}
    found = timed(*CLEAN[1:], LATE, row, temporal_from=None, temporal_periods=["2020 - 2022"])
    check = found["label windows that reach the temporal test"]
    assert (check["value"], check["verdict"]) == (reaching, "fail" if reaching else "pass")
    assert found["temporal test rows before its first day"]["verdict"] == "not verifiable"
