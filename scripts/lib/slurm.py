"""What is asked of SLURM: when a job's time is over, that it comes back, and that those of a head that died are ended.

Asked of `squeue`, `scontrol` and `scancel`, which are on every node; where they do not answer, nothing is known.
"""

import os
import subprocess
import time
from collections.abc import Iterable
from datetime import datetime

SECONDS = 20  # the controller may be busy
ENDING_SECONDS = 90  # SLURM's KillWait, 30 s by default, and the time to clear away


def job() -> str | None:
    """The number of the job that this process is in; of an array's element its own."""
    return os.environ.get("SLURM_JOB_ID")


def end() -> float | None:
    """When SLURM ends the job, in seconds since the epoch; None outside a job, or without a limit."""
    try:
        return datetime.fromisoformat(_of_job("%e")).timestamp()
    except ValueError:  # NONE, N/A, UNLIMITED
        return None


def nodes() -> int:
    """How many nodes the job has; 1 outside a job. (In a step the environment tells of the step's.)"""
    said = _of_job("%D")
    return int(said) if said.isdigit() else 1


def requeue() -> bool:
    """Put the job back into the queue, which ends it; False where that is not to be had (--no-requeue)."""
    return bool(job()) and _said("scontrol", "requeue", str(job())) is not None


def cancel(names: Iterable[str]) -> int:
    """End this user's jobs of these names, and wait until they are gone: a training saves first. How many they were."""
    told = ",".join(filter(None, names))
    jobs = _queued(told) if told else []
    if jobs:
        _said("scancel", *jobs)
    until = time.monotonic() + ENDING_SECONDS
    while jobs and _queued(told) and time.monotonic() < until:
        time.sleep(1)
    return len(jobs)


def _of_job(field: str) -> str:
    """What squeue has in a field of this process's job; empty outside a job."""
    said = _said("squeue", "--noheader", f"--jobs={job()}", f"--format={field}") if job() else None
    return (said or "").strip()


def _queued(names: str) -> list[str]:
    return (_said("squeue", "--me", "--noheader", f"--name={names}", "--format=%i") or "").split()


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
