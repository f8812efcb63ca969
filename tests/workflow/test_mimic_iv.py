"""MIMIC-IV's cohort: every history of tests/mimic_timelines.yaml through the real queries and the real stage."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import mimic_db
import mimic_patients
import omop_db
import readmission_oracle
from tried import plain

HISTORIES = yaml.safe_load((mimic_db.ROOT / "tests/mimic_timelines.yaml").read_text(encoding="utf-8"))
PERSON = {told["name"]: person for person, told in enumerate(HISTORIES, 1)}
EXAMPLE = yaml.safe_load((mimic_db.ROOT / "config/examples/mimic-iv.yaml").read_text(encoding="utf-8"))
LABELS = ("readmission", "death", "charlson")

Answers = dict[str, dict[str, list[dict[str, Any]]]]  # by kind of query, then by stay


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All histories in one hospital, a person each: person n is history n - 1."""
    path = tmp_path_factory.mktemp("mimic") / "mimic.sqlite"
    with mimic_db.Database(path) as hospital:
        for person, told in enumerate(HISTORIES, 1):
            hospital.history(told, person)
    return path


@pytest.fixture(scope="module")
def answers(database: Path) -> Callable[[dict[str, Any]], Answers]:
    """Both queries under given settings, asked once for all histories that want the same."""
    done: dict[str, Answers] = {}

    def asked(given: dict[str, Any]) -> Answers:
        if repr(given) not in done:
            found: Answers = {"text": {}, "labels": {}}
            for kind, by_visit in found.items():
                for row in mimic_db.run(database, kind, **given).to_pylist():
                    by_visit.setdefault(row["visit_id"], []).append(row)
            done[repr(given)] = found
        return done[repr(given)]

    return asked


def said(found: Answers, visit: str) -> Any:
    """What the queries say of a stay, in the words of `expect`."""
    if visit not in found["labels"]:
        return "no row"
    [row] = found["labels"][visit]
    notes = found["text"].get(visit, [])
    out: dict[str, Any] = {name: row[f"label_{name}"] for name in LABELS if row[f"reason_{name}"] is None}
    out |= {name: row[f"reason_{name}"] for name in LABELS if row[f"reason_{name}"] is not None}
    clocks = {note["index_time"] for note in notes} or {row["index_time"]}
    out["index"] = plain(row["index_time"]) if clocks == {row["index_time"]} else "differs between the queries"
    out |= {"texts": [note["text"] for note in notes]}
    out["kinds"] = [note["note_time_kind"] for note in notes]
    for prefix in ("feature", "group"):
        out[f"{prefix}s"] = {n.removeprefix(f"{prefix}_"): plain(v) for n, v in row.items() if n.startswith(prefix)}
    return out


def differences(asked: Callable[[dict[str, Any]], Answers], name: str) -> list[str]:
    """A line for each expectation of a history that does not hold."""
    told, found = HISTORIES[PERSON[name] - 1], []
    for case in ({"with": {}, "expect": told["expect"]}, *told.get("also", ())):
        for stay, expected in case["expect"].items():
            given = said(asked(case["with"]), str(PERSON[name] * 1000 + stay))
            where = f"stay {stay} with {case['with']}"
            if "no row" in (expected, given):
                found += [f"{where}: {given}"] * (given != expected)
                continue
            for key, value in expected.items():
                asked_for = {n: given[key].get(n) for n in value} if isinstance(value, dict) else given[key]
                found += [f"{where}: {key} is {asked_for}, not {value}"] * (asked_for != plain(value))
    return found


@pytest.mark.parametrize("name", PERSON)
def test_history(answers: Callable[..., Answers], name: str) -> None:
    assert differences(answers, name) == [], HISTORIES[PERSON[name] - 1]["because"]


