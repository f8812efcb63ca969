"""Recompute: the command that a reviewer runs."""

import subprocess
import sys
from pathlib import Path

import prediction_files as files
import recompute
import share
import test_share
from lib import shards


def test_it_says_equal_and_ends_with_one_where_a_file_differs(tmp_path: Path) -> None:
    job = test_share.published(tmp_path, files.BINARY, ["tuning", "calibration"])
    share.main(job)
    command = [
        sys.executable,
        recompute.__file__,
        "--share",
        str(job.path("table")),
        "--results",
        str(tmp_path / "results"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": equal\n") == 6 and "compare/readmission.json: equal" in done.stdout
    table = tmp_path / "results/compare/readmission.json"
    content = shards.read_json(table)
    content["rows"][0]["auroc"]["low"] += 1e-6
    shards.write_json(table, content)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "compare/readmission.json: differs" in done.stdout
