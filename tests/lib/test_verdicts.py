"""Both sides of a limit; numbers of few rows are hidden, and a verdict is given all the same."""

import pytest

from lib.verdicts import Checks

CHECKS = Checks(min_cell=10)


@pytest.mark.parametrize(
    ("value", "of", "shown", "verdict"),
    [
        (0, 500, 0.0, "pass"),
        (10, 500, 0.02, "pass"),
        (11, 500, 0.022, "fail"),
        (3, 500, None, "pass"),
        (3, 100, None, "fail"),
        (95, 100, None, "fail"),
        (0, 0, None, "not verifiable"),
    ],
)
def test_a_share_and_its_limit(value: int, of: int, shown: float | None, verdict: str) -> None:
    check = CHECKS.share("x", value, of, 0.02, "of rows")
    assert (check["value"], check["verdict"]) == (shown, verdict)
    if shown is None and of:
        assert check["detail"] == f"hidden of {of}; of rows"


def test_a_count_that_must_be_zero_is_told_when_it_is_not() -> None:
    assert CHECKS.none("x", 0, "")["verdict"] == "pass"
    assert (CHECKS.none("x", 1, "")["verdict"], CHECKS.none("x", 1, "")["value"]) == ("fail", 1)


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (1, None), (10, 10), (95, None), (100, 100)])
def test_a_count_without_a_limit_is_reported(value: int, shown: int | None) -> None:
    check = CHECKS.count("x", value, 100)
    assert (check["value"], check["limit"], check["verdict"], check["detail"]) == (shown, None, "reported", "of 100")


def test_without_small_cells_all_is_shown() -> None:
    assert Checks(0).count("x", 1, 100)["value"] == 1
