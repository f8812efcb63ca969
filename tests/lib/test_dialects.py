import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp, parse_one

import omop_db
from lib import dialects
from lib.sqltext import SqlError

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots"
QUERIES = ("discharge", "discharge.labels", "admission", "admission.labels")
TIMES = {"window_start": "2012-01-01 00:00:00", "window_end": "2012-04-01 00:00:00"}
TIMES |= {"known_until": "2015-12-31 00:00:00"}


def rendered(expression: str, wanted: str, **values: Any) -> str:
    """An expression as it comes out of SELECT … FROM t, on one line."""
    text = re.sub(r"\s+", " ", dialects.render(f"SELECT {expression} FROM t", values, wanted))
    return text.removeprefix("SELECT ").removesuffix(" FROM t").replace("( ", "(").replace(" )", ")")


def shipped(query: str, wanted: str) -> str:
    sql = (omop_db.ROOT / omop_db.OMOP / f"{query}.sql").read_text(encoding="utf-8")
    return dialects.render(sql, omop_db.values(query.partition(".")[0]) | TIMES, wanted) + "\n"


def renew() -> None:
    """To renew: PYTHONPATH=scripts:tests:tests/lib .venv/bin/python -c 'import test_dialects as t; t.renew()'"""
    for query in QUERIES:
        for wanted in dialects.SERVERS:
            (SNAPSHOTS / f"{query}.{wanted}.sql").write_text(shipped(query, wanted), encoding="utf-8")


@pytest.mark.parametrize("wanted", dialects.SERVERS)
@pytest.mark.parametrize("query", QUERIES)
def test_shipped_queries_are_rendered_as_they_were(query: str, wanted: str) -> None:
    written = shipped(query, wanted)
    assert written == (SNAPSHOTS / f"{query}.{wanted}.sql").read_text(encoding="utf-8"), renew.__doc__
    source = (omop_db.ROOT / omop_db.OMOP / f"{query}.sql").read_text(encoding="utf-8")
    assert parse_one(written, read=wanted).named_selects == parse_one(source, read="sqlite").named_selects


@pytest.mark.parametrize("query", QUERIES)
def test_nothing_that_sql_server_does_not_know_is_left(query: str) -> None:
    tree = parse_one(shipped(query, "tsql"), read="tsql")
    assert not list(tree.find_all(exp.DPipe, exp.Placeholder, exp.Boolean, exp.Interval))
    called = {str(call.this).upper() for call in tree.find_all(exp.Anonymous)}
    assert called <= {"SUBSTRING", "CONVERT", "DATEFROMPARTS", "LEN", "DATEPART"}
    for cte in tree.find_all(exp.CTE):
        for rows in cte.find_all(exp.Values):
            assert len(rows.alias_column_names) == len(rows.expressions[0].expressions)