# A query, what is right in it, a mistake that is easily made, and a history that tells.
WRONG = [
    ("labels", "WHEN discharge.storetime IS NOT NULL THEN", "WHEN 1 = 0 THEN", "Filed two days after discharge"),
    (
        "text",
        "WHERE available <= index_time",
        "WHERE available < index_time",
        "An addendum in time and one too late",
    ),
    ("text", "AND discharge.subject_id = stay.subject_id", "", "A radiology report, and a summary under another"),
    ("text", "THEN date(charted) || ' 23:59:59'", "THEN charted", "No storetime, charted at midnight"),
    (
        "labels",
        "THEN date(discharge.charttime) || ' 23:59:59'",
        "THEN discharge.charttime",
        "No storetime, charted at m",
    ),
    ("labels", "discharge.note_type IN (:addendum_types) THEN 1", "1 = 0 THEN 1", "An addendum and no summary"),
    ("labels", "OR hospital_expire_flag = 1", "", "Died in hospital by the flag alone"),
    ("labels", "death_date <= date(placed.anchor_time)", "death_time <= placed.anchor_time", "Discharged home, died"),
    ("labels", "death_date <= death_horizon_date", "death_time <= horizon_time", "Died on calendar day 30"),
    ("labels", "WHEN death_time <= index_time", "WHEN death_date <= date(index_time)", "Died on the day the summary"),
    ("labels", "coalesce(in_hospital_death.death_time,", "coalesce(NULL,", "Came back and died in hospital before"),
    ("labels", ":death_horizon_days > 365", "1 = 0", "Alive a year later, asked about 400 days"),
    (
        "labels",
        "placed.anchor_time) AS INTEGER) - patients.anchor_year AS",
        "'2150') AS INTEGER) - 2150 AS",
        "The last y",
    ),
    (
        "labels",
        "AND CASE WHEN other.admission_type IN (:planned_values)",
        "AND CASE WHEN 1 = 0",
        "Readmitted for a planned",
    ),
    ("labels", "WHEN 9 THEN 'ICD9CM'", "WHEN 9 THEN 'ICD10CM'", "Codes of both systems, padded"),
    ("labels", "datetime(services.transfertime) DESC", "datetime(services.transfertime)", "Moved to psychiatry"),
    ("labels", "strftime('%Y', placed.seen_time)", "strftime('%Y', placed.start_time)", "Age and period"),
    ("labels", "anchor_time < start_time THEN 1", "1 = 0 THEN 1", "Discharged before admitted"),
    ("labels", "AND other.end_time <= placed.seen_time", "", "A short admission inside a long one"),
]


@pytest.mark.parametrize(("kind", "right", "wrong", "history"), WRONG)
def test_a_wrong_query_is_caught(
    database: Path, answers: Callable[..., Answers], tmp_path: Path, kind: str, right: str, wrong: str, history: str
) -> None:
    ending = "discharge.labels.sql" if kind == "labels" else "discharge.sql"
    sql = (mimic_db.ROOT / mimic_db.SQL / ending).read_text(encoding="utf-8")
    assert sql.count(right) == 1
    (tmp_path / ending).write_text(sql.replace(right, wrong), encoding="utf-8")
    [name] = [name for name in PERSON if name.startswith(history)]

    def asked(given: dict[str, Any]) -> Answers:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in mimic_db.run(database, kind, folder=str(tmp_path), **given).to_pylist():
            found.setdefault(row["visit_id"], []).append(row)
        return answers(given) | {kind: found}

    assert differences(asked, name)


def test_both_queries_have_the_same_clock(answers: Callable[..., Answers]) -> None:
    for changed in ({}, {"use_dates": False}, {"max_delay_hours": 96}):
        found = answers(changed)
        placed = {visit: row["index_time"] for visit, [row] in found["labels"].items() if row["index_time"]}
        assert {visit: row["index_time"] for visit, rows in found["text"].items() for row in rows} == placed


def test_every_choice_is_tried(answers: Callable[..., Answers]) -> None:
    tried_here = {name for told in HISTORIES for case in told.get("also", ()) for name in case["with"]}
    codings = {"inpatient_visits", "note_types", "addendum_types", "died", "against_advice", "planned_values"}
    assert set(mimic_db.PARAMETERS) - codings == tried_here - {"death_horizon_days"}


def test_a_death_after_what_is_known_is_not_known(database: Path) -> None:
    """The label sees to its horizon, and not beyond what is known: the same whatever the size of the window."""
    visit = str(PERSON["Died on calendar day 30"] * 1000 + 1)
    for known, expected in (("2150-04-05", (1, None)), ("2150-04-04", (None, "follow_up_incomplete"))):
        rows = mimic_db.run(database, "labels", ("2150-03-01", "2150-03-10"), known).to_pylist()
        [row] = [row for row in rows if row["visit_id"] == visit]
        assert (row["label_death"], row["reason_death"]) == expected


def test_ids_are_text_and_the_period_is_the_patients(database: Path) -> None:
    texts, labels = (mimic_db.run(database, kind) for kind in ("text", "labels"))
    assert {str(texts.schema.field(n).type) for n in ("visit_id", "note_id", "person_id")} == {"string"}
    assert texts["note_id"].to_pylist()[0].endswith("-DS-1")
    assert set(labels["split_period"].to_pylist()) == {"2014 - 2016", "2020 - 2022"}


