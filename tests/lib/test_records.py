"""What a record tells of a job, and what it leaves out."""

import json
import time
from pathlib import Path

import pyarrow
import pytest

from lib import records
from lib.files import sha256


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("private", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"NOTECAST_{name.upper()}", str(tmp_path / name))
    return tmp_path


def written(path: Path, text: str = "content") -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def appended(roots: Path, read: dict[str, list[Path]], **facts: object) -> dict[str, object]:
    output = written(roots / "private" / "out.parquet")
    told = {"settings": {"b": 1, "a": 2}, "code": "c0de"}
    records.append(Path("scripts/clean.py"), told, read, [output], time.time() - 2, facts)
    return records.last(output) or {}


def test_inputs_are_named_without_the_hosts_folders(roots: Path) -> None:
    text, flow, own = (written(roots / p) for p in ("private/text.parquet", "results/flow.json", "config.json"))
    record = appended(roots, {"text": [text], "more*": [flow, own], "folder": [roots], "gone": [roots / "none"]})
    assert set(record["inputs"]) == {"<private>/text.parquet", "<results>/flow.json", "config.json"}
    assert record["inputs"]["<private>/text.parquet"] == sha256(text)
    assert str(roots) not in json.dumps(record)


def test_a_record_under_the_results_names_no_host(roots: Path) -> None:
    output = written(roots / "results" / "flow.json")
    records.append(Path("scripts/flow.py"), {"settings": {}, "code": ""}, {}, [output], time.time(), {})
    assert (records.last(output) or {})["host"] is None and appended(roots, {})["host"]


def test_what_goes_on_changing_is_no_input(roots: Path) -> None:
    database, openings = written(roots / "hospital.sqlite"), written(roots / "private/openings.jsonl")
    assert appended(roots, {"database": [database], "openings": [openings]})["inputs"] == {}
    demo = written(roots / "private/hospital.sqlite")
    assert set(appended(roots, {"database": [demo]})["inputs"]) == {"<private>/hospital.sqlite"}


def test_a_record_says_how_its_file_came(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("NOTECAST_ATTEMPT", "3")
    record = appended(roots, {}, gpu=[{"name": "H100", "driver": "550.1"}])
    assert record["stage"] == "clean" and record["settings"] == '{"a":2,"b":1}' and record["code"] == "c0de"
    assert record["outputs"] == {"out.parquet": sha256(roots / "private/out.parquet")}
    assert (record["scheduler"], record["job_id"], record["attempt"]) == ("slurm", "4711", 3)
    assert record["gpu"] == [{"name": "H100", "driver": "550.1"}] and record["seconds"] >= 2
    assert record["peak_mb"] > 10 and record["versions"]["pyarrow"] == pyarrow.__version__ and record["commit"] is None


def test_the_last_whole_record_counts(roots: Path) -> None:
    appended(roots, {})
    output = roots / "private/out.parquet"
    with open(records.beside(output), "a", encoding="utf-8") as file:
        file.write('{"stage": "cl')
    assert len(records.all_of(output)) == 1
    assert records.last(output)["stage"] == "clean"
    assert records.last(roots / "private/other") is None
