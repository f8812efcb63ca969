"""The complete small example of workflow/sql/README.md is run as it stands there."""

import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

import omop_db
from lib import dialects, point_in_time, replay, sqltext
from lib.contract import REASONS, text_columns
from lib.windows import windows

README = (omop_db.ROOT / "workflow" / "sql" / "README.md").read_text(encoding="utf-8")
STAYS = [
    ("s-1", "ann", "2020-03-01 10:00", "2020-03-05 12:00", "Medicine"),
    ("s-2", "ann", "2020-03-19 12:00", "2020-03-20 12:00", "Medicine"),  # back on day 14
    ("s-3", "ben", "2020-03-01 10:00", "2020-03-09 12:00", "Rehabilitation"),
    ("s-4", "cem", "2020-02-01 10:00", "2020-02-09 12:00", "Medicine"),
    ("s-5", "dan", "2020-02-01 10:00", "2020-02-09 12:00", "Medicine"),
]
LETTERS = [
    ("l-1", "s-1", "2020-03-05 11:00", "Ann goes home."),
    ("l-2", "s-1", "2020-03-05 13:00", "Ann phoned."),
    ("l-3", "s-2", "2020-03-20 09:00", "Ann goes home again."),
    ("l-4", "s-3", "2020-03-09 09:00", "Ben goes home."),
    ("l-5", "s-4", "2020-02-09 13:00", "Cem went home."),
]


def clinic(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE stays (stay TEXT, patient TEXT, admitted TEXT, discharged TEXT, unit TEXT)")
        connection.execute("CREATE TABLE letters (letter TEXT, stay TEXT, signed TEXT, body TEXT)")
        connection.executemany("INSERT INTO stays VALUES (?, ?, ?, ?, ?)", STAYS)
        connection.executemany("INSERT INTO letters VALUES (?, ?, ?, ?)", LETTERS)
        connection.commit()


@pytest.mark.parametrize("server", dialects.SERVERS)
def test_example_is_written_for_each_server(server: str) -> None:
    example = README[README.index("## A complete small example") :]
    given = {"back_horizon_days": 14, "back_maturity_days": 0, "other_units": ["Rehabilitation"]}
    given |= dict.fromkeys(("window_start", "window_end", "known_until"), "2020-04-15 00:00:00")
    for query in re.findall(r"```sql\n(.*?)```", example, re.DOTALL):
        order = dialects.render(query, given, server).rpartition("ORDER BY")[2]
        assert order.count("COLLATE") == query.count("COLLATE") > 0


def test_example(tmp_path: Path) -> None:
    example = README[README.index("## A complete small example") :]
    queries = re.findall(r"```sql\n(.*?)```", example, re.DOTALL)
    config: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", example, re.DOTALL)[0])
    clinic(tmp_path / "clinic.sqlite")
    source, cohort = config["source"], config["cohorts"]["clinic"]
    start, end = dict(windows(source["data_start"], source["data_end"], source["window"]))["2020Q1"]
    given = cohort["parameters"] | {"back_horizon_days": 14, "back_maturity_days": 0}
    tables = []
    for kind, query in zip(("text", "labels"), queries, strict=True):
        path = tmp_path / f"{kind}.sql"
        path.write_text(query, encoding="utf-8")
        settings = {"kind": kind, "sql": str(path), "sql_sha256": sqltext.canonical_sql_hash(path)}
        settings |= {"id_type": source["id_type"], "window_start": f"{start} 00:00:00", "window_end": f"{end} 00:00:00"}
        settings |= {"known_until": "2020-04-15 00:00:00"}
        settings["parameters"] = {n: v for n, v in given.items() if n in sqltext.parameters_of(query)}  # type: ignore
        tables.append(omop_db.run(tmp_path / "clinic.sqlite", settings).to_pylist())
    texts, labels = tables
    assert [(row["visit_id"], row["note_id"]) for row in texts] == [("s-1", "l-1"), ("s-2", "l-3"), ("s-3", "l-4")]
    found = {row["visit_id"]: row["reason_back"] or row["label_back"] for row in labels}
    assert found == {"s-1": 1, "s-2": 0, "s-3": "excluded_department", "s-4": "late_note", "s-5": "no_note"}


def test_example_of_what_was_known_when(tmp_path: Path) -> None:
    section = README[README.index("## What was known when") :]
    text = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)[0]
    (tmp_path / point_in_time.NAME).write_text(text, encoding="utf-8")
    known = point_in_time.read(tmp_path)
    assert known
    clinic(tmp_path / "clinic.sqlite")
    stays = [
        replay.Stay("s-1", "ann", datetime(2020, 3, 5, 12), "w"),
        replay.Stay("s-3", "ben", datetime(2020, 3, 2), "w"),
    ]
    gone = replay.forget(tmp_path / "clinic.sqlite", stays, known["facts"], "2021-12-31")
    assert gone == {"deleted": {"letters": 3, "stays": 1}, "reopened": {"stays": 1}}


def test_readme_names_every_column_and_reason() -> None:
    for name in [column.name for column in text_columns(pa.int64())]:
        assert f"| `{name}` |" in README
    listed = re.findall(r"^\| `(\w+)` \| ", README[README.index("Reasons are a closed list") :], re.MULTILINE)
    assert tuple(listed[: len(REASONS)]) == REASONS