def test_the_charlson_list_is_omops() -> None:
    lists = []
    for folder in (mimic_db.SQL, omop_db.OMOP):
        sql = (mimic_db.ROOT / folder / "discharge.labels.sql").read_text(encoding="utf-8")
        lists.append(sql[sql.index("-- Charlson index, list") : sql.index("-- The points of each code that occurs")])
    assert lists[0] == lists[1]


def test_shipped_defaults_are_the_tested_ones() -> None:
    shipped = EXAMPLE["cohorts"]["discharge"]
    assert shipped["parameters"] == mimic_db.PARAMETERS
    clocks = {
        label: (clock["horizon_days"], clock.get("maturity_days", 0)) for label, clock in shipped["labels"].items()
    }
    assert clocks == mimic_db.CLOCKS


def told_again(rows: mimic_db.Rows) -> Iterator[dict[str, Any]]:
    """Each patient of MIMIC's tables as the oracle of readmission reads one: stays by their admission's number."""
    died = {row["subject_id"]: row["dod"] for row in rows["patients"]}
    people: dict[int, dict[str, Any]] = {
        subject: {"stays": {}, "notes": []} | ({"died": dod} if dod else {}) for subject, dod in died.items()
    }
    for row in rows["admissions"]:
        stay = {"in": row["admittime"], "out": row["dischtime"] or "still in", "history": "none", "summary": "none"}
        stay["kind"] = "observation" if row["admission_type"] == "EU OBSERVATION" else "inpatient"
        where = {"DIED": "died", "AGAINST ADVICE": "against advice"}
        stay["to"] = where.get(row["discharge_location"] or "", "home")
        people[row["subject_id"]]["stays"][row["hadm_id"]] = stay
        if row["deathtime"]:
            people[row["subject_id"]]["died"] = row["deathtime"]
    for row in rows["discharge"]:
        filed = row["storetime"] or row["charttime"].removesuffix(" 00:00:00")
        note = {"stay": row["hadm_id"], "class": "summary", "filed": filed}
        people[row["subject_id"]]["notes"].append(note | ({"addendum": True} if row["note_type"] == "AD" else {}))
    yield from people.values()


def death_within_30_days(told: dict[str, Any], stay: dict[str, Any], index: str, readmission: Any) -> Any:
    """What MIMIC's death label is, said once more of one stay that has an index time."""
    discharge, died = datetime.fromisoformat(stay["out"]), told.get("died")
    if readmission in ("died_in_hospital", "still_in_hospital"):
        return readmission
    moment = datetime.fromisoformat(died if len(died) > 10 else f"{died} 23:59:59") if died else datetime.max
    if moment <= datetime.fromisoformat(index):
        return "event_before_index"
    return int(moment.date() <= (date.fromordinal(discharge.toordinal()) + timedelta(days=30)))


@pytest.mark.parametrize("seed", range(3))
def test_readmission_is_omops_and_death_is_read_from_dates(tmp_path: Path, seed: int) -> None:
    rows, window = mimic_patients.generated(seed, 300), ("2100-01-01", "2220-01-01")
    mimic_db.write(tmp_path / "mimic.sqlite", rows)
    table = mimic_db.run(tmp_path / "mimic.sqlite", "labels", window, "2220-01-01")
    found = {row["visit_id"]: row for row in table.to_pylist()}
    choices = omop_db.values("discharge", newborn_age_days=0) | {"window": window}
    seen: Counter[Any] = Counter()
    for told in told_again(rows):
        answers = readmission_oracle.expected(told, datetime(2220, 1, 1), choices)
        for admission, expected in answers.items():
            if expected["discharge"] == "no row":
                assert str(admission) not in found
                continue
            row = found.pop(str(admission))
            assert plain(row["index_time"]) == expected["discharge"]
            said_of = [row[f"label_{x}"] if row[f"reason_{x}"] is None else row[f"reason_{x}"] for x in LABELS[:2]]
            assert said_of[0] == expected["readmission"]
            seen["readmission", said_of[0]] += 1
            if expected["discharge"] != "none":
                stay = told["stays"][admission]
                assert said_of[1] == death_within_30_days(told, stay, expected["discharge"], said_of[0])
                seen["death", said_of[1]] += 1
    assert not found
    assert all(seen[label, value] > 20 for label in LABELS[:2] for value in (0, 1))
