"""What an extract brings over ODBC: texts to the last byte, ids of all kinds, equal bytes by any batch, flat memory."""

import json
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import omop
from lib import odbc, shards
from lib.files import write_json
from lib.stage import StageError
from postgres import Postgres, driver
from server_job import QUERY, ROOT, ServerJob, described, plain

NASTY = "é 😀 𝛼 ﷽ \u0301 ' '' \" \\ \\n \\\\ \t \r\n \n\r % _ ? :name {fn} ; -- /* */ $1 $$ \x01 \x1f \x7f "
NASTY += " \ufffe \uffff \ufeff"
LENGTHS = (0, 1, 254, 255, 256, 2047, 2048, 4095, 4096, 4097, 8189, 8190, 8191, 32_767, 65_536)  # where buffers end
TEXT_IDS = ("10000032-DS-21", "10000032-DS-3", "A-1", "B-1", "a-1", "a-1 ", "é-1", "😀")  # in the order of their bytes
SAID_BY_SERVER = QUERY.replace("ORDER BY letter", 'ORDER BY letter COLLATE "C"')


def texts() -> list[str | None]:
    """Each kind of text once: what is nasty, whole and around the lengths where buffers end, a megabyte, nothing."""
    source = random.Random(0)
    long = "".join(source.choices(NASTY, k=1_000_000))
    around = [("x" * length + end)[-length:] if length else "" for length in LENGTHS for end in ("", "é", "😀", "\n")]
    return [NASTY, NASTY[::-1], f" {NASTY} ", long, "y" * 2**20, "\\.", "\\N", "NULL", None, *around]


def stored(postgres: Postgres, bodies: list[str | None], ids: "list[int] | list[str]", kind: str = "BIGINT") -> None:
    """A table of letters with these texts under these ids."""
    postgres.create_database("texts")
    columns = f"letter {kind} PRIMARY KEY, patient {kind}, signed TIMESTAMP, body TEXT"
    rows = [(key, key, "2020-01-01 10:00:00", body) for key, body in zip(ids, bodies, strict=True)]
    copied = omop.copied("letters", ("letter", "patient", "signed", "body"), rows)
    postgres.sql(f"CREATE TABLE letters ({columns});\n{copied}", "texts")
    omop.grant(postgres, "texts")


@pytest.fixture
def block(postgres: Postgres, researcher: dict[str, str]) -> dict[str, object]:
    return described(plain(postgres, "texts"))


def column(job: ServerJob, name: str, **environment: str) -> list[object]:
    assert job.run(**environment) == 0, job.log
    return list(shards.read_parquet(job.shard)[name].to_pylist())


def test_texts_are_intact_to_the_last_byte_whatever_the_batch(
    postgres: Postgres, block: dict[str, object], tmp_path: Path
) -> None:
    bodies = texts()
    stored(postgres, bodies, list(range(len(bodies))))
    made = set()
    for rows in (1, 7, 5000):
        job = ServerJob(tmp_path / str(rows), block)
        assert column(job, "text", NOTECAST_NEUTRAL=json.dumps({"batch_rows": rows})) == bodies
        made.add((job.shard.read_bytes(), job.manifest.read_bytes()))
    assert len(made) == 1


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_texts_are_intact_in_every_locale(
    locale: str, postgres: Postgres, block: dict[str, object], tmp_path: Path
) -> None:
    """psqlodbc turns text into the locale's encoding for who asks for bytes; pyodbc asks for UTF-16."""
    stored(postgres, [NASTY], [1])
    assert column(ServerJob(tmp_path / "job", block), "text", LC_ALL=locale, PYTHONCOERCECLOCALE="0") == [NASTY]


def test_postgresql_holds_no_nul(postgres: Postgres) -> None:
    stored(postgres, ["a"], [1])
    for value in ("'a' || chr(0)", "E'a\\x00'", "E'a\\u0000'", "convert_from('\\x6100', 'UTF8')"):
        with pytest.raises(AssertionError, match=r"null character not permitted|0x00|invalid Unicode escape value"):
            postgres.sql(f"UPDATE letters SET body = {value}", "texts")


def test_ids_are_whole_up_to_64_bits(postgres: Postgres, block: dict[str, object], tmp_path: Path) -> None:
    ids = [-(2**63), -(2**40), -(2**31) - 1, -1, 0, 2**31 - 1, 2**31, 2**40, 2**53 + 1, 2**63 - 1]
    stored(postgres, ["a"] * len(ids), ids)
    job = ServerJob(tmp_path / "job", block)
    assert column(job, "visit_id") == column(job, "note_id") == column(job, "person_id") == ids


