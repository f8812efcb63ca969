"""Small databases in MIMIC-IV's exact shape: tables and columns from the published list, rows of invented patients.

`Database` writes one for SQLite, from rows, or from a history as `mimic_timelines.yaml` writes it. `tables` gives the
same rows in the shape of the PostgreSQL build, schema by schema.
"""

import csv
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

import omop_db
from lib import sqltext

ROOT = Path(__file__).resolve().parent.parent
SQL = "workflow/sql/mimic_iv"
LIST = Path(__file__).with_name("schemas") / "mimic-iv.csv"
SCHEMAS = ("mimiciv_hosp", "mimiciv_note")
WINDOW, KNOWN_UNTIL = ("2150-01-01", "2160-01-01"), "2161-01-01"
CLOCKS = {"readmission": (30, 0), "death": (30, 0), "charlson": (0, 0)}
INPATIENT = [
    *("DIRECT EMER.", "ELECTIVE", "EW EMER.", "OBSERVATION ADMIT"),
    *("SURGICAL SAME DAY ADMISSION", "URGENT"),
]
# The defaults that config/examples/mimic-iv.yaml ships (a test compares them).
PARAMETERS: dict[str, Any] = {
    "inpatient_visits": INPATIENT,
    "note_types": ["DS", "AD"],
    "addendum_types": ["AD"],
    "died": ["DIED"],
    "against_advice": ["AGAINST ADVICE"],
    "excluded_services": [],
    "planned_values": ["ELECTIVE", "SURGICAL SAME DAY ADMISSION"],
    "max_delay_hours": 72,
    "use_dates": True,
    "readmission_visits": INPATIENT,
    "readmission_by_date": False,
    "count_transfers": False,
    "count_planned": True,
    "count_against_advice": True,
    "death_is_negative": True,
    "last_followed_year": 9999,
}

Rows = dict[str, list[dict[str, Any]]]  # by table


class Column(NamedTuple):
    name: str
    type: str
    required: bool


