"""What fitted parts have seen: each check on both sides, and what is not known is not verifiable."""

from typing import Any

import pytest

from lib.certificate import Fitted, checks, page

PARTS = {"train": "a" * 64, "tuning": "b" * 64}
MODEL = {"data": PARTS}
TOKENIZER = {"seen": {"parts": {"train": 7}, "rows": 7, "patients": 5}}
EVALUATED = {
    "threshold": {"part": "calibration", "value": 0.2},
    "recalibration": {"fitted_on": "calibration", "parameters": {"slope": 1.0}},
}


def fitted(**changes: Any) -> Fitted:
    whole: dict[str, Any] = {
        "models": {"tiny/all-0": MODEL},
        "parts": {"tiny/all-0": PARTS},
        "tokenizers": {"notes": TOKENIZER},
        "evaluated": [EVALUATED],
        "starts": {"tiny/all-0": True},
    }
    return Fitted(**(whole | changes))


def verdicts(**changes: Any) -> dict[str, tuple[Any, str]]:
    return {one["check"]: (one["value"], one["verdict"]) for one in checks(fitted(**changes))}


def test_a_sound_task_passes_with_its_zeros() -> None:
    found = verdicts()
    assert len(found) == 6 and set(found.values()) == {(0, "pass")}


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"models": {"tiny/all-0": {"data": PARTS | {"train": "c" * 64}}}}, "models fitted on other rows than the tr"),
        ({"models": {"tiny/all-0": {"data": PARTS | {"tuning": "c" * 64}}}}, "models chosen on other rows"),
        ({"tokenizers": {"notes": {"seen": TOKENIZER["seen"] | {"parts": {"train": 6, "test": 1}}}}}, "rows of other"),
        ({"evaluated": [EVALUATED | {"threshold": {"part": "test", "value": 0.2}}]}, "thresholds fitted on other rows"),
        (
            {"evaluated": [EVALUATED | {"recalibration": {"fitted_on": "test", "parameters": {}}}]},
            "recalibrations fitted on other rows",
        ),
    ],
)
def test_each_leak_is_caught(changes: dict[str, Any], check: str) -> None:
    failed = [(name, value) for name, (value, verdict) in verdicts(**changes).items() if verdict == "fail"]
    assert len(failed) == 1 and failed[0][0].startswith(check) and failed[0][1] == 1


def test_what_others_trained_is_not_verifiable() -> None:
    found = verdicts(tokenizers={"notes": {"seen": "not verifiable"}}, starts={"tiny/all-0": False})
    assert sorted(value for value in found.values() if value[0] is None) == [(None, "not verifiable")] * 2


def test_a_threshold_that_could_not_be_chosen_is_none() -> None:
    none = {"threshold": {"part": "calibration", "value": None, "reason": "few"}, "recalibration": None}
    details = {one["check"].split()[0]: one["detail"] for one in checks(fitted(evaluated=[none]))}
    assert details["thresholds"] == details["recalibrations"] == "of 0"


def test_the_page_tells_of_openings_and_escapes() -> None:
    settings = {"task": {"name": "t", "title": "Ward <b>"}, "evaluation": "development"}
    whole = {"data": list(checks(fitted())), "fitted": []}
    told = page(settings, whole, [])
    assert "Ward &lt;b&gt;" in told and "<b>" not in told and "shut" in told and "never opened" in told
    one = {"first": "2026-01-01", "last": "2026-02-01", "config": "abc", "models": ["m"], "predictions": 3}
    told = page(settings | {"evaluation": "final"}, whole, [one])
    assert "The test parts are open; opened under 1 configuration" in told and "2026-02-01" in told
