import os
import signal
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib import shards
from lib.replay import Stay, copied, differences, forget, labels_changed, rows_of, sample, unknown_tables
from lib.stage import StageError

NOW = datetime(2020, 3, 1, 12)


def labels(path: Path, rows: list[tuple[Any, Any, datetime | None]]) -> Path:
    names = ("visit_id", "person_id", "index_time")
    ids = pa.string() if rows and isinstance(rows[0][0], str) else pa.int64()
    schema = pa.schema([("visit_id", ids), ("person_id", ids), ("index_time", pa.timestamp("us"))])
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    shards.write_parquet(path, schema, [pa.table(columns, schema)])
    return path


def test_a_sample_is_one_stay_a_patient_whatever_the_windows(tmp_path: Path) -> None:
    rows = [(n, n % 40, NOW if n % 3 else None) for n in range(4000)]
    one = sample([("a", labels(tmp_path / "all", rows))], 25, 1)
    split = [(str(i), labels(tmp_path / f"{i}", rows[i::7])) for i in range(7)]
    assert {stay[:3] for stay in one} == {stay[:3] for stay in sample(split, 25, 1)}
    assert len({stay.person_id for stay in one}) == len(one) == 25
    assert all(rows[stay.visit_id] == stay[:3] for stay in one) and None not in [stay.index_time for stay in one]
    assert {stay.visit_id for stay in one} != {stay.visit_id for stay in sample(split, 25, 2)}
    assert len(sample(split, 1000, 1)) == 40
    assert all(stay.visit_id % 7 == int(stay.window) for stay in sample(split, 1000, 1))


def test_patients_with_many_stays_are_not_sampled_more_often(tmp_path: Path) -> None:
    rows = [(n, 0 if n < 900 else n, NOW) for n in range(1000)]
    path = labels(tmp_path / "all", rows)
    drawn = sum(0 in {stay.person_id for stay in sample([("a", path)], 10, seed)} for seed in range(200))
    assert drawn < 50  # 10 of 101 patients: 20 expected


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE fact (who TEXT, stay TEXT, at TEXT, its_value, now TEXT)")
        rows = [(who, stay, at, 1, at) for who in "abc" for stay, at in (("1", "2020-03-01"), ("2", "2020-03-02"))]
        connection.executemany("INSERT INTO fact VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()
    return path


def content(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT who, stay, its_value FROM fact ORDER BY who, stay").fetchall()


FACT = {"table": "fact", "patient": "who", "later": None, "coding": None, "reopened": None}
STAYS = [Stay("1", "a", NOW, "w"), Stay("2", "b", datetime(2020, 2, 1), "w")]


@pytest.mark.parametrize(
    ("told", "left", "gone"),
    [
        ({"later": "at > :now"}, ["a1", "c1", "c2"], {"deleted": {"fact": 3}, "reopened": {}}),
        ({"coding": "stay = :visit"}, ["a2", "b1", "c1", "c2"], {"deleted": {"fact": 2}, "reopened": {}}),
        (
            {"reopened": {"when": "at > :now", "set": {"its_value": "CASE WHEN stay = :visit THEN :data_end END"}}},
            ["a1", "a2", "b1", "b2", "c1", "c2"],
            {"deleted": {}, "reopened": {"fact": 3}},
        ),
    ],
)
def test_each_patient_has_a_present_of_its_own(source: Path, told: dict, left: list[str], gone: dict) -> None:
    assert forget(source, STAYS, [FACT | told], "2020-12-31") == gone
    assert [who + stay for who, stay, _ in content(source)] == left
    if gone["reopened"]:
        assert [value for *_, value in content(source)] == [1, None, None, "2020-12-31", 1, 1]


def test_a_table_that_is_not_there_is_passed_over(source: Path) -> None:
    told = [FACT | {"table": "none", "later": "1"}, FACT | {"table": "FACT", "later": "1"}]
    assert forget(source, STAYS, told, "2020-12-31") == {"deleted": {"FACT": 4}, "reopened": {}}


def test_a_wrong_expression_is_told_with_its_table(source: Path) -> None:
    with pytest.raises(StageError, match=r"point_in_time\.yaml, table fact: the database has no column colour"):
        forget(source, STAYS, [FACT | {"later": "colour > :now"}], "2020-12-31")


def test_the_copy_is_the_database_as_it_is_and_goes_away(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    folder = tmp_path / "work" / "replay"
    folder.mkdir(parents=True)
    (folder / "copy.sqlite").write_text("left by a process that was killed")
    with copied(source, folder) as copy:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert content(copy) == content(source)
        forget(copy, STAYS, [FACT | {"later": "1"}], "2020-12-31")
        assert content(copy) != content(source)
    assert not folder.exists() and source.read_bytes() == before


def test_what_a_write_ahead_log_holds_is_copied_too(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("DELETE FROM fact WHERE who <> 'a'")
        writer.commit()
        before = source.read_bytes()
        with copied(source, tmp_path / "work") as copy:
            assert len(content(copy)) == 2
            forget(copy, STAYS, [FACT | {"coding": "stay = :visit"}], "2020-12-31")
            assert content(copy) == [("a", "2", 1)]
        assert source.read_bytes() == before


def test_a_termination_removes_the_copy(source: Path, tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, copied(source, tmp_path / "work"):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert ended.value.code == 143
    assert not (tmp_path / "work").exists() and signal.getsignal(signal.SIGTERM) == handler


def test_what_is_no_database_cannot_be_copied(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be looked at as one" * 40)
    with (
        pytest.raises(StageError, match=r"text\.sqlite cannot be copied.*NOTADB"),
        copied(tmp_path / "text.sqlite", tmp_path / "work"),
    ):
        pass
    assert not (tmp_path / "work").exists()


def batch(**columns: list[Any]) -> pa.RecordBatch:
    return pa.record_batch(columns)


def test_differences_are_counted_by_column() -> None:
    stays = [Stay(n, n, NOW, "w") for n in (1, 2, 3, 4)]
    one = batch(visit_id=[1, 1, 2, 3, 9], note_id=[1, 2, 3, 4, 5], text=["a", "b", None, "d", "not sampled"])
    two = batch(visit_id=[1, 1, 2, 4, 9], note_id=[1, 2, 3, 6, 5], text=["a", "B", "", "f", "another"])
    before, after = rows_of([one], stays), rows_of([two], stays)
    assert before.keys() == {1, 2, 3}
    assert differences(before, after, "note_id", ["text"]) == {"note_id": {3, 4}, "text": {1, 2}}


def test_a_label_that_becomes_a_reason_has_changed() -> None:
    stays = [Stay(n, n, NOW, "w") for n in (1, 2, 3)]
    names = ["visit_id", "label_x", "reason_x", "label_y", "reason_y"]
    one = dict(zip(names, ([1, 2, 3], [1, 0, None], [None, None, "newborn"], [1, 1, 1], [None] * 3), strict=True))
    two = one | {"label_x": [None, 0, None], "reason_x": ["no_note", None, "newborn"]}
    found = labels_changed(rows_of([batch(**one)], stays), rows_of([batch(**two)], stays), names)
    assert found == {"x": {1}, "y": set()}


def test_tables_are_known_by_either_name() -> None:
    known = {"timeless": ["Person"], "facts": [FACT]}
    assert unknown_tables({"person", "fact", "measurement"}, known) == ["measurement"]
