"""Killed at any moment and started again, the workflow ends with the same declared bytes, on four cores as on two.

SIGKILL goes to the whole process group: the head and every job at once, as when a machine's memory runs out. Every
stage is hit: it is made to run, the watcher waits until it does, then a random moment longer. Once each; NOTECAST_KILLS
says how often.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from checkout import Checkout, small_config

pytestmark = pytest.mark.slow
# In the order in which the workflow comes to them, so that little has to be made again before the next is hit.
DATA = [
    "demo_hospital",
    "extract",
    "clean",
    "inventory",
    "split",
    "ledger",
    "tokenizer",
    "eligibility",
    "pretokenize",
    "dataset",
]
MODELS = [
    "duplicates",
    "leakage",
    "flow",
    "finetune",
    "baseline",
    "predict",
    "evaluate",
    "compare",
    "certificate",
    "figures",
    "report",
]
STAGES = [*DATA, *MODELS]
A_STAGE = int(os.environ.get("NOTECAST_KILLS", "1"))


def running(group: int, stage: str) -> bool:
    """Whether a process of the group runs the stage's script."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if any(word.endswith(f"/scripts/{stage}.py".encode()) for word in words):
                        return True
            except (ProcessLookupError, FileNotFoundError, PermissionError):
                continue
    return False


def kill_in(checkout: Checkout, stage: str, pause: float) -> bool:
    """Start the run, kill its group while `stage` runs; False if it ended before that stage was seen."""
    # What `--unlock` does, without its two seconds; it itself is called at the end.
    shutil.rmtree(checkout.folder / ".snakemake" / "locks", ignore_errors=True)
    head = subprocess.Popen(
        checkout.command("--rerun-incomplete", "--forcerun", stage, "--quiet", "all", cores=4),
        cwd=checkout.folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while head.poll() is None and not running(head.pid, stage):
            time.sleep(0.01)
        if head.poll() is not None:
            return False
        time.sleep(pause)
        return head.poll() is None
    finally:
        if head.poll() is None:
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def test_killed_in_every_stage_and_run_again(finished_run: Checkout, tmp_path: Path) -> None:
    random.seed(20261124)
    checkout = Checkout(tmp_path / "killed", small_config())
    killed: dict[str, int] = dict.fromkeys(STAGES, 0)
    for stage in STAGES:
        for _ in range(A_STAGE):
            killed[stage] += kill_in(checkout, stage, random.uniform(0, 0.4))
    checkout.snakemake("--unlock")
    checkout.snakemake("--rerun-incomplete", cores=4)
    assert checkout.bytes() == finished_run.bytes()
    assert set(killed.values()) == {A_STAGE}, killed
    print(f"killed {sum(killed.values())} times: {killed}")
