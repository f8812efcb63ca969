"""What is said of a server before it is asked; tests/services asks a real one."""

import subprocess
import sys
from typing import Any

import pytest

from lib import odbc
from lib.stage import StageError
from omop_db import ROOT


def block(connection: str, **changed: Any) -> dict[str, Any]:
    given = {"connection": connection, "dialect": "postgres", "secrets": {}, "kerberos": None}
    return given | {"lock_seconds": 7} | changed


def test_what_streaming_needs_is_added_and_what_must_be_is_ours() -> None:
    given = "Driver={PostgreSQL Unicode};Server=db;ReadOnly=1;BoolsAsChar=1;ConnSettings={SET search_path=cdm};UID=me"
    text = odbc.connection_string(block(given))
    made = odbc.keywords(text)
    assert made["Driver"] == "{PostgreSQL Unicode}" and made["UID"] == "me"
    assert made["ReadOnly"] == "0" and made["BoolsAsChar"] == "1"
    assert made["ConnSettings"].startswith("{SET search_path=cdm;SET default_transaction_read_only = on;")
    assert "lock_timeout = '7s'" in made["ConnSettings"]
    assert text.count("ReadOnly=") == text.count("ConnSettings=") == 1
    assert "ApplicationIntent=ReadOnly" in odbc.connection_string(block("Driver=x", dialect="tsql"))


def test_a_secret_is_quoted_and_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_PASSWORD", "a;b}c")
    made = odbc.connection_string(block("Driver=x;UID=me", secrets={"PWD": "SITE_PASSWORD"}))
    assert made.endswith("PWD={a;b}}c}")
    monkeypatch.delenv("SITE_PASSWORD")
    with pytest.raises(StageError) as caught:
        odbc.connection_string(block("Driver=x", secrets={"PWD": "SITE_PASSWORD"}))
    assert "SITE_PASSWORD" not in str(caught.value)  # a password, where somebody mistook the key


def test_an_unknown_failure_has_its_state_and_not_its_words() -> None:
    told = str(odbc.failure(Exception("XX001", "Ingrid Canary"), "query.sql: ", "SELECT 1", block("")))
    assert told == "query.sql: the database refuses it (XX001): run the query by hand"
    named = Exception("42P01", 'relation "canary" does not exist')
    assert "canary" not in str(odbc.failure(named, "", "SELECT 1 FROM note", block("")))
    assert "no table canary" in str(odbc.failure(named, "", "SELECT 1 FROM canary", block("")))
    tsql = Exception("42S02", "[Microsoft][ODBC Driver 18 for SQL Server]Invalid object name 'note'.")
    assert "the database has no table note" in str(odbc.failure(tsql, "", "SELECT 1 FROM note", block("")))


def test_a_sqlite_source_needs_no_odbc() -> None:
    code = "import extract, refresh, check_source, sys; print([m for m in ('pyodbc', 'sqlglot') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