@pytest.mark.parametrize(
    ("sqlite", "postgres", "tsql"),
    [
        ("datetime(a)", "CAST(a AS TIMESTAMP)", "CAST(a AS DATETIME2)"),
        ("date(a)", "CAST(a AS DATE)", "CAST(a AS DATE)"),
        (
            "datetime(a, '+' || :n || ' hours')",
            "(CAST(a AS TIMESTAMP) + 7 * INTERVAL '1 HOUR')",
            "DATEADD(HOUR, 7, CAST(a AS DATETIME2))",
        ),
        (
            "datetime(a, '-365 days')",
            "(CAST(a AS TIMESTAMP) - 365 * INTERVAL '1 DAY')",
            "DATEADD(DAY, -365, CAST(a AS DATETIME2))",
        ),
        (
            "date(a, '-' || (:n / 2 + b) || ' days')",
            "(CAST(a AS DATE) - CAST((7 / 2 + b) AS INT))",
            "DATEADD(DAY, -(7 / 2 + b), CAST(a AS DATE))",
        ),
        ("date(a, '+1 day')", "(CAST(a AS DATE) + 1)", "DATEADD(DAY, 1, CAST(a AS DATE))"),
        (
            "date(a) || ' 23:59:59'",
            "(CAST(a AS DATE) + CAST('23:59:59' AS TIME))",
            "DATEADD(SECOND, 86399, CAST(CAST(a AS DATE) AS DATETIME2))",
        ),
        ("date(a) || ' 00:00:00'", "CAST(CAST(a AS DATE) AS TIMESTAMP)", "CAST(CAST(a AS DATE) AS DATETIME2)"),
        (
            "julianday(date(a)) - julianday(date(b))",
            "(CAST(a AS DATE) - CAST(b AS DATE))",
            "DATEDIFF(DAY, CAST(b AS DATE), CAST(a AS DATE))",
        ),
        ("strftime('%m-%d', a)", "TO_CHAR(a, 'MM-DD')", "SUBSTRING(CONVERT(VARCHAR(10), a, 23), 6, 5)"),
        ("CAST(strftime('%Y', a) AS INTEGER)", "CAST(EXTRACT(YEAR FROM a) AS BIGINT)", "DATEPART(YEAR, a)"),
        ("CAST(a AS INTEGER)", "CAST(TRUNC(CAST(a AS DECIMAL)) AS BIGINT)", "CAST(a AS BIGINT)"),
        ("CAST(a AS TEXT) || 'x'", "CAST(a AS TEXT) || 'x'", "CAST(a AS NVARCHAR(MAX)) + 'x'"),
        ("CAST(a AS REAL)", "CAST(a AS DOUBLE PRECISION)", "CAST(a AS FLOAT)"),
        ("avg(a)", "AVG(CAST(a AS DOUBLE PRECISION))", "AVG(CAST(a AS FLOAT))"),
        ("a / b", "a / NULLIF(b, 0)", "a / NULLIF(b, 0)"),
        ("length(a)", "LENGTH(a)", "(LEN(a + '.') - 1)"),
        ("substr(a, 2, 3)", "SUBSTRING(a, 2, 3)", "SUBSTRING(a, 2, 3)"),
        (
            "CASE WHEN a = 'x' THEN 1 END",
            "CASE WHEN a = 'x' THEN 1 END",
            "CASE WHEN CAST(a AS NVARCHAR(4000)) COLLATE Latin1_General_BIN2 = 'x' THEN 1 END",
        ),
        (
            "CASE WHEN a IN (:texts) THEN 1 END",
            "CASE WHEN a IN ('it''s', 'Ä\\') THEN 1 END",
            "CASE WHEN CAST(a AS NVARCHAR(4000)) COLLATE Latin1_General_BIN2 IN ('it''s', N'Ä\\') THEN 1 END",
        ),
        ("CASE WHEN a IN (:none) THEN 1 END", *["CASE WHEN a IN (NULL) THEN 1 END"] * 2),
        ("CASE WHEN a IN (:ids) THEN 1 END", *["CASE WHEN a IN (-9223372036854775807, 5) THEN 1 END"] * 2),
        ("CASE WHEN :yes = 1 THEN :share END", *["CASE WHEN 1 = 1 THEN 0.25 END"] * 2),
        (
            "EXISTS (SELECT 1 FROM u)",
            "CASE WHEN EXISTS(SELECT 1 FROM u) THEN 1 ELSE 0 END",
            "CASE WHEN EXISTS(SELECT 1 FROM u) THEN 1 ELSE 0 END",
        ),
        (
            "CASE WHEN a COLLATE BINARY < 'x' THEN 1 END",
            "CASE WHEN a COLLATE \"C\" < 'x' THEN 1 END",
            "CASE WHEN CAST(a AS NVARCHAR(4000)) COLLATE Latin1_General_BIN2 < 'x' THEN 1 END",
        ),
        ("min(datetime(a))", "MIN(CAST(a AS TIMESTAMP))", "MIN(CAST(a AS DATETIME2))"),
        (
            ":known_until",
            "CAST('2015-12-31 00:00:00' AS TIMESTAMP)",
            "CAST('2015-12-31 00:00:00' AS DATETIME2)",
        ),
    ],
)
def test_what_becomes_of_each_construct(sqlite: str, postgres: str, tsql: str) -> None:
    given: dict[str, Any] = {"n": 7, "texts": ["it's", "Ä\\"], "none": [], "ids": [-(2**63) + 1, 5], "yes": True}
    given |= {"share": 0.25} | TIMES
    found = [rendered(sqlite, wanted, **given).removesuffix(" AS known_until") for wanted in dialects.SERVERS]
    assert found == [postgres, tsql]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("random()", "random"),
        ("a LIKE 'x'", "LIKE"),
        ("CASE WHEN a LIKE 'x%' THEN 1 END", "LIKE"),
        ("group_concat(a)", "group_concat"),
        ("total(a)", "total"),
        ("max(a, b)", "max(a, b)"),
        ("iif(a = 1, 2, 3)", "iif"),
        ("a IS b", "IS"),
        ("CASE WHEN a IS 1 THEN 2 END", "NullSafeEQ"),
        ("unixepoch(a)", "unixepoch"),
        ("julianday(a)", "julianday"),
        ("datetime()", "datetime"),
        ("datetime(a, 'start of month')", "a time is moved by"),
        ("datetime(a, '+1 month')", "a time is moved by"),
        ("datetime(a, '+' || 1.5 || ' hours')", "whole number"),
        ("date(a, '+5 hours')", "a time is moved by"),
        ("datetime(a, b)", "a time is moved by"),
        ("strftime('%j', a)", "%j"),
        ("printf('%d', a)", "printf"),
        ("substr(a, -2)", "substr"),
        ("substr(a, 3)", "substr"),
        ("a || b", "CAST(… AS TEXT)"),
        ("CAST(a AS NUMERIC)", "CAST to INTEGER"),
        ("a COLLATE NOCASE", "NOCASE"),
        ("a > b", "condition used as a value"),
        ("NOT EXISTS (SELECT 1)", "condition used as a value"),
        ("CASE WHEN a THEN 1 END", "value used as a condition"),
        ("CASE WHEN a < '2015-01-01' THEN 1 END", "COLLATE BINARY"),
        ("sum(a) FILTER (WHERE b = 1)", "Filter"),
        ("row_number() OVER (ORDER BY a ROWS UNBOUNDED PRECEDING)", "WindowSpec"),
        ("true", "TRUE"),
        ("x'00'", "HexString"),
        ("a FROM t NATURAL JOIN u --", "NATURAL"),
        ("a FROM t JOIN u USING (a) --", "USING"),
        ("a FROM t LIMIT 3 --", "LIMIT"),
        (":absent", "no value for :absent"),
        (":many", "write IN (:many)"),
        ("a IN (1, :many)", "write IN (:many)"),
        (":nul", "NUL"),
        (":endless", "infinite"),
        ("a b c", "line 1"),
        ("1; SELECT 2 --", "one SELECT"),
    ],
)
@pytest.mark.parametrize("wanted", dialects.SERVERS)
def test_what_is_not_known_is_refused_by_name(expression: str, told: str, wanted: str) -> None:
    with pytest.raises(SqlError, match=re.escape(told)):
        rendered(expression, wanted, many=[1], nul="a\0b", endless=float("inf"))


