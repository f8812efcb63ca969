"""split: a patient's stays stay together; time alone makes the temporal test."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import split
from lib import shards, splits, stage

SETTINGS = {
    "salt": "s",
    "parts": {"train": 0.5, "tuning": 0.2, "calibration": 0.1, "test": 0.2},
    "temporal_from": "2021-01-01",
    "temporal_periods": [],
}


def run(
    tmp_path: Path,
    identity: pa.DataType | None = None,
    keys: list[str] | None = None,
    periods: list[str] | None = None,
    **changes,
) -> list[dict]:
    identity = identity or pa.int64()
    n, as_id = 400, (str if identity == pa.string() else int)
    times = [datetime(2020 if i % 4 else 2021, 1 + i % 12, 1) for i in range(n)]
    table = pa.table(
        {
            "visit_id": pa.array([as_id(i) for i in range(n)], identity),
            "person_id": pa.array([as_id(i % 100) for i in range(n)], identity),
            "anchor_time": pa.array(times, pa.timestamp("us")),
            "index_time": pa.array([None if i % 10 == 0 else t for i, t in enumerate(times)], pa.timestamp("us")),
        }
    )
    for name, values in (("split_key", keys), ("split_period", periods)):
        if values:
            table = table.append_column(name, pa.array(values, pa.string()))
    shards.write_parquet(tmp_path / "labels", table.schema, [table])
    files = {"labels": tmp_path / "labels", "shard": tmp_path / "shard", "manifest": tmp_path / "manifest"}
    settings = {name: value for name, value in (SETTINGS | changes).items() if name != "salt" or value}
    split.main(stage.Job(settings, files))
    assert sum(shards.read_json(files["manifest"])["counts"]["stays"].values()) == n
    return shards.read_parquet(files["shard"]).to_pylist()


def test_a_patient_has_one_part_before_the_temporal_test(tmp_path: Path) -> None:
    rows = run(tmp_path)
    for key in {row["person_id"] for row in rows}:
        assert len({row["key_part"] for row in rows if row["person_id"] == key}) == 1
    assert all((row["part"] == "temporal_test") == (row["visit_id"] % 4 == 0) for row in rows)
    assert all(row["part"] == row["key_part"] for row in rows if row["part"] != "temporal_test")
    assert {row["key_part"] for row in rows} == set(SETTINGS["parts"])


def test_without_temporal_from_there_is_no_temporal_test(tmp_path: Path) -> None:
    assert not any(row["part"] == "temporal_test" for row in run(tmp_path, temporal_from=None))


def test_where_dates_are_shifted_periods_make_the_temporal_test(tmp_path: Path) -> None:
    periods = ["2008 - 2010" if i % 100 < 80 else "2020 - 2022" for i in range(400)]
    rows = run(tmp_path, periods=periods, temporal_from=None, temporal_periods=["2020 - 2022"])
    assert all((row["part"] == "temporal_test") == (row["person_id"] >= 80) for row in rows)
    assert {row["key_part"] for row in rows} == set(SETTINGS["parts"])
    unused = run(tmp_path, periods=periods)
    assert all((row["part"] == "temporal_test") == (row["visit_id"] % 4 == 0) for row in unused), "a day was asked for"


def test_periods_need_their_column(tmp_path: Path) -> None:
    with pytest.raises(stage.StageError, match=r"labels: split.temporal_periods needs a column split_period"):
        run(tmp_path, temporal_from=None, temporal_periods=["2020 - 2022"])


def test_text_ids_fall_where_the_same_numbers_do(tmp_path: Path) -> None:
    numbers = [row["key_part"] for row in run(tmp_path)]
    assert [row["key_part"] for row in run(tmp_path, pa.string())] == numbers


def test_a_key_that_the_query_gives_is_the_patient(tmp_path: Path) -> None:
    """As where the warehouse gives new person_ids with each load, and an enterprise key stays."""
    numbers = {row["visit_id"]: row["key_part"] for row in run(tmp_path)}
    rows = run(tmp_path, keys=[str(i % 100) for i in range(400)])
    assert {row["visit_id"]: row["key_part"] for row in rows} == numbers
    assert {row["person_id"] for row in rows} == {str(i) for i in range(100)}


def test_a_person_with_two_keys_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(stage.StageError, match="labels: 100 persons of the window have several split_key"):
        run(tmp_path, keys=[str(i) for i in range(400)])


def test_a_salt_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run(tmp_path, salt="long enough to be a secret")
    monkeypatch.setenv("THE_SALT", "long enough to be a secret")
    secret = {
        "salt": None,
        "salt_env": "THE_SALT",
        "salt_fingerprint": splits.fingerprint("long enough to be a secret"),
    }
    assert run(tmp_path, **secret) == plain
    monkeypatch.setenv("THE_SALT", "another that is long enough")
    with pytest.raises(stage.StageError, match=r"THE_SALT \(split.salt_env\) is another than when the job was planned"):
        run(tmp_path, **secret)
    monkeypatch.delenv("THE_SALT")
    with pytest.raises(stage.StageError, match="is not set where the job runs"):
        run(tmp_path, **secret)
