"""Why a training stops before its end: a signal, or a deadline. It looks here when a step ends."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lib import slurm

TIME = "the job's time is nearly over"


class Interruption:
    """Set by SIGTERM, SIGUSR1, or `deadline` (seconds since the epoch; None: none)."""

    def __init__(self, deadline: float | None = None) -> None:
        self._deadline = deadline
        self._name: str | None = None

    @property
    def name(self) -> str | None:
        """What it was; None while nothing asks for an end."""
        if self._name is None and self._deadline is not None and time.time() >= self._deadline:
            self._name = TIME
        return self._name

    def note(self, name: str | None) -> None:
        """Another process was asked to stop, by `name`."""
        self._name = self._name or name

    @contextmanager
    def listening(self) -> Iterator["Interruption"]:
        numbers = (signal.SIGTERM, signal.SIGUSR1)
        before = {number: signal.signal(number, self._caught) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _caught(self, number: int, _frame: Any) -> None:
        self._name = signal.Signals(number).name


def deadline(end: float | None, began: float) -> float | None:
    """When to save, for a job that began and ends at these times: a tenth of it before, five minutes at most."""
    return None if end is None else end - min(300.0, (end - began) / 10)


def due() -> float | None:
    """The deadline of the job of SLURM's that this process is in, if it began now; None without one."""
    return deadline(slurm.end(), time.time())
