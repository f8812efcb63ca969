"""A run's jobs, summed up for its crate: one action a stage and what it is about; hashes for what stays private.

A run has thousands of jobs and private files. In a crate's graph all windows, encodings, models and seeds of a stage
that are about the same cohort, task or tokenizer are one action, and what they wrote is one thing that is not there,
with a count and a hash over the files' hashes; job by job and file by file they stand in provenance.json.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from lib.told_hashes import HIDDEN, OTHER

_ABOUT = ("task", "cohort", "tokenizer")  # the first that a job has


@dataclass
class Action:
    """The jobs of a stage about one thing, as the provenance document has them."""

    stage: str
    about: str
    jobs: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """'extract discharge'."""
        return f"{self.stage} {self.about}".strip()

    @property
    def path(self) -> str:
        """'extract/discharge'."""
        return f"{self.stage}/{self.about}".rstrip("/")

    @property
    def made(self) -> list[Mapping[str, Any]]:
        """The jobs that left a record."""
        return [job for job in self.jobs if not job.get("missing")]

    @property
    def private(self) -> dict[str, str]:
        """sha256, where it is told, by name of what they wrote under the private root."""
        return {name: digest for name, digest in self._outputs().items() if name.startswith("<private>/")}

    @property
    def results(self) -> list[str]:
        """What they wrote under the results, by its place there."""
        return [name.removeprefix("<results>/") for name in self._outputs() if name.startswith("<results>/")]

    @property
    def inputs(self) -> list[str]:
        return sorted({name for job in self.made for name in job["inputs"]})

    @property
    def commits(self) -> list[str]:
        """The revisions that they ran, with a plus where code was changed and not committed."""
        told = {(job["commit"] or "unknown") + ("+" if job["dirty"] else "") for job in self.made}
        return sorted(told)

    @property
    def times(self) -> tuple[str, str] | None:
        """From when the first began to when the last had ended, in UTC to the second."""
        if not self.made:
            return None
        begun = [datetime.fromisoformat(job["started"]) for job in self.made]
        ended = [start + timedelta(seconds=ceil(job["seconds"])) for start, job in zip(begun, self.made, strict=True)]
        return min(begun).isoformat(timespec="seconds"), max(ended).isoformat(timespec="seconds")

    def _outputs(self) -> dict[str, str]:
        return {name: digest for job in self.made for name, digest in job["outputs"].items()}


def actions(jobs: Sequence[Mapping[str, Any]]) -> list[Action]:
    """In the order of the jobs."""
    found: dict[tuple[str, str], Action] = {}
    for job in jobs:
        about = next((job["wildcards"][name] for name in _ABOUT if name in job["wildcards"]), "")
        key = job["stage"], about
        found.setdefault(key, Action(*key)).jobs.append(job)
    return list(found.values())


def hash_of(files: Mapping[str, str]) -> str:
    """sha256 of the lines `<sha256>  <name>` in the order of the names: what `sha256sum` would print of them.

    Files whose hash is not told are left out.
    """
    told = ((name, digest) for name, digest in sorted(files.items()) if digest not in (HIDDEN, OTHER))
    lines = "".join(f"{digest}  {name}\n" for name, digest in told)
    return hashlib.sha256(lines.encode()).hexdigest()


def stages(jobs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """The stages with their numbers of jobs, and which stage read what which other had written."""
    counts: dict[str, int] = {}
    writer: dict[str, str] = {}
    for job in jobs:
        counts[job["stage"]] = counts.get(job["stage"], 0) + 1
        writer |= dict.fromkeys(job.get("outputs", {}), job["stage"])
    reads = {(writer[name], job["stage"]) for job in jobs for name in job.get("inputs", {}) if name in writer}
    return counts, {(first, second) for first, second in reads if first != second}
