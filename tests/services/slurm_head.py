"""A snakemake under the SLURM profile, which goes on beside the test that started it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from checkout import Checkout
from slurm import Slurm

# The profile as it is, but for a cluster on which a second is long.
PROFILE = ["--profile", "profiles/slurm", "--latency-wait", "15", "--slurm-keep-successful-logs"]
PROFILE += ["--seconds-between-status-checks", "1", "--slurm-init-seconds-before-status-checks", "1"]


class Head:
    """A snakemake that was started in `run` and goes on beside the test."""

    def __init__(self, run: Checkout, *arguments: str) -> None:
        self._said = run.folder / "head.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST"))}
        with self._said.open("w") as said:
            command = run.command(*PROFILE, *arguments, cores=4)
            self._process = subprocess.Popen(command, cwd=run.folder, env=environment, stdout=said, stderr=said)

    def wait(self, seconds: float = 600) -> int:
        return self._process.wait(seconds)

    def ends_with(self, status: int) -> None:
        try:
            assert self.wait() == status, self.said[-5000:]
        finally:
            self.end()

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()  # asked politely it waits for its jobs
            self._process.wait()


@contextmanager
def started(run: Checkout, *arguments: str) -> Iterator[Head]:
    head = Head(run, *arguments)
    try:
        yield head
    finally:
        head.end()


def waiting(slurm: Slurm, rule: str) -> Callable[[], bool]:
    return lambda: any(state == "PD" and rule in comment for _, state, _, comment in slurm.jobs())
