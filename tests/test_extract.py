import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import extract
import omop_db
from lib import optouts, shards, sqltext, stage

CANARY = "Ingrid Canary 1234567"
TEXT_SQL = """
SELECT visit AS visit_id, id AS note_id, person AS person_id, filed AS index_time, filed AS note_time,
    'filed' AS note_time_kind, 'second' AS note_time_precision, role AS note_role, body AS text
FROM notes
WHERE filed >= :window_start AND filed < :window_end
ORDER BY visit, id
"""
LABEL_SQL = """
SELECT visit AS visit_id, min(person) AS person_id, min(filed) AS anchor_time, min(filed) AS index_time,
    max(outcome) AS label_back, NULL AS reason_back, min(age) AS feature_age, 'x' AS group_sex
FROM notes
WHERE filed >= :window_start AND filed < :window_end
GROUP BY visit
ORDER BY visit
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """2,500 notes of 1,250 stays, ids from below -2^33 to beyond 2^40, texts of every kind."""
    path = tmp_path / "notes.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (visit, id, person, filed TEXT, role TEXT, body, outcome, age)")
        connection.executemany("INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_row, range(2500)))
        connection.commit()
    return path


def _row(n: int) -> tuple[Any, ...]:
    visit = (n // 2 - 600) * 2**33
    text = (f"{CANARY} é😀\x00 " * (n % 40 + 1), "", None, "a\r\nb")[0 if n % 10 else n // 10 % 4]
    return visit, n, visit + 1, "2014-03-05 12:00:00", ("note", "addendum")[n % 2], text, n // 2 % 2, n / 7


@pytest.fixture
def job(database: Path, tmp_path: Path) -> Callable[..., stage.Job]:
    def made(
        sql: str,
        kind: str = "text",
        neutral: dict[str, Any] | None = None,
        opted_out: Sequence[str] = (),
        **changed: Any,
    ) -> stage.Job:
        query = tmp_path / "own.sql"
        query.write_text(sql, encoding="utf-8")
        settings = {
            "kind": kind,
            "sql": str(query),
            "sql_sha256": sqltext.canonical_sql_hash(query),
            "id_type": "integer",
            "window_start": "2014-01-01 00:00:00",
            "window_end": "2015-01-01 00:00:00",
            "parameters": {},
        }
        if kind == "labels":
            settings["known_until"] = "2015-02-01 00:00:00"
        files = {"database": database, "shard": tmp_path / "w.parquet", "manifest": tmp_path / "w.json"}
        files |= {"exclusions": tmp_path / "exclusions.txt", "fetched": tmp_path / "fetched" / "cohort" / "w.parquet"}
        optouts.publish(files["exclusions"], opted_out)
        return stage.Job(settings | changed, files, neutral or {})

    return made


def change(database: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def refused(job: stage.Job) -> str:
    with pytest.raises(stage.StageError) as caught:
        extract.main(job)
    assert not job.path("shard").exists() and not job.path("manifest").exists()
    assert list(job.path("shard").parent.glob(".*.tmp")) == []
    assert "Canary" not in str(caught.value)
    return str(caught.value)


def test_text_shard_and_manifest(job: Callable[..., stage.Job]) -> None:
    asked = job(TEXT_SQL)
    extract.main(asked)
    table = shards.read_parquet(asked.path("shard"))
    assert table.to_pylist() == sorted(table.to_pylist(), key=lambda row: (row["visit_id"], row["note_id"]))
    assert {table.schema.field(n).type for n in ("visit_id", "note_id", "person_id")} == {pa.int64()}
    assert table["visit_id"][0].as_py() == -600 * 2**33
    assert sorted(table["text"].to_pylist(), key=str) == sorted((_row(n)[5] for n in range(2500)), key=str)
    manifest = shards.read_json(asked.path("manifest"))
    assert manifest["rows"] == 2500
    assert manifest["counts"] == {
        "stays": 1250,
        "excluded": 0,
        "by_role": {"note": 1250, "addendum": 1250},
        "by_time_kind": {"filed": 2500, "written": 0, "date": 0, "none": 0},
        "null_text": 62,
        "null_note_time": 0,
    }
    assert "Canary" not in asked.path("manifest").read_text()


def test_labels_shard_and_manifest(job: Callable[..., stage.Job], database: Path) -> None:
    sql = LABEL_SQL.replace("max(outcome) AS label_back, NULL", "max(outcome) AS label_back, min(role)")
    change(database, "UPDATE notes SET role = NULL")
    change(database, "UPDATE notes SET role = 'uncoded', outcome = NULL WHERE visit < 0")
    asked = job(sql, "labels")
    extract.main(asked)
    table = shards.read_parquet(asked.path("shard"))
    assert table.schema.names[4:] == ["label_back", "reason_back", "feature_age", "group_sex"]
    counts = shards.read_json(asked.path("manifest"))["counts"]
    assert (counts["stays"], counts["excluded"]) == (1250, 0)
    assert counts["labelled"] == {"back": 650} and counts["reasons"] == {"back": {"uncoded": 600}}


def test_bytes_do_not_depend_on_the_batch(job: Callable[..., stage.Job]) -> None:
    seen = set()
    for batch_rows in (1, 7, 999, 1000, 100_000):
        asked = job(TEXT_SQL, neutral={"batch_rows": batch_rows})
        extract.main(asked)
        seen.add((asked.path("shard").read_bytes(), asked.path("manifest").read_bytes()))
    assert len(seen) == 1


def test_text_ids(job: Callable[..., stage.Job], database: Path) -> None:
    change(database, "DELETE FROM notes WHERE id > 5")
    for n, name in enumerate(["Ä/1", "a'b", "😀", "￿", "z", "10"]):
        change(database, "UPDATE notes SET visit = ?, person = ? WHERE id = ?", name, name, n)
    sql = TEXT_SQL.replace("id AS note_id", "CAST(id AS TEXT) AS note_id")
    asked = job(sql, id_type="text")
    extract.main(asked)
    table = shards.read_parquet(asked.path("shard"))
    asked.path("shard").unlink(), asked.path("manifest").unlink()
    assert table["visit_id"].to_pylist() == ["10", "a'b", "z", "Ä/1", "￿", "😀"]  # by UTF-8 bytes
    assert table.schema.field("person_id").type == pa.string()
    assert "column note_id is not text: CAST it in the query (6 rows)" in refused(job(TEXT_SQL, id_type="text"))


def test_empty_window_has_a_whole_shard(job: Callable[..., stage.Job]) -> None:
    asked = job(TEXT_SQL, window_start="2001-01-01 00:00:00", window_end="2002-01-01 00:00:00")
    extract.main(asked)
    assert shards.read_parquet(asked.path("shard")).num_rows == 0
    assert shards.read_json(asked.path("manifest"))["counts"]["stays"] == 0


def test_a_bad_type_in_a_later_batch(job: Callable[..., stage.Job], database: Path) -> None:
    change(database, "UPDATE notes SET person = ? WHERE id >= 2300", CANARY)
    told = refused(job(TEXT_SQL))
    assert "own.sql, window 2014-01-01" in told
    assert "column person_id is not a 64-bit integer: CAST it in the query (200 rows)" in told


def test_text_that_is_not_utf8(job: Callable[..., stage.Job], database: Path) -> None:
    bad = CANARY.encode() + b"\xff"
    change(database, "UPDATE notes SET body = CAST(? AS TEXT) WHERE id IN (5, 1500, 2400)", bad)
    assert "column text is not valid UTF-8" in (told := refused(job(TEXT_SQL))) and "(3 rows)" in told


def test_every_fault_is_told_at_once(job: Callable[..., stage.Job], database: Path) -> None:
    change(database, "UPDATE notes SET visit = NULL WHERE id = 2000")
    change(database, "UPDATE notes SET role = ? WHERE id > 2400", CANARY)
    told = refused(job(TEXT_SQL))
    assert "column visit_id is NULL: every row needs it (1 rows)" in told
    assert "column note_role is none of note, addendum (99 rows)" in told


def test_outside_the_window(job: Callable[..., stage.Job], database: Path) -> None:
    change(database, "UPDATE notes SET filed = '2015-01-01 00:00:00' WHERE id < 10")
    told = refused(job(TEXT_SQL.replace("filed < :window_end", "filed <= :window_end")))
    assert "index_time lies outside the window" in told and "(10 rows)" in told


def test_duplicates_from_a_join(job: Callable[..., stage.Job]) -> None:
    told = refused(job(TEXT_SQL.replace("FROM notes", "FROM notes, (SELECT 1 UNION ALL SELECT 2)")))
    assert "column visit_id, note_id repeats" in told and "(2500 rows)" in told


def test_unordered_rows(job: Callable[..., stage.Job]) -> None:
    told = refused(job(TEXT_SQL.replace("ORDER BY visit, id", "ORDER BY visit, id DESC")))
    assert "end the query with ORDER BY visit_id, note_id" in told and "(1250 rows)" in told


def test_columns_are_checked_before_any_row(job: Callable[..., stage.Job]) -> None:
    told = refused(job(TEXT_SQL.replace("body AS text", "body AS txt")))
    assert told.startswith("own.sql: the columns are not the contract's")
    assert "column text is missing" in told and "column txt is unknown; did you mean text?" in told


def test_labels_without_a_reason(job: Callable[..., stage.Job], database: Path) -> None:
    change(database, "UPDATE notes SET outcome = NULL WHERE visit > 0")
    told = refused(job(LABEL_SQL, "labels"))
    assert "columns label_back and reason_back are both NULL: exactly one is (649 rows)" in told


def test_an_infinite_feature(job: Callable[..., stage.Job], database: Path) -> None:
    change(database, "UPDATE notes SET age = 9e999 WHERE visit = 0")
    assert "column feature_age is infinite" in (told := refused(job(LABEL_SQL, "labels"))) and "(1 rows)" in told


def test_a_changed_query_is_refused(job: Callable[..., stage.Job]) -> None:
    asked = job(TEXT_SQL)
    Path(asked.settings["sql"]).write_text(
        TEXT_SQL.replace("FROM notes", "  -- only a remark\n\tFROM   notes"), encoding="utf-8"
    )
    extract.main(asked)
    asked.path("shard").unlink(), asked.path("manifest").unlink()
    Path(asked.settings["sql"]).write_text(TEXT_SQL.replace("<", "<="), encoding="utf-8")
    assert "own.sql has changed since this job was planned" in refused(asked)


def test_parameters(job: Callable[..., stage.Job]) -> None:
    asked = job(TEXT_SQL.replace("WHERE", "WHERE role IN (:roles) AND"), parameters={"roles": ["addendum"]})
    extract.main(asked)
    assert shards.read_json(asked.path("manifest"))["counts"]["by_role"] == {"note": 0, "addendum": 1250}
    asked.path("shard").unlink(), asked.path("manifest").unlink()
    assert "no value for :roles" in refused(job(TEXT_SQL.replace("WHERE", "WHERE role IN (:roles) AND")))
    assert "does not use :rolls" in refused(job(TEXT_SQL, parameters={"rolls": 1}))
    assert "does not use :window_end" in refused(job(TEXT_SQL.replace("AND filed < :window_end", "")))
    assert "window_end come from the window" in refused(job(TEXT_SQL, parameters={"window_end": "2020"}))
    assert "no value for :known_until" in refused(
        job(TEXT_SQL.replace(":window_end", ":window_end AND filed < :known_until"))
    )


def test_known_until_is_for_labels_alone(job: Callable[..., stage.Job]) -> None:
    extract.main(job(LABEL_SQL.replace("WHERE", "WHERE :known_until > filed AND"), "labels"))
    extract.main(job(LABEL_SQL, "labels"))  # a labels query may do without


@pytest.mark.parametrize(("sql", "kind", "excluded"), [(TEXT_SQL, "text", 4), (LABEL_SQL, "labels", 2)])
def test_rows_of_patients_who_opted_out_are_left_out_and_counted(
    job: Callable[..., stage.Job], database: Path, sql: str, kind: str, excluded: int
) -> None:
    """What is wrong with their rows is nobody's business: only its type could stop the run."""
    gone = [_row(8)[2], _row(2000)[2]]
    change(database, "UPDATE notes SET role = 'unheard of' WHERE person = ?", gone[0])
    asked = job(sql, kind, opted_out=[str(person) for person in [*gone, 7]])
    extract.main(asked)
    table = shards.read_parquet(asked.path("shard"))
    counts = shards.read_json(asked.path("manifest"))["counts"]
    assert (counts["stays"], counts["excluded"]) == (1248, excluded)
    assert not set(gone) & set(table["person_id"].to_pylist())
    assert set(table["person_id"].to_pylist()) == {_row(n)[2] for n in range(2500)} - set(gone)


