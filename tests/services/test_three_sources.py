"""One hospital through sqlite3, through ODBC with SQLite's driver, and through ODBC from PostgreSQL under Kerberos.

The shards are equal byte for byte, whatever the driver and the number of rows fetched at a time; with text ids, and
with integers. SQLite's ODBC driver is a peer for this test and no more: without BigInt=1 it wraps ids beyond 2^31.
"""

from pathlib import Path
from typing import Any

import pytest

import omop
import omop_db
from lib import sqltext
from postgres import Postgres, driver
from server_job import ServerJob, described, plain

DEMO: dict[str, Any] = {"seed": 5, "patients": 200, "start": "2013-01-01", "end": "2016-12-31", "note_words": 60}
DEMO |= {"cue_share": 0.2, "late": 0.1, "dirt": 0.5, "leak": []}
# SQLite's ODBC driver takes a computed column's type from its first row, and text it is if that is NULL: a window in
# which the first stay of the discharge cohort has every number. The admission cohort has none, so it does without.
WINDOW, KNOWN_UNTIL = ("2015-05-02", "2016-07-01"), "2016-10-01"
PEER = ("discharge.sql", "discharge.labels.sql", "admission.sql")
KEYS = {"visit_id": "'100' || CAST({} AS TEXT)", "note_id": "CAST({} AS TEXT) || '-DS-21'"}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    return omop_db.demo(folder, DEMO)


@pytest.fixture(scope="module")
def server(postgres: Postgres, hospital: Path) -> str:
    omop.build(postgres, "three", hospital)
    return "three"


def with_text_ids(sql: str) -> str:
    """The query with ids such as 10000032-DS-21, in binary order."""
    body, _, order = sql.rpartition("ORDER BY ")
    keys = [key.strip().rpartition(".")[2] for key in order.split(",")]
    columns = [name for name in KEYS if name in keys] + ["person_id"]
    rest = "index_time, note_time, note_time_kind, note_time_precision, note_role, text"
    if "note_id" not in keys:
        rest = "anchor_time, index_time, {}".format(", ".join(_labels(body)))
    written = [f"{KEYS.get(name, 'CAST({} AS TEXT)').format('q.' + name)} AS {name}" for name in columns]
    order = ", ".join(f"{key} COLLATE BINARY" for key in keys)
    return f"SELECT {', '.join(written)}, {rest} FROM ({body}) AS q ORDER BY {order}"


def _labels(body: str) -> list[str]:
    last = body[body.rindex("\nSELECT") :]
    words = [word for kind, word in sqltext.significant(last) if kind == "word"]
    return [w for w in dict.fromkeys(words) if w.startswith(("label_", "reason_", "feature_", "group_"))]


@pytest.mark.parametrize("ids", ["integer", "text"])
@pytest.mark.parametrize("query", ["discharge.sql", "discharge.labels.sql", "admission.sql", "admission.labels.sql"])
def test_the_shards_are_equal_byte_for_byte(
    query: str, ids: str, hospital: Path, server: str, postgres: Postgres, researcher: dict[str, str], tmp_path: Path
) -> None:
    cohort, kind = query.split(".")[0], "labels" if "labels" in query else "text"
    sql = (omop_db.ROOT / omop_db.OMOP / query).read_text(encoding="utf-8")
    if ids == "text":
        sql = with_text_ids(sql)
    settings = omop_db.settings(cohort, kind, WINDOW, KNOWN_UNTIL)
    settings = {k: settings[k] for k in ("window_start", "window_end", "parameters", "known_until") if k in settings}
    settings |= {"dialect": "sqlite", "kind": kind, "id_type": ids}
    lite = described(f"Driver={driver('libsqlite3odbc')};Database={hospital};BigInt=1;StepAPI=1", dialect="sqlite")
    real = described(plain(postgres, server), kerberos={"principal": "researcher", "cache": None, "keytab": None})
    jobs = {
        "sqlite3": ServerJob(tmp_path / "1", lite, sql, sqlite=hospital, **settings),
        "SQLite's ODBC driver": ServerJob(tmp_path / "2", lite, sql, batch_rows=700, **settings),
        "PostgreSQL": ServerJob(tmp_path / "3", real, sql, batch_rows=7, **settings),
        "PostgreSQL, other batches": ServerJob(tmp_path / "4", real, sql, batch_rows=2000, **settings),
    }
    if query not in PEER:
        assert jobs["SQLite's ODBC driver"].run() == 1
        assert ": CAST it in the query" in jobs.pop("SQLite's ODBC driver").log
    for name, job in jobs.items():
        assert job.run() == 0, (name, job.log)
    first = jobs["sqlite3"]
    for name, job in jobs.items():
        assert job.manifest.read_bytes() == first.manifest.read_bytes(), name
        assert job.shard.read_bytes() == first.shard.read_bytes(), name
