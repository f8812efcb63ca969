"""Small OMOP databases for tests: a history as `timelines.yaml` writes it becomes rows, and a stage is run on them.

Shared by the tests of extraction and of the cohorts' SQL. The tables are the demo hospital's; the rows are not.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

import demo_hospital
import extract
from history import in_progress, kind, notes
from lib import optouts, shards, sqltext, stage
from lib.demo_schema import create_indexes, create_tables, insert

ROOT = Path(__file__).resolve().parent.parent
OMOP = "workflow/sql/omop"
KINDS = {"inpatient": 9201, "emergency to inpatient": 262, "emergency": 9203, "observation": 581385}
WHERE_TO = {"home": 581476, "died": 4216643, "against advice": 4021968, "still patient": 32220}
NOTE_CLASSES = {"summary": 44814637, "history": 44814638, "progress": 44814639}
DEPARTMENTS = ("Medicine", "Cardiology", "Surgery", "Neurology", "Oncology", "Rehabilitation", "Dialysis")
DEPARTMENTS += ("Palliative care", "Newborn")
CLOCKS = {"readmission": (30, 0), "mortality": (60, 0), "length_of_stay_days": (60, 0)}
CLOCKS |= {"charlson": (60, 30), "denial": (90, 90)}
WINDOW, KNOWN_UNTIL = ("2010-01-01", "2020-01-01"), "2021-01-01"
# The defaults that config/config.yaml ships (a test compares them).
PARAMETERS: dict[str, dict[str, Any]] = {
    "discharge": {
        "inpatient_visits": [9201, 262],
        "emergency_visits": [9203, 262],
        "note_classes": [44814637],
        "note_types": [],
        "addendum_titles": ["Addendum"],
        "still_patient": [32220],
        "died": [4216643],
        "against_advice": [4021968],
        "excluded_departments": ["Rehabilitation", "Dialysis", "Palliative care"],
        "newborn_departments": ["Newborn"],
        "newborn_age_days": 1,
        "planned_values": [],
        "icd10_from": "2015-10-01",
        "max_delay_hours": 72,
        "use_dates": True,
        "notes_by_time": False,
        "readmission_visits": [9201, 262],
        "readmission_by_date": False,
        "count_transfers": False,
        "count_planned": True,
        "count_against_advice": True,
        "count_newborns": False,
        "death_is_negative": True,
    },
    "admission": {
        "inpatient_visits": [9201, 262],
        "emergency_visits": [9203, 262],
        "note_classes": [44814638],
        "note_types": [],
        "addendum_titles": ["Addendum"],
        "still_patient": [32220],
        "died": [4216643],
        "newborn_departments": ["Newborn"],
        "newborn_age_days": 1,
        "icd10_from": "2015-10-01",
        "paid_statuses": ["paid"],
        "denied_statuses": ["final, adverse determination", "final, favorable determination"],
        "max_delay_hours": 24,
        "use_dates": True,
        "notes_by_time": False,
        "count_newborns": False,
    },
}


class Hospital:
    """An OMOP database that is filled by `add`, row by row, and written by leaving the `with` block."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)

    def __enter__(self) -> "Hospital":
        create_tables(self._connection)
        for number, name in enumerate(DEPARTMENTS, 1):
            self.add("care_site", care_site_id=number, care_site_name=name)
        return self

    def __exit__(self, *_: object) -> None:
        with closing(self._connection) as connection:
            create_indexes(connection)
            connection.commit()

    def add(self, table: str, **row: Any) -> None:
        row |= dict.fromkeys(REQUIRED.get(table, ()), 0)
        self._connection.execute(insert(table, tuple(row)), tuple(row.values()))

    def history(self, told: dict[str, Any], person: int = 1) -> None:
        """The patient of one history; ids of stays and notes are unique within a person only (person × 1000 + n)."""
        born = _day(told.get("born", "1950-06-15"))
        year, month, day = map(int, born.split("-"))
        self.add("person", person_id=person, year_of_birth=year, month_of_birth=month, day_of_birth=day)
        if "died" in told:
            self.add("death", person_id=person, death_date=_day(told["died"]), death_datetime=_time(told["died"]))
        for number, stay in told["stays"].items():
            self._stay(person, number, stay, _day(told.get("known_until", "2021-01-01")))
        for number, text, note in notes(told):
            self._note(person, number, text, note)

    def _stay(self, person: int, number: int, stay: dict[str, Any], made_up_end: str) -> None:
        visit = person * 1000 + number
        goes_on = in_progress(stay)
        department = DEPARTMENTS.index(stay.get("department", "Medicine")) + 1
        self.add(
            "visit_occurrence",
            visit_occurrence_id=visit,
            person_id=person,
            visit_concept_id=KINDS[kind(stay)],
            visit_start_date=_day(stay["in"]),
            visit_start_datetime=_time(stay["in"]),
            visit_end_date=made_up_end if goes_on else _day(stay["out"]),
            visit_end_datetime=None if goes_on else _time(stay["out"]),
            care_site_id=department,
            visit_source_value=stay.get("mark"),
            discharged_to_concept_id=WHERE_TO["still patient" if goes_on else stay.get("to", "home")],
        )
        for position, (name, since) in enumerate(stay.get("moves", ())):
            self.add(
                "visit_detail",
                visit_detail_id=visit * 10 + position,
                person_id=person,
                visit_detail_start_date=_day(since),
                visit_detail_start_datetime=_time(since),
                visit_detail_end_date=_day(stay["out"]),
                care_site_id=DEPARTMENTS.index(name) + 1,
                visit_occurrence_id=visit,
            )
        for position, told in enumerate(stay.get("codes", ())):
            code, dated = told if isinstance(told, list) else (told, made_up_end if goes_on else stay["out"])
            self.add(
                "condition_occurrence",
                condition_occurrence_id=visit * 100 + position,
                person_id=person,
                condition_start_date=_day(dated),
                visit_occurrence_id=visit,
                condition_source_value=code,
            )
        for position, (status, submitted, decided) in enumerate(stay.get("claims", ())):
            self.add(
                "notecast_claim",
                claim_id=visit * 10 + position,
                person_id=person,
                visit_occurrence_id=visit,
                submitted_date=_day(submitted),
                decided_date=None if decided == "none" else _day(decided),
                status=status,
            )

    def _note(self, person: int, number: int, text: str, note: dict[str, Any]) -> None:
        self.add(
            "note",
            note_id=person * 1000 + number,
            person_id=note.get("person", person),
            note_date=_day(note["filed"]),
            note_datetime=_time(note["filed"]),
            note_class_concept_id=NOTE_CLASSES[note["class"]],
            note_title="Addendum" if note.get("addendum") else None,
            note_text=text,
            visit_occurrence_id=person * 1000 + note["stay"] if "stay" in note else None,
            note_event_id=person * 1000 + note["of"] if "of" in note else None,
        )


