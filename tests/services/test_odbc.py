"""A server asked through ODBC: who gets in, that nothing is written or told, and what each fault does to a window."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kerberos import Kerberos
from lib import kerberos as tickets
from lib import odbc
from lib.attempts import PassingError
from lib.files import read_json, write_json
from lib.stage import StageError
from postgres import CLERK, PASSWORD, Postgres
from proxy import Proxy
from server_job import QUERY, ServerJob, described, letters, plain

PRINCIPAL = "researcher@HOSPITAL.TEST"
Act = Callable[[Postgres, Proxy], Any]


@pytest.fixture(scope="module", autouse=True)
def _letters(postgres: Postgres) -> None:
    letters(postgres)


@pytest.fixture
def job(postgres: Postgres, proxy: Proxy, researcher: dict[str, str], tmp_path: Path) -> ServerJob:
    """A job of the researcher, by way of the proxy."""
    return ServerJob(tmp_path / "job", described(plain(postgres, "letters", proxy.port)))


def ask(block: dict[str, Any], folder: Path, sql: str = "SELECT count(*) AS n FROM letters") -> list[tuple[Any, ...]]:
    write_json(folder / "server.json", block)
    with odbc.connect(folder / "server.json") as session:
        _, batches = session.stream(sql, {}, "postgres", 100, "query.sql")
        return [tuple(row) for batch in batches for row in batch]


def said(block: dict[str, Any], folder: Path, sql: str = "SELECT count(*) AS n FROM letters") -> str:
    """What a failing question tells."""
    with pytest.raises(StageError) as caught:
        ask(block, folder, sql)
    return str(caught.value)


# --- who gets in ----------------------------------------------------------------------------------------------------


def test_a_ticket_is_enough(postgres: Postgres, researcher: dict[str, str], tmp_path: Path) -> None:
    assert ask(described(plain(postgres, "letters")), tmp_path) == [(20_000,)]


def test_without_a_ticket_one_sentence_says_whose_and_what_to_run(
    postgres: Postgres, kdc: Kerberos, researcher: dict[str, str], tmp_path: Path
) -> None:
    cache = tmp_path / "ticket"
    wanted = f"no valid Kerberos ticket for {PRINCIPAL}: run `kinit {PRINCIPAL}`"
    block = described(plain(postgres, "letters"), kerberos={"principal": PRINCIPAL, "cache": None, "keytab": None})
    kdc.kdestroy(cache)
    assert wanted in said(block, tmp_path)
    assert "run kinit, or give source.odbc.kerberos" in said(block | {"kerberos": None}, tmp_path)  # the server's word
    kdc.kinit(cache, lifetime="2s")
    assert 0 < (tickets.remaining() or 0) <= 2
    time.sleep(3.2)
    assert wanted in said(block, tmp_path)
    kdc.kinit(cache)
    assert ask(block, tmp_path) == [(20_000,)]
    named = block | {"kerberos": block["kerberos"] | {"cache": f"FILE:{tmp_path}/other"}}
    told = said(named, tmp_path)
    assert "kinit -c CACHE (the one of source.odbc.kerberos.cache)" in told
    assert str(tmp_path) not in told


def test_a_keytab_needs_no_ticket(
    postgres: Postgres, kdc: Kerberos, researcher: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kdc.kdestroy(tmp_path / "ticket")
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", "")  # so that what the session sets is taken back
    given = {"principal": PRINCIPAL, "cache": None, "keytab": str(kdc.user_keytab)}
    assert ask(described(plain(postgres, "letters"), kerberos=given), tmp_path) == [(20_000,)]
    assert not (tmp_path / "ticket").exists()
    told = said(described(plain(postgres, "letters"), kerberos=given | {"keytab": "/none.keytab"}), tmp_path)
    assert told.startswith("source.odbc.kerberos.keytab: there is no such file")


def test_on_a_node_the_login_nodes_own_cache_is_not_taken(
    postgres: Postgres, researcher: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    given = {"principal": PRINCIPAL, "cache": None, "keytab": None}
    block = described(plain(postgres, "letters"), kerberos=given)
    assert "a node does not see the login node's own ticket cache" in said(block, tmp_path)
    there = block | {"kerberos": given | {"cache": researcher["KRB5CCNAME"]}}
    assert ask(there, tmp_path) == [(20_000,)]


def test_a_password_comes_from_the_environment_and_is_told_nowhere(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = described(plain(postgres, "letters", user=CLERK), secrets={"PWD": "LETTERS_PASSWORD"})
    monkeypatch.delenv("LETTERS_PASSWORD", raising=False)
    told = said(block, tmp_path)
    assert told == "source.odbc.secrets.PWD: the variable of the environment that it names is not set"
    monkeypatch.setenv("LETTERS_PASSWORD", PASSWORD)
    assert ask(block, tmp_path) == [(20_000,)]
    monkeypatch.setenv("LETTERS_PASSWORD", f"{PASSWORD};no")
    job = ServerJob(tmp_path / "job", block)
    assert job.run() == 1
    assert "the server does not let this user in" in job.log
    postgres.sql("ALTER ROLE clerk PASSWORD 'a;b}c=''d {'")
    monkeypatch.setenv("LETTERS_PASSWORD", "a;b}c='d {")
    try:
        assert ask(block, tmp_path) == [(20_000,)]
    finally:
        postgres.sql(f"ALTER ROLE clerk PASSWORD '{PASSWORD}'")
    left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert left
    assert not any(PASSWORD.encode() in content for content in left)


def test_what_cannot_be_reached_is_told_without_its_address(
    postgres: Postgres, researcher: dict[str, str], tmp_path: Path
) -> None:
    good = plain(postgres, "letters")
    faults = {
        plain(postgres, "nowhere"): "the server has no such database",
        good.replace(f"Port={postgres.port}", "Port=1"): "the connection to the server is lost (08001)",
        "Driver=/none/driver.so;Server=localhost": "the ODBC driver's library cannot be loaded",
        "DSN=none": "there is no such ODBC driver or data source",
    }
    for connection, wanted in faults.items():
        told = said(described(connection), tmp_path)
        assert wanted in told
        assert not any(word in told for word in ("localhost", "127.0.0.1", "nowhere", "researcher", "/none"))


# --- reading only ---------------------------------------------------------------------------------------------------


def test_the_session_reads_only_even_where_the_user_may_write(postgres: Postgres, tmp_path: Path) -> None:
    """The driver's own ReadOnly looks at the first word of a statement: a function gets past it."""
    postgres.sql("CREATE SEQUENCE ticked; GRANT ALL ON SEQUENCE ticked TO clerk", "letters")
    block = described(f"{plain(postgres, 'letters', user=CLERK)};ReadOnly=1", secrets={"PWD": "LETTERS_PASSWORD"})
    os.environ["LETTERS_PASSWORD"] = PASSWORD
    try:
        told = said(block, tmp_path, "SELECT nextval('ticked') AS n")
    finally:
        del os.environ["LETTERS_PASSWORD"]
    assert told == "query.sql: the query wants to write, and the session is read-only (25006)"


