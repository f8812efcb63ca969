"""What a small run's cases (tests/tampering.py) do not have: a model that starts from a local folder."""

import hashlib
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
