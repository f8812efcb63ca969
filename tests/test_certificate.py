"""certificate: the file holds the checks of the data and of what was fitted; a leak leaves neither file nor page."""

from pathlib import Path

import pytest

import certificate
from lib import openings, shards, stage

CHECK = {"check": "patients in train and test", "value": 0, "limit": 0, "verdict": "pass", "detail": "none may be"}


def job(tmp_path: Path, trained_on: str = "train.arrow") -> stage.Job:
    for part in ("train", "tuning"):
        (tmp_path / "notes.8").mkdir(exist_ok=True)
        (tmp_path / "notes.8" / f"{part}.arrow").write_text(part)
        manifest = shards.manifest([tmp_path / "notes.8" / f"{part}.arrow"], 1)
        shards.write_json(tmp_path / "notes.8" / f"{part}.json", manifest)
    seen = {part: shards.sha256(tmp_path / "notes.8" / f"{part}.arrow") for part in ("train", "tuning")}
    if trained_on != "train.arrow":
        (tmp_path / trained_on).write_text("other rows")
        seen["train"] = shards.sha256(tmp_path / trained_on)
    shards.write_json(tmp_path / "model.json", {"data": seen})
    shards.write_json(tmp_path / "leakage.json", {"task": "t", "checks": [CHECK], "verdict": "pass"})
    shards.write_json(tmp_path / "notes" / "manifest.json", {"seen": "not verifiable"})
    shards.write_json(tmp_path / "metrics.json", {"threshold": {"part": "calibration", "value": 0.1}})
    openings.enter(tmp_path / "openings.jsonl", ["test"], task="t", model="tiny", config="abc")
    openings.enter(tmp_path / "openings.jsonl", ["test"], task="other", model="tiny", config="def")
    fits = [{"name": "tiny/all-0", "encoding": "notes.8", "scratch": True}]
    settings = {"task": {"name": "t", "title": "The task"}, "evaluation": "final", "fits": fits}
    files = {
        "leakage": tmp_path / "leakage.json",
        "models": [tmp_path / "model.json"],
        "parts": [tmp_path / "notes.8" / f"{part}.json" for part in ("train", "tuning")],
        "tokenizers": [tmp_path / "notes" / "manifest.json"],
        "metrics": [tmp_path / "metrics.json"],
        "openings": tmp_path / "openings.jsonl",
        "certificate": tmp_path / "out" / "t.json",
        "page": tmp_path / "out" / "t.html",
    }
    return stage.Job(settings, files)


def test_data_and_fitted_parts_are_certified(tmp_path: Path) -> None:
    made = job(tmp_path)
    certificate.main(made)
    found = shards.read_json(made.path("certificate"))
    assert found["data"] == [CHECK] and found["verdict"] == "pass"
    assert {one["verdict"] for one in found["fitted"]} == {"pass", "not verifiable"}
    page = made.path("page").read_text()
    assert "abc" in page and "def" not in page, "the openings of this task"
    made.path("openings").unlink()
    certificate.main(made)
    assert "never opened" in made.path("page").read_text()
    assert shards.read_json(made.path("certificate")) == found, "the file says nothing of dates"


def test_a_model_of_other_rows_is_refused(tmp_path: Path) -> None:
    made = job(tmp_path, trained_on="other.arrow")
    with pytest.raises(stage.StageError, match="task t leaks; models fitted on other rows than the training part: 1"):
        certificate.main(made)
    assert not (tmp_path / "out").exists()