def test_another_dialect_is_refused() -> None:
    with pytest.raises(SqlError, match="no dialect oracle"):
        dialects.render("SELECT 1", {}, "oracle")


def test_a_sorted_text_is_the_table_s_column_in_binary_order() -> None:
    sql = "SELECT n.id AS note_id FROM note AS n ORDER BY note_id COLLATE BINARY"
    assert dialects.render(sql, {}, "postgres").endswith('ORDER BY\n  n.id COLLATE "C"')
    assert dialects.render(sql, {}, "tsql").endswith("CAST(n.id AS NVARCHAR(4000)) COLLATE Latin1_General_BIN2")


def test_nulls_are_sorted_as_in_sqlite_inside_the_query() -> None:
    sql = "SELECT row_number() OVER (ORDER BY a DESC, b) AS n FROM t"
    assert "ORDER BY a DESC NULLS LAST, b NULLS FIRST" in re.sub(r"\s+", " ", dialects.render(sql, {}, "postgres"))
    assert "NULLS" not in dialects.render(sql, {}, "tsql")


def test_literals_are_never_code() -> None:
    """What a parameter holds comes back as the one value it is, whatever is in it."""
    nasty = "x'; DROP TABLE note; --\\' /* \" \n :window_start ? %s {} $1 N'"
    for wanted in dialects.SERVERS:
        written = dialects.render("SELECT :nasty AS a", {"nasty": nasty}, wanted)
        literals = list(parse_one(written, read=wanted).find_all(exp.Literal))
        assert [str(found.this) for found in literals] == [nasty]
    rows = sqlite3.connect(":memory:").execute(dialects.render("SELECT :nasty AS a", {"nasty": nasty}, "postgres"))
    assert rows.fetchall() == [(nasty,)]
