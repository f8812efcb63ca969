"""Why a training stops, and what a job knows of its own time."""

import os
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from lib import interruption, slurm
from lib.interruption import Interruption


def test_a_signal_and_then_the_old_handler() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Interruption().listening() as asked:
        assert asked.name is None
        os.kill(os.getpid(), signal.SIGUSR1)
        assert asked.name == "SIGUSR1"
    assert signal.getsignal(signal.SIGUSR1) == before


def test_a_deadline_passes() -> None:
    asked = Interruption(time.time() + 0.05)
    assert asked.name is None
    time.sleep(0.06)
    assert asked.name == interruption.TIME
    other = Interruption(time.time() + 100)
    other.note(None)
    assert other.name is None
    other.note("a signal to another process")
    assert other.name == "a signal to another process"


def test_it_lies_a_tenth_before_the_end_and_five_minutes_at_most() -> None:
    assert interruption.deadline(None, 0) is None
    assert interruption.deadline(600, 0) == 540
    assert interruption.deadline(36_000, 0) == 35_700


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job 7 whose squeue says what the file `end` holds, and whose scontrol notes what it is asked."""
    (tmp_path / "squeue").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/end\n')
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\ntest ! -e {tmp_path}/refused\n')
    for name in ("squeue", "scontrol"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return tmp_path


def test_a_job_asks_when_it_ends_and_to_come_back(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (commands / "end").write_text("2026-01-02T03:04:05\n")
    assert slurm.end() == datetime(2026, 1, 2, 3, 4, 5).timestamp()
    assert "--jobs=7" in (commands / "asked").read_text()
    for unknown in ("NONE\n", "N/A\n", "", "slurm_load_jobs error\n"):
        (commands / "end").write_text(unknown)
        assert slurm.end() is None
    assert slurm.requeue()
    assert (commands / "told").read_text() == "requeue 7\n"
    (commands / "refused").touch()
    assert not slurm.requeue()
    monkeypatch.delenv("SLURM_JOB_ID")
    assert slurm.end() is None and not slurm.requeue()


def test_the_jobs_of_dead_heads_are_ended_by_their_numbers_and_no_others(commands: Path) -> None:
    (commands / "scancel").write_text(f'#!/bin/sh\necho "$@" >> {commands}/cancelled\n: > {commands}/end\n')
    (commands / "scancel").chmod(0o755)
    (commands / "end").write_text("11\n12_3\n")
    assert slurm.cancel(["run-1", "", "run-2"]) == 2
    assert "--me --noheader --name=run-1,run-2 " in (commands / "asked").read_text()
    assert (commands / "cancelled").read_text() == "11 12_3\n"
    (commands / "asked").unlink()
    assert slurm.cancel([""]) == 0 and slurm.cancel([]) == 0, "no name would be all jobs"
    assert not (commands / "asked").exists()
