"""ledger: remembers over runs, tells of changes in a file beside it, and stops without writing anything."""

from pathlib import Path

import pyarrow as pa
import pytest

import ledger
from lib import shards, stage

SETTINGS = {"source": "abc", "windows": {"2019": "2019-01-01/2020-01-01"}, "tolerance": 0.05}
MANY = dict.fromkeys(range(100, 200), "train")


def run(tmp_path: Path, parts: dict[int, str], key: pa.DataType | None = None, **changes) -> dict:
    persons = pa.array([str(p) if key else p for p in parts], key or pa.int64())
    rows = pa.table(
        {"visit_id": pa.array(list(parts), pa.int64()), "person_id": persons, "key_part": list(parts.values())}
    )
    shards.write_parquet(tmp_path / "split/2019.parquet", rows.schema, [rows])
    files = {"split": [tmp_path / "split/2019.parquet"], "work": tmp_path / "ledger"}
    ledger.main(stage.Job(SETTINGS | changes, files | {"manifest": tmp_path / "ledger/discharge.json"}))
    return shards.read_json(tmp_path / "ledger/discharge.json")


def test_it_remembers_and_tells(tmp_path: Path) -> None:
    first = run(tmp_path, MANY | {1: "test"})
    assert first == {"stays": 101, "patients": {"test": 1, "train": 100}}
    assert run(tmp_path, MANY | {1: "test"}) == first
    run(tmp_path, MANY | {1: "test", 2: "tuning"})
    run(tmp_path, MANY | {2: "tuning"})
    told = [(e["stays_new"], e["stays_gone"]) for e in shards.read_json_lines(tmp_path / "ledger/discharge.abc.jsonl")]
    assert told == [(101, 0), (1, 0), (0, 1)]
    held = shards.read_parquet(tmp_path / "ledger/discharge.abc.parquet")
    assert held["visit_id"].to_pylist() == [1, 2, *MANY]


def test_a_stop_leaves_everything_as_it_was(tmp_path: Path) -> None:
    run(tmp_path, MANY | {1: "test"})
    before = {path: path.read_bytes() for path in (tmp_path / "ledger").iterdir()}
    with pytest.raises(stage.StageError, match=r"1 of 101 patients .* move discharge.abc.parquet aside"):
        run(tmp_path, MANY | {1: "train"})
    assert {path: path.read_bytes() for path in (tmp_path / "ledger").iterdir()} == before


def test_another_generated_hospital_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    run(tmp_path, MANY | {1: "test"})
    run(tmp_path, MANY | {1: "train"}, source="def")


def test_keys_of_another_type_are_told(tmp_path: Path) -> None:
    run(tmp_path, MANY)
    with pytest.raises(stage.StageError, match="holds keys of another type; was split_key added"):
        run(tmp_path, MANY, key=pa.string())
