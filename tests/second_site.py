"""The demo hospital as another site would have it: the same patients under other conventions, and the parameters by
which the same queries understand them.

- Visit concepts: five for inpatient stays. Departments have other names.
- Notes: told apart by their type, all of one class, under no visit.
- Deaths: only as where a stay was discharged to; `death` is empty.
- Ids: negative, 64 bits, in another order. Dates: a hundred years later.
- Patients still in have an end date that somebody made up.
- Times: none, only dates.
"""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from omop_db import WHERE_TO

YEARS = 100  # leap years stay leap years, but for 2100
VISITS = {9201: (8717, 581379, 8971), 262: (8870, 581381), 9203: (8782,), 9202: (8756,), 581385: (8883,)}
NOTE_TYPES = {44814637: 2000000101, 44814638: 2000000102}  # of a site's own, as concepts from 2000000000 on are
TITLES = {"Addendum": "ADD"}
DISPOSITIONS = {"died": 2000000201, "against advice": 2000000202, "still patient": 2000000203}  # home has none
DEPARTMENTS = {"Newborn": "NICU/Nursery", "Rehabilitation": "REHAB", "Dialysis": "DIAL", "Palliative care": "HOSPICE"}

_COMMON: dict[str, Any] = {
    "inpatient_visits": [*VISITS[9201], *VISITS[262]],
    "emergency_visits": [*VISITS[9203], *VISITS[262]],
    "note_classes": [],
    "notes_by_time": True,
    "addendum_titles": ["ADD"],
    "still_patient": [DISPOSITIONS["still patient"], WHERE_TO["still patient"]],
    "died": [DISPOSITIONS["died"]],
    "newborn_departments": [DEPARTMENTS["Newborn"]],
    "icd10_from": f"{2015 + YEARS}-10-01",
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "discharge": _COMMON
    | {"note_types": [2000000101], "readmission_visits": _COMMON["inpatient_visits"]}
    | {"against_advice": [DISPOSITIONS["against advice"]], "excluded_departments": ["REHAB", "DIAL", "HOSPICE"]},
    "admission": _COMMON | {"note_types": [2000000102]},
}

_ODD, _RANGE = 0x9E3779B97F4A7C15, 2**62
_IDS = ("person_id", "visit_occurrence_id", "note_id", "visit_detail_id", "condition_occurrence_id", "claim_id")
_IDS += ("note_event_id", "observation_period_id", "payer_plan_period_id")
_TABLES = ("person", "observation_period", "payer_plan_period", "visit_occurrence", "visit_detail", "note")
_TABLES += ("condition_occurrence", "notecast_claim")


def new_id(old: int | None) -> int | None:
    """One to one, so that no order of ids is kept."""
    return None if old is None else -1 - 2**61 - old * _ODD % _RANGE


def old_id(new: int) -> int:
    return (-1 - 2**61 - new) * pow(_ODD, -1, _RANGE) % _RANGE


def rewrite(source: Path, target: Path, times: bool = False, visits: bool = False) -> Path:
    """A copy of the SQLite file `source` at `target`, rewritten; with its `times`, and the `visits` of notes, kept."""
    shutil.copy(source, target)
    with closing(sqlite3.connect(target)) as connection:
        connection.create_function("new_id", 1, new_id, deterministic=True)
        connection.create_function("visit_kind", 2, _visit_kind, deterministic=True)
        _codes(connection)
        if not visits:
            _set(connection, "note", visit_occurrence_id="NULL")
        for table in _TABLES:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            changed = {name: _changed(name, times) for name in names}
            _set(connection, table, **{name: new for name, new in changed.items() if new is not None})
        connection.execute("DELETE FROM death")
        connection.commit()
    return target


def _codes(connection: sqlite3.Connection) -> None:
    """Concepts and names, while the ids are still the old ones."""
    _set(connection, "care_site", care_site_name=_case("care_site_name", _quoted(DEPARTMENTS), "care_site_name"))
    _set(
        connection,
        "note",
        note_type_concept_id=_case("note_class_concept_id", NOTE_TYPES, "2000000103"),
        note_class_concept_id="0",
        note_title=_case("note_title", _quoted(TITLES), "note_title"),
    )
    made_up = {WHERE_TO["still patient"]: "date(visit_start_date, '+1 day')"}
    _set(
        connection,
        "visit_occurrence",
        visit_concept_id="visit_kind(visit_concept_id, visit_occurrence_id)",
        visit_end_date=_case("discharged_to_concept_id", made_up, "visit_end_date"),
    )
    where_to = {WHERE_TO[name]: concept for name, concept in DISPOSITIONS.items()}
    for table in ("visit_occurrence", "visit_detail"):
        _set(connection, table, discharged_to_concept_id=_case("discharged_to_concept_id", where_to, "NULL"))


def _set(connection: sqlite3.Connection, table: str, **expressions: str) -> None:
    changes = ", ".join(f"{column} = {expression}" for column, expression in expressions.items())
    connection.execute(f"UPDATE {table} SET {changes}")


def _changed(name: str, times: bool) -> str | None:
    if name in _IDS:
        return f"new_id({name})"
    if name == "year_of_birth":
        return f"{name} + {YEARS}"
    if name.endswith("_datetime") and not times:
        return "NULL"
    return f"(substr({name}, 1, 4) + {YEARS}) || substr({name}, 5)" if name.endswith(("_date", "_datetime")) else None


def _visit_kind(concept: int, visit: int) -> int:
    kinds = VISITS[concept]
    return kinds[visit // 7 % len(kinds)]


def _case(column: str, mapping: Mapping[Any, Any], otherwise: str) -> str:
    """SQL that turns the column's numbers or texts into what `mapping` has for them, which is SQL."""
    whens = [f"WHEN {old!r} THEN {new}" for old, new in mapping.items()]
    return f"CASE {column} {' '.join(whens)} ELSE {otherwise} END"


def _quoted(names: Mapping[str, str]) -> dict[str, str]:
    return {old: repr(new) for old, new in names.items()}
