import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lib import warehouse
from lib.contract import NOT_UTF8
from lib.stage import StageError

CANARY = "Ingrid Canary 1234567"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "notes.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE note (id INTEGER, kind TEXT, text TEXT)")
        rows = [(n, "ab"[n % 2], f"{CANARY} {n}") for n in range(7)]
        connection.executemany("INSERT INTO note VALUES (?, ?, ?)", rows)
        connection.execute("INSERT INTO note VALUES (?, 'c', CAST(? AS TEXT))", (2**40, CANARY.encode() + b"\xff\xfe"))
        connection.execute("INSERT INTO note VALUES (-5, 'd', ?)", ("a\x00b 😀",))
        connection.commit()
    return path


def rows_of(source: Path, sql: str, batch_rows: int = 2, **parameters: Any) -> list[tuple[Any, ...]]:
    with warehouse.connect(source) as connection:
        _, batches = warehouse.stream(connection, sql, parameters, batch_rows, "query.sql")
        return [row for batch in batches for row in batch]


def test_streams_in_batches_with_names(source: Path) -> None:
    with warehouse.connect(source) as connection:
        sql = "SELECT id AS note_id, kind FROM note WHERE kind IN (:kinds) AND id >= :least ORDER BY id"
        names, batches = warehouse.stream(connection, sql, {"kinds": ["a", "b"], "least": 1}, 4, "query.sql")
        assert names == ["note_id", "kind"]
        assert [len(batch) for batch in batches] == [4, 2]


def test_parameters_are_bound_not_pasted(source: Path) -> None:
    assert rows_of(source, "SELECT :x", x="'; DROP TABLE note; --") == [("'; DROP TABLE note; --",)]
    assert rows_of(source, "SELECT id FROM note WHERE kind IN (:kinds)", kinds=["') OR 1=1 --"]) == []
    assert rows_of(source, "SELECT id FROM note WHERE kind IN (:kinds)", kinds=[]) == []


def test_values_arrive_whole(source: Path) -> None:
    assert rows_of(source, "SELECT id, text FROM note WHERE id = -5") == [(-5, "a\x00b 😀")]
    assert rows_of(source, "SELECT id, text FROM note WHERE id > 100") == [(2**40, NOT_UTF8)]


def test_connection_cannot_write(source: Path) -> None:
    with warehouse.connect(source) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM note")
    before = source.read_bytes()
    for sql in ("DELETE FROM note", "WITH a AS (SELECT 1) DELETE FROM note", "SELECT 1; DELETE FROM note"):
        with pytest.raises(StageError, match=r"query\.sql"):
            rows_of(source, sql)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "parameters", "told"),
    [
        ("SELECT :a", {}, "no value for :a"),
        ("SELECT 1", {"a": 1}, "does not use :a"),
        ("SELECT colour FROM note", {}, "no column colour"),
        ("SELECT 1 FROM notes", {}, "no table notes"),
        ("SELECT soundslike(1)", {}, "no function soundslike"),
        ("SELECT FROM FROM note", {}, "syntax error near FROM"),
        ("SELECT id FROM note a, note b", {}, "id is in several tables"),
    ],
)
def test_errors_name_the_query_and_what_to_mend(source: Path, sql: str, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(StageError, match=rf"query\.sql: .*{told}"):
        rows_of(source, sql, **parameters)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT json_extract(text, '$.a') FROM note ORDER BY id DESC",  # malformed JSON, at some row
        "SELECT abs(CASE id WHEN 6 THEN -9223372036854775807 - 1 ELSE id END) FROM note",  # overflow in a later batch
    ],
)
def test_driver_errors_are_told_without_their_message(source: Path, sql: str) -> None:
    with pytest.raises(StageError) as caught:
        rows_of(source, sql, batch_rows=1)
    assert "run the query by hand" in str(caught.value)
    assert "Canary" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_the_tables_below_a_query(source: Path) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE Unit (id)")
        connection.execute("CREATE TABLE unread (id)")
        connection.execute("CREATE VIEW ward AS SELECT id FROM Unit")
    sql = (
        "WITH unread AS (SELECT 1 AS id) SELECT (SELECT count(*) FROM ward), unread.id FROM unread, note WHERE 1 = :one"
    )
    with warehouse.connect(source) as connection:
        assert warehouse.tables_read(connection, sql, {"one": 1}) == {"note", "unit"}


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no database none\.sqlite"), warehouse.connect(tmp_path / "none.sqlite"):
        pass
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be looked at as one" * 40)
    with pytest.raises(StageError, match=r"query\.sql: the database refuses it \(SQLITE_NOTADB\)"):
        rows_of(tmp_path / "text.sqlite", "SELECT 1 FROM note")


def test_odd_paths_are_opened(tmp_path: Path, source: Path) -> None:
    odd = tmp_path / "a ?mode=rwc&x#y%20é.sqlite"
    source.rename(odd)
    assert rows_of(odd, "SELECT count(*) FROM note") == [(9,)]
