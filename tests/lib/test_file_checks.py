"""What a small run's cases (tests/tampering.py) do not have: a start from a local folder, a task of several classes."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib import file_checks
from lib.jobs import Planned
from lib.links import Made

FOLDER = "<private>/finetune/readmission/tiny/all-0"
WILDCARDS = (("model", "tiny"), ("seed", "0"), ("size", "all"), ("task", "readmission"))


@pytest.mark.parametrize(("now", "told"), [(b"start", []), (b"another start", ["stale"])])
def test_the_files_that_a_model_started_from_are_compared(tmp_path: Path, now: bytes, told: list[str]) -> None:
    start = tmp_path / "model.safetensors"
    start.write_bytes(now)
    read = {"model.safetensors": hashlib.sha256(b"start").hexdigest()}
    output = f"{FOLDER}/config.json"
    record: dict[str, Any] = {"settings": "{}"}
    made = Made(Planned("finetune", WILDCARDS, output), record, "", {output: "a"}, read)
    links: Any = SimpleNamespace(jobs=[made], digest={output: "a"}.get, maker={output: made}, by_digest={"a": output})
    links.hashed = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()
    links.path = lambda name: tmp_path / Path(name).name
    plan: Any = SimpleNamespace(local_files=lambda block, model: [str(start)], settings_of=lambda *_: "{}")
    found = list(file_checks.checked(plan, links))
    assert [finding.kind for finding in found] == told
    assert all(finding.file == output and str(tmp_path) not in finding.told for finding in found)


@pytest.mark.parametrize(("step", "told"), [(30, []), (20, ["it tells of step 30, the history's best has 20"])])
def test_the_history_of_a_task_of_several_classes_is_read(tmp_path: Path, step: int, told: list[str]) -> None:
    tuning = {"metric": "auroc_ovr_macro", "step": 30, "value": 0.6}
    manifest = {"data": {"train": "t"}, "files": {}, "seed": 0, "size": "all", "tuning": tuning}
    history = {"metric": "auroc", "best": {"step": step, "tuning_auroc": 0.6}}
    for name, content in (("manifest", manifest), ("history", history)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    digests = dict.fromkeys((f"{FOLDER}/{name}.json" for name in ("config", "manifest", "history")), "a")
    output, read = f"{FOLDER}/config.json", {"<private>/dataset/readmission/notes.48/train.arrow": "t"}
    made = Made(Planned("finetune", WILDCARDS, output), {"settings": "{}"}, "", digests, read)
    data = Made(Planned("dataset", (), "train"), {"settings": "{}"}, "", read, {})
    links: Any = SimpleNamespace(
        jobs=[made], digest=digests.get, by_digest={}, path=lambda name: tmp_path / Path(name).name
    )
    links.maker = dict.fromkeys(digests, made) | dict.fromkeys(read, data)
    found = list(file_checks.checked(SimpleNamespace(), links))
    assert [finding.told for finding in found] == told and all(finding.kind == "model" for finding in found)
