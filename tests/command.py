"""A stage run as the workflow runs it: a command in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from lib import stage


def run(script: Path, job: stage.Job) -> str:
    """Run `script` with the job's settings, code and files; its standard error. Nothing is printed, nothing fails."""
    command = [sys.executable, str(script), "--settings", json.dumps(job.settings), "--code", job.code]
    for name, value in job.files.items():
        command += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    return done.stderr
