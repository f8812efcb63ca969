"""OMOP CDM 5.4 in PostgreSQL, all 39 tables with the types of the specification, and rows of a SQLite file in them.

The list of tables is `tests/schemas/omop-5.4.csv`. `notecast_claim`, our extension, comes on top. Rows go in by COPY.
"""

import csv
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import omop_db
from checkout import merged, small_config
from lib.config_source import Demo
from lib.demo_schema import create_indexes
from postgres import CLERK, RESEARCHER, Postgres

SCHEMA = Path(__file__).resolve().parents[1] / "schemas" / "omop-5.4.csv"
TYPES = {"integer": "INTEGER", "float": "NUMERIC", "date": "DATE", "datetime": "TIMESTAMP", "varchar(max)": "TEXT"}
MAY_BE_NULL = {"note.note_text"}  # required, says the specification; NULL at real sites, and in the demo hospital
CLAIMS = (
    "CREATE TABLE notecast_claim (claim_id {id} PRIMARY KEY, person_id {id} NOT NULL, visit_occurrence_id {id} "
    "NOT NULL, submitted_date DATE NOT NULL, decided_date DATE, status VARCHAR(50) NOT NULL)"
)
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def build(postgres: Postgres, database: str, source: Path | None = None, ids: str = "BIGINT") -> None:
    """A new database `database` with all tables; with the rows of the SQLite file `source`, if there is one.

    `ids`: the type of keys that are no concept's. The specification has INTEGER; many sites need BIGINT, as the demo
    hospital does.
    """
    postgres.create_database(database)
    postgres.sql(";\n".join(statements(ids)), database)
    if source is not None:
        copy(postgres, database, source)
    with postgres.superuser(database) as connection:
        create_indexes(connection)  # type: ignore[arg-type]  # it has `execute`, and the statements are plain SQL
    grant(postgres, database)


def small_hospital(postgres: Postgres, database: str, folder: Path) -> dict[str, Any]:
    """The small demo's configuration, its hospital in `database` with all tables; `folder` is for work on the way."""
    given = small_config()
    source = given.pop("source")
    settings = Demo(**source.pop("demo")).model_dump()
    settings |= {"start": str(source["data_start"]), "end": str(source["data_end"])}
    build(postgres, database, omop_db.demo(folder, settings))
    return given | {"source": source}


def with_server(config: dict[str, Any], connection: str, **odbc: Any) -> dict[str, Any]:
    """`config` with its source in the server at `connection`."""
    return merged(config, {"source": {"odbc": {"connection": connection, "dialect": "postgres", **odbc}}})


def statements(ids: str) -> Iterator[str]:
    """CREATE TABLE for each table of the specification, and for claims."""
    with SCHEMA.open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    for table in dict.fromkeys(row["table"] for row in listed):
        columns = [_column(row, ids) for row in listed if row["table"] == table]
        yield f"CREATE TABLE {table} ({', '.join(columns)})"
    yield CLAIMS.format(id=ids)


def copy(postgres: Postgres, database: str, source: Path) -> None:
    """The rows of every table of the SQLite file `source` into the tables of the same names, in one transaction."""
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        parts = ["BEGIN;"]
        for table in tables:
            cursor = connection.execute(f"SELECT * FROM {table}")
            parts.append(copied(table, [column[0] for column in cursor.description], cursor))
    postgres.sql("\n".join([*parts, "COMMIT; ANALYZE;"]), database)


def copied(table: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """The COPY statement with its rows, for `Postgres.sql`."""
    lines = ("\t".join(_written(value) for value in row) for row in rows)
    return "\n".join([f"COPY {table} ({', '.join(columns)}) FROM STDIN;", *lines, "\\.\n"])


def grant(postgres: Postgres, database: str, schema: str = "public") -> None:
    """The two users may read, and nothing else."""
    postgres.sql(f"GRANT USAGE ON SCHEMA {schema} TO {RESEARCHER}, {CLERK}", database)
    postgres.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {RESEARCHER}, {CLERK}", database)


def _column(row: dict[str, str], ids: str) -> str:
    name, kind = row["column"], row["type"].lower()
    is_key = name.endswith("_id") and not name.endswith("_concept_id")
    sql_type = ids if kind == "integer" and is_key else TYPES.get(kind, kind.upper())
    required = row["required"] == "Yes" and f"{row['table']}.{name}" not in MAY_BE_NULL
    constraint = " PRIMARY KEY" if row["primary_key"] == "Yes" else " NOT NULL" if required else ""
    return f'"{name}" {sql_type}{constraint}'  # quoted: note_nlp has a column "offset"


def _written(value: Any) -> str:
    """One value in COPY's text format."""
    if value is None:
        return "\\N"
    return value.translate(_ESCAPED) if isinstance(value, str) else str(value)
