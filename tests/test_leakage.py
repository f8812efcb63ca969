"""leakage: a leak stops the run with counts and leaves no certificate."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import leakage
from lib import shards, stage


def job(tmp_path: Path, people: list[int]) -> stage.Job:
    rows = pa.table(
        {
            "visit_id": pa.array(range(4), pa.int64()),
            "person_id": pa.array(people, pa.int64()),
            "index_time": pa.array([datetime(2020, 1, 1)] * 4, pa.timestamp("us")),
            "part": ["train", "tuning", "calibration", "test"],
            "text_hash": pa.array([bytes([i]) * 16 for i in range(4)], pa.binary(16)),
        }
    )
    shards.write_parquet(tmp_path / "rows", rows.schema, [rows])
    shards.write_json(tmp_path / "extract.json", {"rows": 4, "counts": {"null_note_time": 0}})
    settings = {"task": "readmission", "horizon_days": 30, "temporal_from": None}
    files = {"rows": tmp_path / "rows", "extracts": [tmp_path / "extract.json"], "certificate": tmp_path / "c.json"}
    return stage.Job(settings, files)


def test_a_clean_task_is_certified(tmp_path: Path) -> None:
    leakage.main(job(tmp_path, [1, 2, 3, 4]))
    assert shards.read_json(tmp_path / "c.json")["verdict"] == "pass"


def test_a_leak_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(stage.StageError, match="task readmission leaks; patients in train and test: 1, allowed 0"):
        leakage.main(job(tmp_path, [1, 2, 3, 1]))
    assert not (tmp_path / "c.json").exists()
