"""The certificate prints every check, zeros included; each leak that is planted here is caught."""

from typing import Any

import pytest

from leakage_evidence import CLEAN, LATE, SETTINGS, cleaned, evidence, pairs
from lib.leakage import certificate
from lib.revealing import Term


def certify(*rows: dict, settings: dict | None = None, **changes: Any) -> dict[str, Any]:
    return certificate(evidence(*rows, **changes), SETTINGS | (settings or {}))


def failed(found: dict) -> list[tuple[str, Any]]:
    return [(c["check"], c["value"]) for c in found["checks"] if c["verdict"] == "fail"]


def checks(found: dict) -> dict[str, dict]:
    by_name = {c["check"]: c for c in found["checks"]}
    assert len(by_name) == len(found["checks"])
    return by_name


def test_a_clean_cohort_passes_and_prints_its_zeros() -> None:
    found = certify(*CLEAN, LATE)
    assert found["verdict"] == "pass" and not failed(found)
    by_name = checks(found)
    assert by_name["patients in train and test"]["value"] == 0
    seen = by_name["patients of the temporal test seen in training"]
    assert (seen["value"], seen["verdict"], seen["detail"]) == (1, "reported", "of 1; figures are given for both")


@pytest.mark.parametrize(
    ("row", "check"),
    [
        ({"visit_id": 7, "person_id": 0, "part": "test", "day": 1}, "patients in train and test"),
        ({"visit_id": 0, "person_id": 7, "part": "tuning", "day": 1, "text": "x"}, "stays in train and tuning"),
        (
            {"visit_id": 7, "person_id": 7, "part": "test", "day": 1, "text": "text 0"},
            "identical texts in train and test",
        ),
        ({"visit_id": 7, "person_id": 7, "part": "train", "day": 336}, "label windows that reach the temporal test"),
        ({"visit_id": 7, "person_id": 7, "part": "temporal_test", "day": 9}, "temporal test rows before its first day"),
        (
            {"visit_id": 7, "person_id": 7, "part": "temporal_test", "day": 399, "text": "text 1"},
            "identical texts in temporal test and before",
        ),
    ],
)
def test_each_leak_is_caught(row: dict, check: str) -> None:
    found = certify(*CLEAN, LATE, row)
    assert failed(found) == [(check, 1)] and found["verdict"] == "fail"


TRAINING = {"visit_id": 0, "person_id": 0, "part": "train", "day": 0}
TESTS = [{"visit_id": 100 + i, "person_id": 100 + i, "part": "test", "day": 1} for i in range(200)]


@pytest.mark.parametrize(("alike", "verdict"), [(2, "pass"), (3, "fail")])
def test_near_duplicates_of_training_texts(alike: int, verdict: str) -> None:
    """1 % is allowed: 2 of 200. A row counts once, whichever side of a pair it stands on."""
    near = pairs((0, 100, False), (100, 0, False), (101, 0, False), (0, 102, False) if alike == 3 else (1, 2, False))
    name = "near-duplicates of another patient's training text in test"
    check = checks(certify(TRAINING, *TESTS, pairs=near))[name]
    assert (check["value"], check["limit"], check["verdict"]) == (alike / 200, 0.01, verdict)
    assert check["detail"] == f"{alike} of 200; Jaccard similarity of 5-word shingles of 0.8 and more"


def test_near_duplicates_of_the_same_patient_are_no_leak_between_parts() -> None:
    near = pairs((0, 9, True), (100, 101, False), (0, 50, False))
    by_name = checks(certify(TRAINING, LATE, *TESTS, pairs=near))
    assert by_name["near-duplicates of the same patient's earlier text in temporal test"]["value"] == 1
    assert by_name["near-duplicates of the same patient's earlier text in temporal test"]["verdict"] == "reported"
    others = [check for name, check in by_name.items() if name.startswith("near-duplicates of another")]
    assert [check["value"] for check in others] == [None, None, 0.0, 0.0]
    assert [check["verdict"] for check in others] == ["not verifiable", "not verifiable", "pass", "pass"]


def test_a_lower_bound_is_called_one() -> None:
    check = checks(certify(TRAINING, *TESTS, capped=3))["near-duplicates of another patient's training text in test"]
    assert "a lower bound, 3 buckets" in check["detail"]


def test_dropped_copies_are_counted_within_and_across_windows() -> None:
    fell = {"part": None, "step": "text", "reason": "duplicate text", "day": 50, "text": "text 1"}
    rows = [*CLEAN, fell | {"visit_id": 60, "person_id": 1}, fell | {"visit_id": 61, "person_id": 7}]
    rows.append(fell | {"visit_id": 62, "person_id": 8, "text": None})  # one that clean dropped, and counts
    by_name = checks(certify(*rows, cleaned=[cleaned(same=2), cleaned(other=4)]))
    assert by_name["copies of the same patient's text, dropped"]["value"] == 3
    other = by_name["copies of another patient's text, dropped"]
    assert (other["value"], other["verdict"]) == (5, "reported")
    assert other["detail"] == "of 206 texts; of identical ones the earliest is kept"


def word(auroc: float, name: str = "readmitted") -> Term:
    return Term(name, 1, auroc, 0.5, 0.1, 30)


@pytest.mark.parametrize(("auroc", "verdict"), [(0.75, "pass"), (0.7501, "fail")])
def test_a_word_that_tells_the_label(auroc: float, verdict: str) -> None:
    found = certify(*CLEAN, words=[word(auroc), word(0.61), word(0.6)])
    check = checks(found)["highest AUROC of a single word of the training texts"]
    assert (check["value"], check["verdict"]) == (auroc, verdict)
    assert checks(found)["words with an AUROC over 0.6"]["value"] == 2
    assert "readmitted" not in str(found)


@pytest.mark.parametrize("words", [None, []])
def test_too_few_rows_or_words_tell_nothing(words: list | None) -> None:
    check = checks(certify(*CLEAN, words=words))["highest AUROC of a single word of the training texts"]
    assert (check["value"], check["verdict"]) == (None, "not verifiable")


@pytest.mark.parametrize(("lost", "verdict"), [(3, "pass"), (4, "fail")])
def test_events_lost_to_late_filing(lost: int, verdict: str) -> None:
    """15 % are allowed: 3 of 20."""
    events = [{"visit_id": 300 + i, "person_id": 300 + i, "part": "train", "day": 1, "label": 1} for i in range(17)]
    gone = {"part": None, "step": "label", "reason": "event_before_index", "day": 1, "label": None}
    rows = [*events, *(gone | {"visit_id": 400 + i, "person_id": 1} for i in range(lost))]
    rows.append({"visit_id": 500, "person_id": 2, "part": None, "step": "text", "day": 1, "label": 1})
    name = "events lost because the note was filed after them"
    check = checks(certify(*rows))[name]
    assert (check["value"], check["verdict"]) == (round(lost / (17 + lost), 4), verdict)
    assert name not in checks(certify(*rows, settings={"kind": "bins"}))


def test_a_query_without_the_reason_for_lost_events_is_not_taken_for_none_lost() -> None:
    check = checks(certify(*CLEAN))["events lost because the note was filed after them"]
    assert (check["value"], check["verdict"]) == (None, "not verifiable")


def test_small_numbers_are_hidden_and_judged() -> None:
    found = certify(*CLEAN, LATE, settings={"min_cell": 10})
    seen = checks(found)["patients of the temporal test seen in training"]
    assert (seen["value"], seen["verdict"]) == (None, "reported") and "of hidden" in seen["detail"]
    assert not failed(found)