def test_text_ids_come_in_the_order_of_their_bytes_or_the_query_is_told(
    postgres: Postgres, block: dict[str, object], tmp_path: Path
) -> None:
    stored(postgres, ["a"] * len(TEXT_IDS), list(TEXT_IDS), "TEXT")
    job = ServerJob(tmp_path / "job", block, SAID_BY_SERVER, id_type="text")
    assert column(job, "note_id") == list(TEXT_IDS)
    other = ServerJob(tmp_path / "other", block, id_type="text")  # the server sorts as a person would
    assert other.run() == 1
    assert "is not in order: end the query with ORDER BY visit_id, note_id (in binary collation)" in other.log


MEASURED = """
import json, os, re, resource, sys
sys.path.insert(0, sys.argv[1])
from lib import stage
import extract
stage._leave_pandas_out()
extract.main(stage.Job(json.loads(sys.argv[2]), json.loads(sys.argv[3])))
own = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024)
"""


def peak(job: ServerJob) -> int:
    """The most memory that the job has held, in MB."""
    files = {"database": "server.json", "exclusions": "exclusions.txt", "shard": "s.parquet", "manifest": "s.json"}
    files["fetched"] = "fetched/cohort/2020.text.parquet"
    paths = json.dumps({name: str(job.folder / file) for name, file in files.items()})
    command = [sys.executable, "-c", MEASURED, str(ROOT / "scripts"), json.dumps(job.settings), paths]
    return int(subprocess.run(command, env=os.environ, check=True, stdout=subprocess.PIPE, text=True).stdout)


def test_memory_does_not_follow_the_window(postgres: Postgres, block: dict[str, object], tmp_path: Path) -> None:
    stored(postgres, [], [])
    made = "SELECT g, g, '2020-01-01 10:00:00', repeat(chr(128512) || md5(CAST(g AS TEXT)), 200)"
    postgres.sql(f"INSERT INTO letters {made} FROM generate_series(1, 20000) AS g", "texts")  # 145 MB of text
    few = QUERY.replace("ORDER BY", "AND letter <= 3000 ORDER BY")
    small, large = peak(ServerJob(tmp_path / "few", block, few)), peak(ServerJob(tmp_path / "all", block))
    assert large < small + 30, (small, large)


def test_the_sqlite_odbc_driver_wraps_ids_and_cuts_texts(tmp_path: Path) -> None:
    """Known faults of a peer (sqliteodbc 0.9998), silent: why a SQLite file is `source.sqlite`, not `source.odbc`."""
    with closing(sqlite3.connect(tmp_path / "letters.sqlite")) as connection:
        connection.execute("CREATE TABLE letters (letter INTEGER PRIMARY KEY, patient INTEGER, signed TEXT, body TEXT)")
        rows = [(1, 2**40, "2020-01-01 10:00:00", "before\0after"), (2, 2**31, "2020-01-01 10:00:00", NASTY)]
        connection.executemany("INSERT INTO letters VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    connection_string = f"Driver={driver('libsqlite3odbc')};Database={tmp_path / 'letters.sqlite'}"
    peer = ServerJob(tmp_path / "peer", described(connection_string, dialect="sqlite"), dialect="sqlite")
    assert column(peer, "person_id") == [0, -(2**31)]
    assert column(peer, "text") == ["before", NASTY]


def test_a_session_that_has_seen_enough_asks_again(
    postgres: Postgres, block: dict[str, object], tmp_path: Path
) -> None:
    stored(postgres, ["a", "b", "c"], [1, 2, 3])
    write_json(tmp_path / "server.json", block)
    with odbc.connect(tmp_path / "server.json") as session:
        for _ in range(2):
            names, batches = session.stream("SELECT body FROM letters ORDER BY letter", {}, "postgres", 1, "own.sql")
            assert names == ["body"]
            assert next(batch for batch in batches if batch)[0][0] == "a"
            batches.close()
        for _ in range(2):
            with pytest.raises(StageError, match="the database has no table missives"):
                session.stream("SELECT body FROM missives", {}, "postgres", 1, "own.sql")
        _, batches = session.stream("SELECT body FROM letters ORDER BY letter", {}, "postgres", 2, "own.sql")
        assert [row[0] for batch in batches for row in batch] == ["a", "b", "c"]
