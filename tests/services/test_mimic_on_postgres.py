"""MIMIC-IV's queries as SQLite runs them and as PostgreSQL runs their rendering: equal rows, equal types.

In the schemas and with the column types of the published list; the queries name no schema, search_path finds them.
"""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import mimic_db
import mimic_patients
from lib import shards
from lib.files import write_json

dialects: Any = pytest.importorskip("lib.dialects", reason="nothing renders queries")
omop: Any = pytest.importorskip("omop", reason="nothing builds databases in PostgreSQL")
pytest.importorskip("pyodbc", reason="pyodbc finds no libodbc.so.2: install the package unixodbc")

QUERIES = ("discharge.sql", "discharge.labels.sql")
TIMES = ("anchor_time", "index_time", "note_time")
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"use_dates": False, "count_planned": False, "death_is_negative": False, "last_followed_year": 2017},
    {"readmission_by_date": True, "count_transfers": True, "excluded_services": ["PSYCH", "OMED", "É'x"]},
    {"max_delay_hours": 12, "inpatient_visits": ["ELECTIVE"], "readmission_visits": []},
)


def build(postgres: Any, database: str, rows: mimic_db.Rows) -> None:
    """Both schemas with all their tables, and the rows."""
    postgres.create_database(database)
    made = [f"CREATE SCHEMA {schema}" for schema in mimic_db.SCHEMAS]
    for (schema, table), listed in mimic_db.columns().items():
        columns = ", ".join(f"{c.name} {c.type}{' NOT NULL' if c.required else ''}" for c in listed)
        made.append(f"CREATE TABLE {schema}.{table} ({columns})")
    made.append(f"ALTER DATABASE {database} SET search_path TO {', '.join(mimic_db.SCHEMAS)}")
    postgres.sql(";\n".join(made), database)
    copies = [omop.copied(f"{schema}.{table}", names, values) for schema, table, names, values in mimic_db.tables(rows)]
    postgres.sql("\n".join(["BEGIN;", *copies, "COMMIT;"]), database)


def asked(window: tuple[str, str], known_until: str, **changed: Any) -> dict[str, Any]:
    times = dict(zip(("window_start", "window_end", "known_until"), (*window, known_until), strict=True))
    return mimic_db.values(**changed) | {name: f"{day} 00:00:00" for name, day in times.items()}


def by_sqlite(database: Path, sql: str, values: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(*mimic_db.sqltext.bind(sql, values))
        names = [column[0] for column in cursor.description]
        read = [datetime.fromisoformat if name in TIMES else lambda value: value for name in names]
        return names, [[v and r(v) for v, r in zip(row, read, strict=True)] for row in cursor]


def typed(rows: list[list[Any]]) -> list[list[Any]]:
    return [[(type(value).__name__, value) for value in row] for row in rows]


def compared(postgres: Any, database: str, rows: mimic_db.Rows, windows: Any, folder: Path) -> int:
    """Rows seen under all `windows`: (window, known_until, changed parameters)."""
    build(postgres, database, rows)
    mimic_db.write(folder / "mimic.sqlite", rows)
    seen = 0
    for query in QUERIES:
        sql = (mimic_db.ROOT / mimic_db.SQL / query).read_text(encoding="utf-8")
        for window, known_until, changed in windows:
            values = asked(window, known_until, **changed)
            names, expected = by_sqlite(folder / "mimic.sqlite", sql, values)
            with postgres.superuser(database) as connection:
                cursor = connection.execute(dialects.render(sql, values, "postgres"))
                assert [column[0] for column in cursor.description] == names
                assert typed([list(row) for row in cursor.fetchall()]) == typed(expected), (query, window, changed)
            seen += len(expected)
    return seen


def test_invented_patients_decade_by_decade(postgres: Any, tmp_path: Path) -> None:
    windows = [((f"{year}-01-01", f"{year + 10}-01-01"), f"{year + 10}-01-31", {}) for year in range(2110, 2200, 10)]
    assert compared(postgres, "mimic", mimic_patients.generated(5, 400), windows, tmp_path) > 1000


def test_the_histories_under_other_choices(postgres: Any, tmp_path: Path) -> None:
    told = yaml.safe_load((mimic_db.ROOT / "tests/mimic_timelines.yaml").read_text(encoding="utf-8"))
    hospital = mimic_db.Database(tmp_path / "unused")
    for person, history in enumerate(told, 1):
        hospital.history(history, person)
    windows = [(mimic_db.WINDOW, mimic_db.KNOWN_UNTIL, changed) for changed in CHANGES]
    assert compared(postgres, "mimic_histories", hospital.rows, windows, tmp_path) > 100


def test_shards_are_those_of_sqlite_to_the_byte(postgres: Any, researcher: dict[str, str], tmp_path: Path) -> None:
    """Under Kerberos, with text ids, and with the search_path in the connection string, as the example has it."""
    described = pytest.importorskip("server_job", reason="nothing asks servers").described
    rows = mimic_patients.generated(6, 200)
    build(postgres, "mimic_shards", rows)
    postgres.sql("ALTER DATABASE mimic_shards RESET search_path")
    for schema in mimic_db.SCHEMAS:
        omop.grant(postgres, "mimic_shards", schema)
    settings = f"SET search_path TO {','.join(mimic_db.SCHEMAS)}"
    connection = postgres.connection_string("mimic_shards", ConnSettings=settings)
    write_json(tmp_path / "server.json", described(connection))
    mimic_db.write(tmp_path / "mimic.sqlite", rows)
    for kind in ("text", "labels"):
        made = set()
        for source in ("mimic.sqlite", "server.json"):
            for batch_rows in (7, 1000):
                mimic_db.run(tmp_path / source, kind, ("2110-01-01", "2200-01-01"), "2201-01-01", batch_rows=batch_rows)
                made.add(shards.sha256(tmp_path / "shard.parquet"))
        assert len(made) == 1


@pytest.mark.parametrize("query", QUERIES)
def test_sql_server_gets_a_text(query: str) -> None:
    sql = (mimic_db.ROOT / mimic_db.SQL / query).read_text(encoding="utf-8")
    assert "DATEADD" in dialects.render(sql, asked(mimic_db.WINDOW, mimic_db.KNOWN_UNTIL), "tsql")