@cache
def columns() -> dict[tuple[str, str], list[Column]]:
    """By (schema, table), in the order of the list."""
    found: dict[tuple[str, str], list[Column]] = {}
    with open(LIST, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["schema"] in SCHEMAS:
                made = Column(row["column"], row["type"], row["required"] == "Yes")
                found.setdefault((row["schema"], row["table"]), []).append(made)
    return found


def tables(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[tuple[str, str, list[str], list[tuple]]]:
    """(schema, table, columns, rows) of every table, empty ones included; times as text, 'YYYY-MM-DD HH:MM:SS'."""
    for (schema, table), listed in columns().items():
        names = [column.name for column in listed]
        yield schema, table, names, [tuple(row.get(name) for name in names) for row in rows.get(table, ())]


class Database:
    """A SQLite database with all tables, filled by `add`, and written by leaving the `with` block.

    Every value is of its column's type, and a required one is there: what the published list says is checked here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: Rows = {}

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            write(self._path, self.rows)

    def add(self, table: str, **row: Any) -> None:
        self.rows.setdefault(table, []).append(row)

    def history(self, told: dict[str, Any], person: int = 1) -> None:
        """The patient of one history: subject person, admissions person × 1000 + n."""
        self.add(
            "patients",
            subject_id=person,
            gender=told.get("sex", "F"),
            anchor_age=told.get("age", 60),
            anchor_year=2150,
            anchor_year_group=told.get("group", "2014 - 2016"),
            dod=str(told["died"]) if "died" in told else None,
        )
        for number, stay in told["stays"].items():
            self._stay(person, number, stay)
        for number, note in enumerate(_notes(told), 1):
            self._note(person, number, note)

    def _stay(self, person: int, number: int, stay: dict[str, Any]) -> None:
        admission, in_progress = person * 1000 + number, stay["out"] == "still in"
        to = None if in_progress else stay.get("to", "HOME")
        self.add(
            "admissions",
            subject_id=person,
            hadm_id=admission,
            admittime=_time(stay["in"]),
            dischtime=None if in_progress else _time(stay["out"]),
            deathtime=_time(stay["death"]) if "death" in stay else None,
            admission_type=stay.get("type", "EW EMER."),
            discharge_location=to,
            insurance=stay.get("insurance"),
            race=stay.get("race"),
            edregtime=_time(stay["emergency"]) if "emergency" in stay else None,
            hospital_expire_flag=int(stay.get("expired", to == "DIED")),
        )
        for since, service in stay.get("services", {}).items():
            self.add("services", subject_id=person, hadm_id=admission, transfertime=_time(since), curr_service=service)
        for position, (version, code) in enumerate(stay.get("codes", ()), 1):
            self.add(
                "diagnoses_icd",
                subject_id=person,
                hadm_id=admission,
                seq_num=position,
                icd_code=code,
                icd_version=version,
            )

    def _note(self, person: int, number: int, note: dict[str, Any]) -> None:
        kind = note.get("type", "DS")
        self.add(
            "radiology" if kind in ("RR", "AR") else "discharge",
            note_id=f"{person}-{kind}-{number}",
            subject_id=note.get("person", person),
            hadm_id=person * 1000 + note["stay"],
            note_type=kind,
            note_seq=number,
            charttime=_time(note["charted"]),
            storetime=None if note["filed"] == "none" else _time(note["filed"]),
            text=note.get("text", f"{kind} {number}"),
        )


def _notes(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The untold summary of each stay that has ended, charted on the day of discharge, filed at it; then the told."""
    for number, stay in told["stays"].items():
        told_of = stay.get("summary", "none" if stay["out"] == "still in" else {})
        if told_of != "none":
            default = {"stay": number, "charted": str(stay["out"])[:10], "filed": stay["out"]}
            yield default | told_of
    yield from told.get("notes", ())


def write(path: Path, rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for (_, table), listed in columns().items():
            made = ", ".join(f"{c.name} {_sqlite_type(c)}{' NOT NULL' if c.required else ''}" for c in listed)
            connection.execute(f"CREATE TABLE {table} ({made})")
        for _, table, names, filled in tables(rows):
            _check(table, filled)
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", filled)
        for table, column in (("admissions", "subject_id"), ("discharge", "hadm_id"), ("diagnoses_icd", "hadm_id")):
            connection.execute(f"CREATE INDEX {table}_by_{column} ON {table} ({column})")
        connection.commit()


def _check(table: str, rows: list[tuple[Any, ...]]) -> None:
    [listed] = [listed for (_, name), listed in columns().items() if name == table]
    for row in rows:
        for column, value in zip(listed, row, strict=True):
            assert value is not None or not column.required, f"{table}.{column.name} is missing"
            assert value is None or _fits(column.type, value), f"{table}.{column.name}: {value!r} is no {column.type}"


def _fits(kind: str, value: Any) -> bool:
    if kind in ("INTEGER", "SMALLINT"):
        return type(value) is int and abs(value) < 2 ** (31 if kind == "INTEGER" else 15)
    if kind in ("REAL", "DOUBLE PRECISION"):
        return type(value) is float
    if kind == "DATE":
        return str(date.fromisoformat(value)) == value
    if kind.startswith("TIMESTAMP"):
        return str(datetime.fromisoformat(value)) == value
    length = int(kind.partition("(")[2].rstrip(")") or 10**9)
    return isinstance(value, str) and len(value) <= length


def _sqlite_type(column: Column) -> str:
    if column.type in ("INTEGER", "SMALLINT"):
        return "INTEGER"
    return "REAL" if column.type in ("REAL", "DOUBLE PRECISION") else "TEXT"


def _time(told: Any) -> str:
    return str(datetime.fromisoformat(str(told)))


def values(**changed: Any) -> dict[str, Any]:
    """The cohort's parameters and all clocks, some of them changed."""
    found: dict[str, Any] = dict(PARAMETERS)
    for label, (horizon, maturity) in CLOCKS.items():
        found |= {f"{label}_horizon_days": horizon, f"{label}_maturity_days": maturity}
    assert changed.keys() <= found.keys()
    return found | changed


def run(
    database: Path,
    kind: str,
    window: tuple[str, str] = WINDOW,
    known_until: str = KNOWN_UNTIL,
    folder: str = SQL,
    batch_rows: int = 1000,
    **changed: Any,
) -> pa.Table:
    """One of the cohort's queries (text, labels) through the real extract stage; `changed`: parameters, clocks."""
    sql = f"{folder}/discharge{'.labels' if kind == 'labels' else ''}.sql"
    used = sqltext.parameters_of((ROOT / sql).read_text(encoding="utf-8"))
    given = {
        "kind": kind,
        "sql": sql,
        "sql_sha256": sqltext.canonical_sql_hash(ROOT / sql),
        "id_type": "text",
        "window_start": f"{window[0]} 00:00:00",
        "window_end": f"{window[1]} 00:00:00",
        "parameters": {name: value for name, value in values(**changed).items() if name in used},
    }
    given |= {"known_until": f"{known_until} 00:00:00"} if kind == "labels" else {}
    return omop_db.run(database, given, batch_rows=batch_rows)
