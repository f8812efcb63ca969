"""A run as a chain of hashes: which job made each file, from which others, and which metrics stand on it.

Files are called as their records call them, `<private>/...` and `<results>/...`. The hashes that a job read and wrote
are those of its newest whole record; what lies on the disk is hashed once, when it is first asked for.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import records
from lib.files import sha256
from lib.jobs import FIRST, Planned, planned

if TYPE_CHECKING:
    from lib.plan import Plan

KEYS = {"stage", "settings", "code", "inputs", "outputs", "commit", "dirty", "python", "versions"}
SILENT_SECONDS = 10


@dataclass(frozen=True)
class Made:
    """A job of the configuration, and its record; None if there is none of use, and then `fault` says why."""

    job: Planned
    record: Mapping[str, Any] | None
    fault: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        return self.job.stage

    @property
    def wildcards(self) -> dict[str, str]:
        return dict(self.job.wildcards)

    @property
    def prefix(self) -> str:
        """How the names of its files begin, where no record tells them."""
        folder, _, name = self.job.output.rpartition("/")
        constant = "{" not in FIRST[self.stage].rpartition("/")[2]
        return f"{folder}/" if constant else f"{folder}/{Path(name).stem}."

    def may_have_made(self, name: str) -> bool:
        rest = name.removeprefix(self.prefix)
        return rest != name and "/" not in rest


class Links:
    """All jobs of a plan. `say` is told of the progress of what takes long."""

    def __init__(self, plan: "Plan", say: Callable[[str], None]) -> None:
        self.path = plan.path
        self._say, self._hashed, self._bytes, self._told = say, 0, 0, time.monotonic()
        self.hashed = cache(sha256)  # of a file of others
        self.jobs = [self._made(job) for job in planned(plan)]
        self.maker = {name: made for made in self.jobs for name in made.outputs}
        self.digest = cache(self._digest)

    def _made(self, job: Planned) -> Made:
        path = self.path(job.output)
        try:
            record = next((one for one in reversed(records.all_of(path)) if one.keys() >= KEYS), None)
        except (TypeError, ValueError):  # lines that are no records at all
            record = None
        if record is None:
            cut = records.beside(path).is_file()
            return Made(job, None, "its record is cut off" if cut else "no record tells how it came")
        outputs = records.written(job.output, record)
        if record["stage"] != job.stage or job.output not in outputs:
            return Made(job, None, "the record beside it is of another job")
        return Made(job, record, "", outputs, dict(record["inputs"]))

    def _digest(self, name: str) -> str | None:
        path = self.path(name)
        if not path.is_file():
            return None
        found = sha256(path)
        self._hashed, self._bytes = self._hashed + 1, self._bytes + path.stat().st_size
        self.progress(f"{self._hashed} files, {self._bytes / 1e9:.1f} GB hashed")
        return found

    def progress(self, told: str) -> None:
        """Say it, if nothing was said for a while."""
        if time.monotonic() - self._told > SILENT_SECONDS:
            self._told = time.monotonic()
            self._say(told)

    @cached_property
    def by_digest(self) -> dict[str, str]:
        """An output by the hash that its record has of it."""
        return {digest: name for made in reversed(self.jobs) for name, digest in made.outputs.items()}

    @cached_property
    def _readers(self) -> dict[str, list[Made]]:
        found: dict[str, list[Made]] = {}
        for made in self.jobs:
            for name in made.inputs:
                found.setdefault(name, []).append(made)
        return found

    def of(self, stage: str) -> Iterator[Made]:
        return (made for made in self.jobs if made.stage == stage)

    def standing_on(self, start: Iterable[Made]) -> list[Made]:
        """These jobs and all that read what they wrote, directly or by way of others."""
        found: dict[str, Made] = {}
        pending = list(start)
        while pending:
            made = pending.pop()
            if made.job.output not in found:
                found[made.job.output] = made
                pending += [reader for name in self._files(made) for reader in self._readers.get(name, ())]
        return list(found.values())

    def _files(self, made: Made) -> Iterable[str]:
        return made.outputs or filter(made.may_have_made, self._readers)

    def metrics(self, start: Iterable[Made]) -> list[str]:
        """`<task> <model>/<size>-<seed>` of the fits whose metrics stand on these jobs."""
        return sorted({fit(made) for made in self.standing_on(start) if made.stage == "evaluate"})


def fit(made: Made) -> str:
    """As the tables call it, after its task."""
    own = made.wildcards
    return f"{own['task']} {own['model']}/{own['size']}-{own['seed']}"