def test_text_ids_opt_out_as_they_are_written(job: Callable[..., stage.Job], database: Path) -> None:
    change(
        database, "UPDATE notes SET visit = CAST(id AS TEXT), person = CASE WHEN id = 7 THEN 'Ä/1' ELSE 'a' || id END"
    )
    sql = TEXT_SQL.replace("id AS note_id", "CAST(id AS TEXT) AS note_id")
    asked = job(sql, opted_out=["Ä/1", "A1"], id_type="text")
    extract.main(asked)
    assert shards.read_json(asked.path("manifest"))["counts"]["excluded"] == 1
    assert "7" not in shards.read_parquet(asked.path("shard"))["visit_id"].to_pylist()


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Four times the text (70 MB) takes no more memory than the first quarter did."""
    database, query = tmp_path / "big.sqlite", tmp_path / "own.sql"
    query.write_text(TEXT_SQL, encoding="utf-8")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE notes (visit INTEGER PRIMARY KEY, id, person, filed, role, body)")
        days = ("2014-01-01 12:00:00", "2014-03-05 12:00:00")
        rows = ((n, n, n, days[n >= 5_000], "note", f"{n} " * 600) for n in range(20_000))
        connection.executemany("INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.commit()
    code = (
        "import json, resource, sys, extract; from lib import stage; asked, files = json.loads(sys.argv[1])\n"
        "asked['window_end'], end = '2014-01-02 00:00:00', asked['window_end']; extract.main(stage.Job(asked, files))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; asked['window_end'] = end\n"
        "extract.main(stage.Job(asked, files)); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    settings = {
        "kind": "text",
        "sql": str(query),
        "sql_sha256": sqltext.canonical_sql_hash(query),
        "id_type": "integer",
        "window_start": "2014-01-01 00:00:00",
        "window_end": "2015-01-01 00:00:00",
        "parameters": {},
    }
    files = {"database": str(database), "shard": str(tmp_path / "w.parquet"), "manifest": str(tmp_path / "w.json")}
    files |= {"exclusions": str(tmp_path / "exclusions.txt"), "fetched": str(tmp_path / "fetched/cohort/w.parquet")}
    optouts.publish(Path(files["exclusions"]), ["1"])
    command = [sys.executable, "-c", code, json.dumps([settings, files])]
    out = subprocess.run(command, cwd=omop_db.ROOT / "scripts", capture_output=True, text=True, check=True)
    assert int(out.stdout) < 30_000  # kB


def test_command_line(tmp_path: Path) -> None:
    with omop_db.Hospital(tmp_path / "hospital.sqlite") as hospital:
        hospital.history({"stays": {1: {"in": "2014-03-01 10:00", "out": "2014-03-05 12:00"}}})
    command = [sys.executable, str(omop_db.ROOT / "scripts" / "extract.py"), "--code", "c"]
    command += ["--settings", json.dumps(omop_db.settings("discharge", "labels"))]
    optouts.publish(tmp_path / "exclusions", [])
    for name in ("database", "exclusions", "fetched", "shard", "manifest"):
        command += [f"--{name}", str(tmp_path / {"database": "hospital.sqlite"}.get(name, name))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=omop_db.ROOT)
    assert done.returncode == 0, done.stderr
    assert shards.read_parquet(tmp_path / "shard")["label_readmission"].to_pylist() == [0]
    assert (tmp_path / "shard").stat().st_mode & 0o077 == 0
    command[command.index("--database") + 1] = str(tmp_path / "elsewhere.sqlite")
    done = subprocess.run(command, capture_output=True, text=True, cwd=omop_db.ROOT)
    assert done.returncode == 1
    assert "error: there is no database elsewhere.sqlite: check source.sqlite" in done.stderr