REQUIRED = {
    "person": ("gender_concept_id", "race_concept_id", "ethnicity_concept_id"),
    "visit_occurrence": ("visit_type_concept_id",),
    "visit_detail": ("visit_detail_concept_id", "visit_detail_type_concept_id"),
    "note": ("note_type_concept_id", "encoding_concept_id", "language_concept_id"),
    "condition_occurrence": ("condition_concept_id", "condition_type_concept_id"),
}


def demo(folder: Path, settings: dict[str, Any]) -> Path:
    """A demo hospital's database in `folder`, its oracle and manifest beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / name for name in ("database", "oracle", "manifest")}
    demo_hospital.main(stage.Job(settings, files))
    return files["database"]


def values(cohort: str, **changed: Any) -> dict[str, Any]:
    """The cohort's parameters and all clocks, some of them changed."""
    found: dict[str, Any] = dict(PARAMETERS[cohort])
    for label, (horizon, maturity) in CLOCKS.items():
        found |= {f"{label}_horizon_days": horizon, f"{label}_maturity_days": maturity}
    return found | {name: value for name, value in changed.items() if name in found}


def settings(
    cohort: str,
    kind: str,
    window: Iterable[Any] = WINDOW,
    known_until: Any = KNOWN_UNTIL,
    sql: str = "",
    **changed: Any,
) -> dict[str, Any]:
    """Settings of an extract job on the OMOP queries, or on the file `sql`; `changed`: parameters, clocks."""
    sql = sql or f"{OMOP}/{cohort}{'.labels' if kind == 'labels' else ''}.sql"
    used = sqltext.parameters_of((ROOT / sql).read_text(encoding="utf-8"))
    start, end = map(_midnight, window)
    out = {"kind": kind, "sql": sql, "sql_sha256": sqltext.canonical_sql_hash(ROOT / sql), "id_type": "integer"}
    out |= {
        "window_start": start,
        "window_end": end,
        "parameters": {k: v for k, v in values(cohort, **changed).items() if k in used},
    }
    return out | ({"known_until": _midnight(known_until)} if kind == "labels" else {})


def run(database: Path, given: dict[str, Any], name: str = "shard", batch_rows: int = 1000) -> pa.Table:
    """Run the real extract stage; the shard and its manifest lie beside the database under `name`."""
    files = {"database": database, "shard": database.with_name(f"{name}.parquet")}
    files["manifest"] = database.with_name(f"{name}.json")
    files["exclusions"] = database.with_name("exclusions.txt")
    files["fetched"] = database.parent / "fetched" / "cohort" / f"{name}.parquet"
    optouts.publish(files["exclusions"], [])
    extract.main(stage.Job(given, files, {"batch_rows": batch_rows}))
    return shards.read_parquet(files["shard"])


def _day(told: Any) -> str:
    return str(told)[:10]


def _time(told: Any) -> str | None:
    """'YYYY-MM-DD HH:MM[:SS]' as a datetime of OMOP; None for a bare date."""
    text = str(told)
    return None if isinstance(told, date) or len(text) == 10 else f"{datetime.fromisoformat(text)}"


def _midnight(told: Any) -> str:
    return f"{datetime.fromisoformat(str(told))}"
