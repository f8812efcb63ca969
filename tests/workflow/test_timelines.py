"""Every history of tests/timelines.yaml through the real queries and the real extract stage."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import omop_db
from lib.contract import REASONS

HISTORIES = yaml.safe_load((Path(__file__).parents[1] / "timelines.yaml").read_text(encoding="utf-8"))
COHORT_OF = {"readmission": "discharge", "mortality": "admission", "length_of_stay_days": "admission"}
COHORT_OF |= {"charlson": "admission", "denial": "admission"}


class Results:
    """What both cohorts say of all histories' stays, under the given clocks and settings, by person and stay."""

    def __init__(self, database: Path, clocks: dict[str, Any], changed: dict[str, Any], **sql: str) -> None:
        self.texts: dict[str, list[dict[str, Any]]] = {}
        self.labels: dict[str, dict[int, dict[str, Any]]] = {}
        for cohort in ("discharge", "admission"):
            given = omop_db.settings(cohort, "text", clocks.get("window", omop_db.WINDOW), **changed)
            self.texts[cohort] = omop_db.run(database, given).to_pylist()
            query = sql if cohort == "discharge" else {}
            rows = omop_db.run(database, omop_db.settings(cohort, "labels", **clocks, **query, **changed)).to_pylist()
            self.labels[cohort] = {row["visit_id"]: row for row in rows}

    def differences(self, person: int, expected: dict[int, dict[str, Any]]) -> Iterator[str]:
        """One line for each expectation of the history of `person` that does not hold."""
        for stay, facts in expected.items():
            for name, value in facts.items():
                found = dict(self._found(person * 1000 + stay, name, value))
                wanted = value if isinstance(value, dict) else dict.fromkeys(found, _plain(value))
                if found != {key: _plain(v) for key, v in wanted.items()}:
                    yield f"stay {stay}, {name}: expected {value}, found {found}"

    def _found(self, stay: int, name: str, value: Any) -> Iterator[tuple[str, Any]]:
        if name in ("discharge", "admission"):
            row = self.labels[name].get(stay)
            yield name, "no row" if row is None else _minutes(row["index_time"])
        elif name in COHORT_OF:
            row = self.labels[COHORT_OF[name]][stay]
            yield name, row[f"label_{name}"] if row[f"reason_{name}"] is None else row[f"reason_{name}"]
        elif name.endswith("_department"):
            yield name, self.labels[name.removesuffix("_department")][stay]["group_department"]
        elif name.endswith("_texts"):
            rows = self.texts[name.removesuffix("_texts")]
            yield name, [row["text"] for row in rows if row["visit_id"] == stay]
        elif name == "features":
            for feature in value:
                rows = [rows[stay] for rows in self.labels.values() if stay in rows]
                seen = {row[f"feature_{feature}"] for row in rows if f"feature_{feature}" in row}
                yield feature, seen.pop() if len(seen) == 1 else f"different: {seen}"
        else:
            raise KeyError(name)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):  # YAML reads a time with seconds as one
        return str(value)
    return None if value == "none" else value


def _minutes(moment: Any) -> str | None:
    """As the histories write it: seconds only where there are any."""
    return None if moment is None else str(moment).removesuffix(":00")


def _cases(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"with": {}, "expect": told["expect"]}, *told.get("also", ())]


def _clocks(told: dict[str, Any]) -> dict[str, Any]:
    return {key: told[key] for key in ("window", "known_until") if key in told}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All histories in one hospital, a person each: person n is history n - 1."""
    path = tmp_path_factory.mktemp("timelines") / "hospital.sqlite"
    with omop_db.Hospital(path) as hospital:
        for person, told in enumerate(HISTORIES, 1):
            hospital.history(told, person)
    return path


@pytest.fixture(scope="module")
def results(database: Path) -> Callable[[dict[str, Any], dict[str, Any]], Results]:
    """Extraction under given clocks and settings, done once for all histories that ask for the same."""
    done: dict[str, Results] = {}

    def extracted(clocks: dict[str, Any], changed: dict[str, Any]) -> Results:
        key = repr((clocks, changed))
        if key not in done:
            done[key] = Results(database, clocks, changed)
        return done[key]

    return extracted


@pytest.mark.parametrize("person", range(1, len(HISTORIES) + 1), ids=[told["name"] for told in HISTORIES])
def test_history(results: Callable[..., Results], person: int) -> None:
    told = HISTORIES[person - 1]
    for case in _cases(told):
        found = results(_clocks(told), case["with"])
        assert list(found.differences(person, case["expect"])) == [], (
            f"{told['because']} ({case['with'] or 'defaults'})"
        )


def test_both_queries_of_a_cohort_have_the_same_clock(results: Callable[..., Results]) -> None:
    for changed in ({}, {"use_dates": False}, {"max_delay_hours": 24}):
        found = results({}, changed)
        for cohort, texts in found.texts.items():
            placed = {s: r["index_time"] for s, r in found.labels[cohort].items() if r["index_time"]}
            assert {row["visit_id"]: row["index_time"] for row in texts} == placed


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("event_time <= horizon_time", "event_time < horizon_time"),
        ("date(other.start_time) > date(placed.anchor_time)", "other.start_time > placed.anchor_time"),
        ("WHEN in_hospital = 1 THEN 'still_in_hospital'", ""),
        ("AND other.end_time <= placed.seen_time", ""),
        ("AND note.person_id = stay.person_id", ""),
    ],
)
def test_a_wrong_query_is_caught(database: Path, tmp_path: Path, right: str, wrong: str) -> None:
    """Each of these plausible mistakes in the query for readmission contradicts at least one history."""
    sql = (omop_db.ROOT / omop_db.OMOP / "discharge.labels.sql").read_text(encoding="utf-8")
    assert right in sql
    query = tmp_path / "wrong.labels.sql"
    query.write_text(sql.replace(right, wrong), encoding="utf-8")
    found = Results(database, {}, {}, sql=str(query))
    plain = [(p, told) for p, told in enumerate(HISTORIES, 1) if not _clocks(told)]
    assert any(list(found.differences(p, told["expect"])) for p, told in plain)


def test_histories_are_many_and_cover_every_reason() -> None:
    facts = [facts for told in HISTORIES for case in _cases(told) for facts in case["expect"].values()]
    assert len(HISTORIES) >= 30
    assert len({h["name"] for h in HISTORIES}) == len(HISTORIES)
    assert set(REASONS) <= {value for stay in facts for value in stay.values() if isinstance(value, str)}


def test_every_choice_is_tried_on_both_sides() -> None:
    tried = {name for told in HISTORIES for case in told.get("also", ()) for name in case["with"]}
    parameters = set(omop_db.PARAMETERS["discharge"]) | set(omop_db.PARAMETERS["admission"])
    codings = {"inpatient_visits", "emergency_visits", "note_classes", "addendum_titles", "still_patient", "died"}
    codings |= {"against_advice", "newborn_age_days", "icd10_from", "paid_statuses", "denied_statuses"}
    assert parameters - codings == tried


def test_shipped_defaults_are_the_tested_ones() -> None:
    shipped = yaml.safe_load((omop_db.ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["cohorts"]
    for cohort, parameters in omop_db.PARAMETERS.items():
        assert shipped[cohort]["parameters"] == parameters
        for label, clock in shipped[cohort]["labels"].items():
            assert (clock["horizon_days"], clock.get("maturity_days", 0)) == omop_db.CLOCKS[label]
