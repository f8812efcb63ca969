"""The wrapper: what a failing stage says, and what a finished one records."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lib import provenance

CANARY = "Zebulon Quackenbush 555-12-3456"
SCRIPT = """
import json
from lib import shards, stage
CANARY = {canary!r}
def main(job):
    {body}
stage.run(main, "Help.", inputs=["text", "more*"], outputs=["manifest"])
"""


def run(tmp_path: Path, body: str, *extra: str, log: Path | None = None) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "some_stage.py"
    script.write_text(SCRIPT.format(canary=CANARY, body=body), encoding="utf-8")
    command = [sys.executable, str(script), "--settings", '{"a": 1}', "--code", "abc", "--text", "t"]
    command += ["--more", "x", "y", "--manifest", str(tmp_path / "m.json"), *extra]
    environment = {"PYTHONPATH": str(provenance.SCRIPTS), "PATH": "/usr/bin"}
    environment |= {"NOTECAST_LOG": str(log)} if log else {}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("raise stage.StageError('a.sql: 3 rows without visit_id')", 1, "error: a.sql: 3 rows without visit_id"),
        ("raise ValueError(CANARY)", 70, "error: builtins.ValueError"),
        ("json.loads('{' + CANARY)", 70, "error: json.decoder.JSONDecodeError"),
        ("raise type(CANARY.split()[0], (OSError,), {})(CANARY)", 70, "error: builtins.OSError"),
        ("raise SystemExit(CANARY)", 70, "error: builtins.SystemExit"),
        ("import os, warnings; warnings.warn(CANARY); print(CANARY); os.write(2, CANARY.encode()); 1 / 0", 70, "Zero"),
        ("raise MemoryError(CANARY)", 70, "error: builtins.MemoryError"),
        ("CANARY.encode('utf-8').decode('utf-16')", 70, "error: builtins.UnicodeDecodeError"),
    ],
)
def test_an_error_tells_no_data(tmp_path: Path, body: str, code: int, said: str) -> None:
    ended = run(tmp_path, body)
    assert ended.returncode == code
    assert said in ended.stderr
    printed = ended.stdout + ended.stderr
    assert not any(word in printed for word in CANARY.replace("-", " ").split())
    assert not (tmp_path / "m.json").exists()


def test_with_a_log_named_what_others_say_is_kept_apart(tmp_path: Path) -> None:
    body = "job.say('one of two'); print(CANARY)\n    try: {}[CANARY]\n"
    body += "    except KeyError: raise stage.StageError('3 rows are wrong') from None"
    ended = run(tmp_path, body, log=tmp_path / "log")
    log = (tmp_path / "log").read_text()
    assert "one of two" in log and log.endswith("error: 3 rows are wrong\n") and "Quackenbush" not in log
    assert CANARY in ended.stdout
    assert "KeyError: 'Zebulon" in ended.stderr and "one of two" not in ended.stderr


def test_settings_that_are_no_json_are_not_repeated(tmp_path: Path) -> None:
    ended = run(tmp_path, "pass", "--settings", "{" + CANARY)
    assert ended.returncode == 2 and "this is no JSON" in ended.stderr and "Quackenbush" not in ended.stderr


def test_a_finished_stage_records_how_its_outputs_came(tmp_path: Path) -> None:
    body = "shards.write_json(job.path('manifest'), [job.settings, [p.name for p in job.paths('more')]])"
    for _ in range(2):
        assert run(tmp_path, body).returncode == 0
    assert json.loads((tmp_path / "m.json").read_text()) == [{"a": 1}, ["x", "y"]]
    lines = (tmp_path / "m.json.record.jsonl").read_text().splitlines()
    assert len(lines) == 2
    record = json.loads(lines[1])
    assert (record["settings"], record["code"]) == ('{"a":1}', "abc")
    assert (tmp_path / "m.json").stat().st_mode & 0o077 == 0


def test_help_is_the_docstring(tmp_path: Path) -> None:
    ended = run(tmp_path, "pass", "--help")
    assert ended.returncode == 0 and "Help." in ended.stdout


def test_a_job_does_not_import_pandas(tmp_path: Path) -> None:
    """pyarrow would, at its first conversion; a user's own step still can."""
    body = "import sys, pyarrow as pa; pa.array([1]).to_pylist(); assert 'pandas' not in sys.modules; import pandas; "
    body += "shards.write_json(job.path('manifest'), pandas.Series([1, 2]).tolist())"
    assert run(tmp_path, body).returncode == 0, run(tmp_path, body).stderr


def test_progress_is_shown_to_whoever_watches(tmp_path: Path) -> None:
    body = "job.tell('step 1 of 2, 9 s left'); shards.write_json(job.path('manifest'), 1)"
    assert "step 1 of 2" in run(tmp_path, body).stderr, "in the log, and no fault where nobody watches"
    command = f"NOTECAST_TERMINAL=3 {sys.executable} {tmp_path}/some_stage.py --settings '{{}}' --text t --more x "
    command += f"--manifest {tmp_path}/readmission/tiny/all-0/m.json 3>&1 2>{tmp_path}/log"
    environment = {"PYTHONPATH": str(provenance.SCRIPTS), "PATH": "/usr/bin"}
    watched = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=True)
    assert watched.stdout == "readmission/tiny/all-0: step 1 of 2, 9 s left\n"
    assert "step 1 of 2" in (tmp_path / "log").read_text()
