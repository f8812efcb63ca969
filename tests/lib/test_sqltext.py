import subprocess
import sys
from pathlib import Path

import pytest

from lib import sqltext


def sha(tmp_path: Path, sql: str) -> str:
    path = tmp_path / "query.sql"
    path.write_text(sql, encoding="utf-8")
    return sqltext.canonical_sql_hash(path)


@pytest.mark.parametrize(
    ("sql", "same"),
    [
        ("select a, b\nfrom t", "select a,b from t -- a remark; with :name and 'quote\n"),
        ("select a from t where b = 'x  y'", "/* head */ select a\n\tfrom t\n where b='x  y';\n;"),
        ('select "a--b" from t', 'select  "a--b"  from t'),
    ],
)
def test_hash_ignores_layout_and_comments(tmp_path: Path, sql: str, same: str) -> None:
    assert sha(tmp_path, sql) == sha(tmp_path, same)


@pytest.mark.parametrize(
    ("sql", "other"),
    [
        ("select 'a b'", "select 'a  b'"),
        ("select '-- x'", "select '-- y'"),
        ("select a from t", "select ab from t"),
        ("select a b from t", "select ab from t"),
        ("select ''", "select ''''"),
        ("select :a", "select :b"),
        ("select 1", "select 10"),
    ],
)
def test_hash_sees_every_other_change(tmp_path: Path, sql: str, other: str) -> None:
    assert sha(tmp_path, sql) != sha(tmp_path, other)


def test_tokens_are_the_text() -> None:
    sql = "WITH a AS (SELECT ':no' AS \"--\", [x;y], b::text FROM t /* ; */) SELECT * FROM a WHERE n = :n -- end"
    assert "".join(text for _, text in sqltext.tokens(sql)) == sql
    assert sqltext.parameters_of(sql) == ["n"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- a remark\n select 1;",
        "WITH a AS (SELECT ';') SELECT * FROM a",
        "SELECT 'DROP TABLE note; DELETE', \"update\" FROM note -- ; DELETE FROM note",
        "select deleted_at, updated from note /* insert */",
    ],
)
def test_one_select_passes(sql: str) -> None:
    sqltext.check_single_select(sql)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("", "no SQL"),
        ("-- SELECT 1", "no SQL"),
        ("DELETE FROM note", "begins with DELETE"),
        ("PRAGMA writable_schema = 1", "begins with PRAGMA"),
        ("SELECT 1; SELECT 2", "between two statements"),
        ("SELECT 1; DROP TABLE note", "between two statements"),
        ("SELECT '--'; DROP TABLE note", "between two statements"),
        ("SELECT /* ' */ 1; DROP TABLE note -- '", "between two statements"),
        ("WITH a AS (SELECT 1) DELETE FROM note", "DELETE"),
        ("WITH a AS (DELETE FROM note RETURNING *) SELECT * FROM a", "DELETE"),
        ("SELECT * INTO copy FROM note", "INTO"),
        ("SELECT 'a", "' is opened and not closed"),
        ("SELECT 1 /* 'a' ", "/\\* is opened and not closed"),
        ("SELECT ?", "placeholder"),
        ("SELECT @name", "placeholder"),
        ("WITH a AS (VALUES (1))", "no SELECT"),
    ],
)
def test_anything_else_is_refused(sql: str, told: str) -> None:
    with pytest.raises(sqltext.SqlError, match=told):
        sqltext.check_single_select(sql)


def test_bind_expands_lists_and_keeps_order() -> None:
    sql = "SELECT :b, x FROM t WHERE x IN ( :a ) AND y NOT IN (:c) AND z = :b AND q <> ':b'"
    bound = sqltext.bind(sql, {"a": [1, 2], "b": "it's", "c": []})
    assert bound == (
        "SELECT ?, x FROM t WHERE x IN ( ?, ? ) AND y NOT IN (NULL) AND z = ? AND q <> ':b'",
        ["it's", 1, 2, "it's"],
    )


def test_comment_separates_words() -> None:
    assert sqltext.bind("SELECT/* x */1", {}) == ("SELECT 1", [])


@pytest.mark.parametrize(
    ("sql", "values", "told"),
    [
        ("SELECT :a, :b", {"a": 1}, "no value for :b"),
        ("SELECT :a", {"a": [1]}, "write IN"),
        ("SELECT x IN (:a, 3)", {"a": [1]}, "write IN"),
        ("SELECT coalesce(:a)", {"a": [1]}, "write IN"),
    ],
)
def test_bind_refuses(sql: str, values: dict[str, object], told: str) -> None:
    with pytest.raises(sqltext.SqlError, match=told):
        sqltext.bind(sql, values)  # type: ignore[arg-type]


def test_share_gives_each_query_its_own() -> None:
    queries = ["SELECT :a, :window_start -- :c", "SELECT :a, :b"]
    assert sqltext.share(queries, ["b", "a"]) == [["a"], ["a", "b"]]
    with pytest.raises(sqltext.SqlError, match=":c is in the configuration and in no query"):
        sqltext.share(queries, ["a", "b", "c"])


def test_needs_neither_arrow_nor_driver() -> None:
    code = "import sys; from lib import sqltext; print(sorted({'pyarrow', 'sqlite3'} & set(sys.modules)))"
    scripts = Path(sqltext.__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
