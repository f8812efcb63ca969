"""Every history of tests/timelines.yaml through the real queries and the real extract stage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import omop_db
import tried
from lib.contract import REASONS
from wrong_queries import WRONG, Wrong

HISTORIES = yaml.safe_load((Path(__file__).parents[1] / "timelines.yaml").read_text(encoding="utf-8"))
PERSON = {told["name"]: person for person, told in enumerate(HISTORIES, 1)}


def _cases(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"with": {}, "expect": told["expect"]}, *told.get("also", ())]


def _given(told: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    return {key: told[key] for key in ("window", "known_until") if key in told} | case["with"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All histories in one hospital, a person each: person n is history n - 1."""
    return tried.hospital(tmp_path_factory.mktemp("timelines"), dict(enumerate(HISTORIES, 1)))


@pytest.fixture(scope="module")
def answers(database: Path) -> Callable[[dict[str, Any]], tried.Answers]:
    """Extraction under given clocks and settings, done once for all histories that ask for the same."""
    done: dict[str, tried.Answers] = {}

    def extracted(given: dict[str, Any]) -> tried.Answers:
        key = repr(given)
        if key not in done:
            done[key] = tried.Answers(database, given)
        return done[key]

    return extracted


@pytest.mark.parametrize("name", PERSON)
def test_history(answers: Callable[..., tried.Answers], name: str) -> None:
    told = HISTORIES[PERSON[name] - 1]
    for case in _cases(told):
        found = answers(_given(told, case))
        assert list(tried.differences(found, PERSON[name], case["expect"])) == [], (
            f"{told['because']} ({case['with'] or 'defaults'})"
        )


@pytest.mark.parametrize("name", PERSON)
def test_oracles_agree_with_the_history(name: str) -> None:
    """The oracles that judge random histories know what clinicians have said of the named ones."""
    told = HISTORIES[PERSON[name] - 1]
    for case in _cases(told):
        said: dict[int, dict[str, Any]] = {number: {} for number in told["stays"]}
        for cohort in tried.ORACLES:
            for number, row in tried.by_oracle(cohort, told, _given(told, case)).items():
                said[number] |= row
        for number, facts in case["expect"].items():
            known = {key: tried.plain(value) for key, value in facts.items() if key in said[number]}
            assert {key: said[number][key] for key in known} == known, (told["because"], case["with"])


def test_both_queries_of_a_cohort_have_the_same_clock(answers: Callable[..., tried.Answers]) -> None:
    for changed in ({}, {"use_dates": False}, {"max_delay_hours": 24}):
        found = answers(changed).rows
        for cohort in tried.LABELS:
            placed = {stay: row["index_time"] for stay, [row] in found[cohort, "labels"].items() if row["index_time"]}
            assert {s: row["index_time"] for s, rows in found[cohort, "text"].items() for row in rows} == placed


@pytest.fixture
def caught(database: Path, answers: Callable[..., tried.Answers], tmp_path: Path) -> Callable[[Wrong], bool]:
    def contradicted(wrong: Wrong) -> bool:
        told, sql = HISTORIES[PERSON[wrong.history] - 1], wrong.written(tmp_path)
        for case in _cases(told):
            given = _given(told, case)
            found = answers(given).but(tried.Answers(database, given, sql, sql))
            if list(tried.differences(found, PERSON[wrong.history], case["expect"])):
                return True
        return False

    return contradicted


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.task}: {wrong.mistake}")
def test_a_wrong_query_is_caught(caught: Callable[[Wrong], bool], wrong: Wrong) -> None:
    assert caught(wrong)


def test_features_from_stays_that_go_on_are_caught(caught: Callable[[Wrong], bool]) -> None:
    right, history = "AND other.end_time <= placed.seen_time", "A short stay inside a long one"
    assert caught(Wrong("readmission", "", right, "", history, cohort="discharge"))


def test_histories_are_many_and_cover_every_reason() -> None:
    facts = [facts for told in HISTORIES for case in _cases(told) for facts in case["expect"].values()]
    assert len(HISTORIES) >= 30
    assert len(PERSON) == len(HISTORIES)
    assert set(REASONS) <= {value for stay in facts for value in stay.values() if isinstance(value, str)}


def test_every_choice_is_tried_on_both_sides() -> None:
    tried_here = {name for told in HISTORIES for case in told.get("also", ()) for name in case["with"]}
    parameters = set(omop_db.PARAMETERS["discharge"]) | set(omop_db.PARAMETERS["admission"])
    codings = {
        "inpatient_visits",
        "emergency_visits",
        "note_classes",
        "note_types",
        "addendum_titles",
        "still_patient",
        "died",
    }
    codings |= {"against_advice", "newborn_age_days", "icd10_from", "paid_statuses", "denied_statuses"}
    assert parameters - codings == tried_here


def test_shipped_defaults_are_the_tested_ones() -> None:
    shipped = yaml.safe_load((omop_db.ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["cohorts"]
    for cohort, parameters in omop_db.PARAMETERS.items():
        assert shipped[cohort]["parameters"] == parameters
        for label, clock in shipped[cohort]["labels"].items():
            assert (clock["horizon_days"], clock.get("maturity_days", 0)) == omop_db.CLOCKS[label]