def test_what_is_no_single_select_is_not_sent(job: ServerJob, postgres: Postgres) -> None:
    before = postgres.sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'letters'")
    other = ServerJob(job.folder, job.block, "DELETE FROM letters")
    assert other.run() == 1
    assert "it begins with DELETE" in other.log
    assert not other.whole()
    assert before  # the server counts lazily; that nothing is gone is what matters
    assert postgres.sql("SELECT count(*) FROM letters", "letters") == "20000"


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT * FROM missives", "the database has no table missives"),
        ("SELECT colour FROM letters", "the database has no column colour"),
        ("SELECT l.colour FROM letters AS l", "the database has no column l.colour"),
        ("SELECT letter FROM letters GROUP HAVING", "there is a syntax error near HAVING"),
        ("SELECT datetime(signed) FROM letters", "the database has no function datetime"),
        ("SELECT * FROM closed", "this user may not read closed: ask for SELECT on it"),
        ("SELECT CAST(body AS INTEGER) FROM letters", "a value in the data does not fit the query's own conversion"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_without_values(
    sql: str, wanted: str, postgres: Postgres, researcher: dict[str, str], tmp_path: Path
) -> None:
    postgres.sql("CREATE TABLE IF NOT EXISTS closed (x INTEGER)", "letters")
    told = said(described(plain(postgres, "letters")), tmp_path, sql)
    assert wanted in told
    assert "word" not in told  # what the letters say


# --- faults in the middle of a window -------------------------------------------------------------------------------


def wait_for(job: ServerJob, process: Any) -> None:
    """Until rows have begun to arrive."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            if job.temporary.stat().st_size > 4:
                return
        time.sleep(0.005)
    raise AssertionError(f"it ended too soon: {job.log}")


def struck(job: ServerJob, act: Callable[[], Any], then: Callable[[], Any] = lambda: None) -> int:
    """Start the job, strike when rows arrive, mend after a second; its exit status."""
    process = job.start()
    wait_for(job, process)
    act()
    time.sleep(0.5)
    then()
    return process.wait(timeout=120)


FAULTS = {
    "server killed": (lambda p, x: p.stop("immediate"), lambda p, x: p.start()),
    "connection ended by an administrator": (lambda p, x: p.terminate(), lambda p, x: None),
    "network reset": (lambda p, x: x.drop(), lambda p, x: None),
    "network reset in the middle of an answer": (lambda p, x: x.drop_after(10_000), lambda p, x: None),
    "network gone for a while": (lambda p, x: (setattr(x, "refusing", True), x.drop()), lambda p, x: x.restore()),
}


@pytest.fixture
def slow(job: ServerJob, postgres: Postgres) -> ServerJob:
    """A job that takes long enough to be struck: 40,000 letters."""
    if postgres.sql("SELECT count(*) FROM pg_database WHERE datname = 'many'") == "0":
        letters(postgres, "many", 40_000)
    job.block["connection"] = job.block["connection"].replace("Database=letters", "Database=many")
    return ServerJob(job.folder, job.block)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_tried_again_from_the_start_of_the_window(
    fault: str, slow: ServerJob, postgres: Postgres, proxy: Proxy
) -> None:
    act, mend = FAULTS[fault]
    slow.block["retries"] = 5
    job = ServerJob(slow.folder, slow.block)
    try:
        status = struck(job, lambda: act(postgres, proxy), lambda: mend(postgres, proxy))
    finally:
        if fault == "server killed" and "running" not in postgres.sql("SELECT 'running'"):
            postgres.start()
    assert status == 0, job.log
    assert "; try 2 of 6 in 0.2 s" in job.log
    assert job.whole()
    assert read_json(job.manifest)["rows"] == 40_000


@pytest.mark.parametrize("fault", ["connection ended by an administrator", "network reset in the middle of an answer"])
def test_what_does_not_pass_fails_clearly_and_leaves_nothing(
    fault: str, slow: ServerJob, postgres: Postgres, proxy: Proxy
) -> None:
    assert struck(slow, lambda: FAULTS[fault][0](postgres, proxy)) == 1
    assert not slow.whole()
    line = slow.log.splitlines()[-1]
    assert line.startswith("error: ")
    assert any(words in line for words in ("is lost", "shutting down", "ODBC driver crashed")), line


def test_a_query_that_an_administrator_cancels_is_not_sent_again(slow: ServerJob, postgres: Postgres) -> None:
    job = ServerJob(slow.folder, slow.block | {"retries": 5}, slow_query())
    process = job.start()
    wait_for(job, process)
    deadline = time.monotonic() + 20
    while not postgres.cancel() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.wait(timeout=60) == 1
    assert "the query was cancelled, by an administrator or the server's time limit" in job.log
    assert "try 2" not in job.log
    assert not job.whole()


def test_a_value_that_fails_after_the_first_rows_is_no_end_of_the_data(job: ServerJob, postgres: Postgres) -> None:
    never = "CAST(random() < 0 AS INTEGER)"  # volatile, so that the server evaluates it after it has sorted
    wrong = QUERY.replace(
        "body AS text", f"CASE WHEN letter < 15000 THEN body ELSE CAST(1 / {never} AS TEXT) END AS text"
    )
    other = ServerJob(job.folder, job.block, wrong)
    assert other.run() == 1
    assert "after 14500 rows a value in the data does not fit the query's own conversion" in other.log
    assert not other.whole()


def slow_query() -> str:
    return QUERY.replace("body AS text", "body || CAST(pg_sleep(0.0005) AS TEXT) AS text")


def test_a_lock_is_waited_for_and_then_told(job: ServerJob, postgres: Postgres) -> None:
    patient = ServerJob(job.folder, job.block | {"retries": 10, "pause_seconds": 0.1})
    with postgres.locked("letters", "letters"):
        process = patient.start()
        while "waited too long for a lock (55P03); try 2" not in patient.log:
            assert process.poll() is None, patient.log
            time.sleep(0.05)
    assert process.wait(timeout=60) == 0
    assert patient.whole()
    hasty = ServerJob(job.folder.with_name("hasty"), job.block)
    with postgres.locked("letters", "letters"):
        assert hasty.run() == 1
    assert "error: own.sql: the query waited too long for a lock (55P03)" in hasty.log
    assert not hasty.whole()


def test_a_job_that_is_killed_takes_its_attempt_with_it(slow: ServerJob, postgres: Postgres) -> None:
    process = slow.start()
    wait_for(slow, process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while postgres.backends() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert postgres.backends() == 0
    assert not slow.shard.exists()
    assert slow.run() == 0
    assert slow.whole()


def test_a_lost_connection_may_pass_and_a_wrong_query_may_not() -> None:
    states = {
        "08S01": True,
        "57P01": True,
        "55P03": True,
        "40001": True,
        "57014": False,
        "42P01": False,
        "28P01": False,
    }
    for state, passes in states.items():
        error = odbc.failure(Exception(state, "of no consequence"), "", "", {})
        assert isinstance(error, PassingError) == passes, state
