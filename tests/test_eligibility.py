"""eligibility: the stage over several windows; its rows are all stays, its manifest counts them."""

from pathlib import Path

import pytest

import eligibility
from lib import shards, stage
from stay_tables import window_tables

SETTINGS = {
    "label": "x",
    "kind": "binary",
    "edges": [],
    "values": [],
    "horizon_days": 30,
    "temporal_from": None,
    "temporal_periods": [],
    "drop_duplicates": True,
    "windows": ["2020-01", "2020-02"],
}
FIRST = [{"visit_id": 1, "label": 1}, {"visit_id": 2, "text": None, "reason": "late_note"}]
SECOND = [{"visit_id": 3, "text": "text 1"}, {"visit_id": 4, "part": "test"}]


def job(tmp_path: Path, **changes) -> stage.Job:
    files: dict = {name: [] for name in ("labels", "split", "clean", "dropped")}
    for window, stays in (("2020-01", FIRST), ("2020-02", SECOND)):
        for name, table in window_tables(stays).items():
            files[name].append(tmp_path / f"{window}.{name}")
            shards.write_parquet(files[name][-1], table.schema, [table])
    return stage.Job(SETTINGS | changes, files | {"rows": tmp_path / "rows", "manifest": tmp_path / "manifest"})


def test_rows_are_all_stays_in_order(tmp_path: Path) -> None:
    eligibility.main(job(tmp_path))
    rows = shards.read_parquet(tmp_path / "rows").to_pylist()
    assert [(r["window"], r["visit_id"], r["part"], r["reason"]) for r in rows] == [
        ("2020-01", 1, "train", None),
        ("2020-01", 2, None, "late_note"),
        ("2020-02", 3, None, "duplicate text"),
        ("2020-02", 4, "test", None),
    ]
    counts = shards.read_json(tmp_path / "manifest")["counts"]["stays"]
    assert counts == {"train": 1, "note: late_note": 1, "text: duplicate text": 1, "test": 1}


def test_a_label_that_the_query_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(stage.StageError, match="no column label_y, reason_y"):
        eligibility.main(job(tmp_path, label="y"))


def test_periods_are_looked_up_in_all_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stays, period in ((FIRST, "old"), (SECOND, "new")):
        for stay in stays:
            monkeypatch.setitem(stay, "period", period)
    monkeypatch.setitem(SECOND[1], "part", "temporal_test")
    eligibility.main(job(tmp_path, temporal_periods=["new"]))
    assert shards.read_json(tmp_path / "manifest")["counts"]["stays"]["temporal_test"] == 1
    with pytest.raises(stage.StageError, match="no stay of any window has the split_period 'newer'"):
        eligibility.main(job(tmp_path, temporal_periods=["newer"]))
