"""Every shipped OMOP query as SQLite runs it and as PostgreSQL runs its rendering: equal rows, equal types.

On the demo hospital, with its dates without times, and on the histories of timelines.yaml, which hold the edges.
"""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import omop
import omop_db
import second_site
import tried
from lib import dialects, sqltext
from postgres import Postgres

pyodbc: Any = pytest.importorskip("pyodbc", reason="pyodbc finds no libodbc.so.2: install the package unixodbc")

QUERIES = ("discharge.sql", "discharge.labels.sql", "admission.sql", "admission.labels.sql")
TIMES = ("anchor_time", "index_time", "note_time")
DEMO: dict[str, Any] = {"seed": 7, "patients": 300, "start": "2012-01-01", "end": "2017-12-31", "note_words": 40}
DEMO |= {"cue_share": 0.2, "late": 0.1, "dirt": 0.2, "leak": []}
DEMO_WINDOWS = [(f"{year}-01-01", f"{year + 1}-01-01") for year in range(2012, 2018)]
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"use_dates": False, "count_newborns": True, "death_is_negative": False},
    {
        "readmission_by_date": True,
        "count_transfers": True,
        "count_planned": False,
        "planned_values": ["ELECTIVE", "É'x"],
    },
    {"notes_by_time": True, "note_types": [0], "note_classes": []},
    {"max_delay_hours": 12, "inpatient_visits": [], "note_classes": [-(2**63) + 1, 44814637]},
)
Found = tuple[list[str], list[list[Any]]]  # names and rows


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    return omop_db.demo(folder, DEMO)


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = yaml.safe_load((Path(__file__).parents[1] / "timelines.yaml").read_text(encoding="utf-8"))
    return tried.hospital(tmp_path_factory.mktemp("histories"), dict(enumerate(told, 1)))


def parameters(query: str, window: tuple[str, str], known_until: str, **changed: Any) -> dict[str, Any]:
    times = dict(zip(("window_start", "window_end", "known_until"), (*window, known_until), strict=True))
    values = omop_db.values(query.partition(".")[0], **changed)
    return values | {name: f"{day} 00:00:00" for name, day in times.items()}


def by_sqlite(database: Path, sql: str, values: dict[str, Any]) -> Found:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(*sqltext.bind(sql, values))
        names = [column[0] for column in cursor.description]
        read = [datetime.fromisoformat if name in TIMES else lambda value: value for name in names]
        return names, [[v and r(v) for v, r in zip(row, read, strict=True)] for row in cursor]


def by_postgres(postgres: Postgres, database: str, sql: str, values: dict[str, Any]) -> Found:
    with postgres.superuser(database) as connection:
        cursor = connection.execute(dialects.render(sql, values, "postgres"))
        return [column[0] for column in cursor.description], [list(row) for row in cursor.fetchall()]


def typed(rows: list[list[Any]]) -> list[list[Any]]:
    return [[(type(value).__name__, value) for value in row] for row in rows]


def compare(postgres: Postgres, name: str, database: Path, known_until: str, windows: Any) -> int:
    omop.build(postgres, name, database)
    seen = 0
    for query in QUERIES:
        sql = (omop_db.ROOT / omop_db.OMOP / query).read_text(encoding="utf-8")
        for window, changed in windows:
            given = changed.get(query.partition(".")[0], changed)
            values = parameters(query, window, known_until, **given)
            names, rows = by_sqlite(database, sql, values)
            found, others = by_postgres(postgres, name, sql, values)
            assert found == names
            assert typed(others) == typed(rows), (query, window, changed)
            seen += len(rows)
    return seen


def test_the_demo_hospital_window_by_window(postgres: Postgres, demo: Path) -> None:
    assert compare(postgres, "demo", demo, "2017-12-31", [(window, {}) for window in DEMO_WINDOWS]) > 1000


def test_a_second_site_in_another_century(postgres: Postgres, demo: Path, tmp_path: Path) -> None:
    """Negative ids of 64 bits, notes under no visit, no times, no deaths."""
    site = second_site.rewrite(demo, tmp_path / "site")
    windows = [((f"{year}-01-01", f"{year + 3}-01-01"), second_site.PARAMETERS) for year in (2112, 2115)]
    assert compare(postgres, "site", site, "2117-12-31", windows) > 1000


def test_the_histories_under_other_choices(postgres: Postgres, histories: Path) -> None:
    windows = [(omop_db.WINDOW, changed) for changed in CHANGES]
    assert compare(postgres, "histories", histories, "2021-01-01", windows) > 500
