"""What a job of SLURM's knows of itself: when its time is over, and how it comes back.

Asked of `squeue` and `scontrol`, which are on every node; outside a job, or where they do not answer, nothing is known.
"""

import os
import subprocess
from datetime import datetime

SECONDS = 20  # the controller may be busy


def job() -> str | None:
    """The number of the job that this process is in; of an array's element its own."""
    return os.environ.get("SLURM_JOB_ID")


def end() -> float | None:
    """When SLURM ends the job, in seconds since the epoch; None outside a job, or without a limit."""
    said = _said("squeue", "--noheader", f"--jobs={job()}", "--format=%e") if job() else None
    try:
        return datetime.fromisoformat((said or "").strip()).timestamp()
    except ValueError:  # NONE, N/A, UNLIMITED
        return None


def requeue() -> bool:
    """Put the job back into the queue, which ends it; False where that is not to be had (--no-requeue)."""
    return bool(job()) and _said("scontrol", "requeue", str(job())) is not None


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
