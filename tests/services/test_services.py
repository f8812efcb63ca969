"""The services themselves: who gets in, what the network does when it is told to, and what a loaded OMOP holds."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import omop
import omop_db
from kerberos import Kerberos
from postgres import CLERK, PASSWORD, Postgres
from proxy import Proxy

pyodbc: Any = pytest.importorskip("pyodbc", reason="pyodbc finds no libodbc.so.2: install the package unixodbc")

LONG = "SELECT repeat('x', 10000) FROM generate_series(1, 5000)"  # 50 MB
STREAMED = {"UseDeclareFetch": 1, "Fetch": 1000}  # psqlodbc reads the whole result into memory without


@pytest.fixture(scope="module", autouse=True)
def notes(postgres: Postgres) -> None:
    """A database of one row that the researcher may read."""
    postgres.create_database("notes")
    postgres.sql("CREATE TABLE note (text TEXT); INSERT INTO note VALUES ('kept')", "notes")
    omop.grant(postgres, "notes")


def asked(postgres: Postgres, query: str = "SELECT text FROM note", **options: Any) -> list[tuple[Any, ...]]:
    text = postgres.connection_string("notes", **options)
    with closing(pyodbc.connect(text)) as connection:
        return [tuple(row) for row in connection.execute(query).fetchall()]


@pytest.mark.usefixtures("researcher")
def test_a_ticket_gets_in_without_a_password(postgres: Postgres) -> None:
    assert asked(postgres) == [("kept",)]
    assert asked(postgres, "SELECT current_user::text") == [("researcher",)]


def test_no_ticket_does_not(postgres: Postgres, kdc: Kerberos, researcher: dict[str, str]) -> None:
    kdc.kdestroy(Path(researcher["KRB5CCNAME"].removeprefix("FILE:")))
    with pytest.raises(pyodbc.Error, match="No Kerberos credentials available") as caught:
        asked(postgres)
    assert caught.value.args[0] == "08001"


def test_a_ticket_that_has_run_out_does_not_and_a_new_one_does(
    postgres: Postgres, kdc: Kerberos, researcher: dict[str, str]
) -> None:
    cache = Path(researcher["KRB5CCNAME"].removeprefix("FILE:"))
    kdc.kinit(cache, lifetime="2s")
    assert asked(postgres) == [("kept",)]
    time.sleep(3.2)
    with pytest.raises(pyodbc.Error, match=r"[Tt]icket expired|credentials .*expired"):
        asked(postgres)
    kdc.kinit(cache)
    assert asked(postgres) == [("kept",)]


def test_a_password_gets_the_clerk_in_and_a_wrong_one_does_not(postgres: Postgres) -> None:
    assert asked(postgres, user=CLERK, PWD=PASSWORD) == [("kept",)]
    with pytest.raises(pyodbc.Error, match="password authentication failed"):
        asked(postgres, user=CLERK, PWD="wrong")


@pytest.mark.usefixtures("researcher")
def test_the_researcher_may_read_and_nothing_else(postgres: Postgres) -> None:
    for statement in ("DELETE FROM note", "CREATE TABLE other (x TEXT)", "CREATE TEMP TABLE other (x TEXT)"):
        with pytest.raises(pyodbc.Error, match="permission denied"):
            asked(postgres, statement)


@pytest.mark.usefixtures("researcher")
def test_the_network_goes_while_rows_stream_and_comes_back(postgres: Postgres, proxy: Proxy) -> None:
    assert asked(postgres, port=proxy.port) == [("kept",)]
    with closing(pyodbc.connect(postgres.connection_string("notes", port=proxy.port, **STREAMED))) as connection:
        cursor = connection.execute(LONG)
        assert len(cursor.fetchmany(10)) == 10
        proxy.drop()
        with pytest.raises(pyodbc.Error):
            cursor.fetchall()
    assert asked(postgres, port=proxy.port) == [("kept",)]
    proxy.refusing = True
    with pytest.raises(pyodbc.Error) as caught:
        asked(postgres, port=proxy.port)
    assert caught.value.args[0] == "08001"
    proxy.restore()
    assert asked(postgres, port=proxy.port) == [("kept",)]


CHILD = """
import sys, pyodbc
cursor = pyodbc.connect(sys.argv[1]).execute(sys.argv[2])
print(len(cursor.fetchmany(10)), flush=True)
sys.stdin.readline()
print(len(cursor.fetchall()), flush=True)
"""


def test_a_reset_in_the_middle_of_an_answer_ends_the_process(
    postgres: Postgres, proxy: Proxy, researcher: dict[str, str]
) -> None:
    """psqlodbc 13.02 then crashes in SQLFetch (SIGSEGV): no code of ours sees an error, so none may rely on one."""
    connection = postgres.connection_string("notes", port=proxy.port, **STREAMED)
    command = [sys.executable, "-c", CHILD, connection, LONG]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=os.environ | researcher, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "10\n"
        proxy.drop_after(1_000_000)
        rest, _ = child.communicate("go on\n", timeout=30)
    assert rest == ""
    assert child.returncode != 0


@pytest.mark.usefixtures("researcher")
def test_a_silent_network_holds_a_query_until_it_is_dropped(postgres: Postgres, proxy: Proxy) -> None:
    with closing(pyodbc.connect(postgres.connection_string("notes", port=proxy.port))) as connection:
        proxy.silent = True
        ended: list[str] = []

        def ask() -> None:
            try:
                connection.execute("SELECT 1").fetchall()
                ended.append("answered")
            except pyodbc.Error:
                ended.append("failed")

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(0.5)
        assert not ended
        proxy.drop()
        asking.join(10)
        assert ended == ["failed"]


@pytest.mark.usefixtures("researcher")
def test_an_administrator_ends_a_query_or_a_connection(postgres: Postgres) -> None:
    for act in (postgres.cancel, postgres.terminate):
        with closing(pyodbc.connect(postgres.connection_string("notes"))) as connection:
            done: list[int] = []
            administrator = threading.Thread(target=lambda act=act, done=done: done.append(_when_active(postgres, act)))
            administrator.start()
            with pytest.raises(pyodbc.Error, match=r"canceling statement|terminating connection|server closed"):
                connection.execute("SELECT pg_sleep(20)").fetchall()
            administrator.join()
            assert done == [1]


def _when_active(postgres: Postgres, act: Any) -> int:
    deadline = time.monotonic() + 10
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'researcher' AND query LIKE '%pg_sleep%'"
    while postgres.sql(f"{sleeping} AND state = 'active'") == "0" and time.monotonic() < deadline:
        time.sleep(0.02)
    return int(act())


@pytest.mark.usefixtures("researcher")
def test_a_lock_makes_a_reader_wait_as_long_as_it_will(postgres: Postgres) -> None:
    with closing(pyodbc.connect(postgres.connection_string("notes"))) as connection:
        connection.execute("SELECT set_config('lock_timeout', '200ms', false)")
        with postgres.locked("note", "notes"), pytest.raises(pyodbc.Error, match="lock timeout"):
            connection.execute("SELECT text FROM note").fetchall()
    assert asked(postgres) == [("kept",)]


@pytest.mark.usefixtures("researcher")
def test_the_server_dies_while_rows_stream_and_starts_again(postgres: Postgres) -> None:
    with closing(pyodbc.connect(postgres.connection_string("notes", **STREAMED))) as connection:
        cursor = connection.execute(LONG)
        cursor.fetchmany(10)
        postgres.stop("immediate")
        try:
            with pytest.raises(pyodbc.Error):
                cursor.fetchall()
        finally:
            postgres.start()
    assert asked(postgres) == [("kept",)]


def test_a_loaded_omop_has_every_table_and_every_row(postgres: Postgres, tmp_path: Path) -> None:
    settings = {"seed": 1, "patients": 100, "start": "2011-01-01", "end": "2021-12-31", "leak": []}
    settings |= {"cue_share": 0.2, "late": 0.0, "note_words": 60, "dirt": 0.5}
    database = omop_db.demo(tmp_path, settings)
    omop.build(postgres, "hospital", database)
    tables = postgres.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", "hospital").split()
    assert len(tables) == 40  # of the specification 39, and claims
    with (
        closing(sqlite3.connect(database)) as one,
        postgres.superuser("hospital") as other,
    ):
        for (table,) in one.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            names = [column[1] for column in one.execute(f"PRAGMA table_info({table})")]
            query = f"SELECT {', '.join(names)} FROM {table}"
            ours = [tuple(row) for row in one.execute(query)]
            theirs = [tuple(None if v is None else str(v) for v in row) for row in other.execute(query)]
            assert ours
            assert sorted(map(repr, theirs)) == sorted(
                repr(tuple(None if v is None else str(v) for v in row)) for row in ours
            )
