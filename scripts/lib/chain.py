"""The way back from a figure: which files a file came from, by the hashes of what each job has read and written.

A chain holds where every job read what another had written: the hash in the reader's record is that in the writer's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_MANIFESTS = ("<private>/", ".json")  # of a private file: it tells what lies beside it and carries no rows on
_DATA = ("tokenizer.json", "model.json")


class Chain:
    """Of one provenance document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._written: dict[str, str] = document["outputs"]
        self._jobs = {name: job for job in document["jobs"] for name in job.get("outputs", ())}

    def behind(self, names: Iterable[str]) -> dict[str, set[str]]:
        """Every file of the run that the files `names` came from, themselves included: the hashes with which each was
        read. What lies outside of the run (a warehouse, a folder of weights) or is no job's output ends the way.
        """
        found: dict[str, set[str]] = {name: set() for name in names}
        pending, seen = list(found), set()
        while pending:
            job = self._jobs.get(pending.pop())
            if job is None or job["output"] in seen:
                continue
            seen.add(job["output"])
            for name, digest in job["inputs"].items():
                if name in self._jobs:
                    if name not in found:
                        pending.append(name)
                    found.setdefault(name, set()).add(digest)
        return found

    def broken(self, names: Iterable[str]) -> list[str]:
        """The files behind `names` that some job read with other content than was written."""
        return sorted(name for name, read in self.behind(names).items() if read - {self.digest(name)})

    def by_stage(self, names: Iterable[str]) -> dict[str, list[str]]:
        """The files behind `names` that carry rows, texts, weights or figures, by the stage that wrote them."""
        grouped: dict[str, list[str]] = {}
        for name in sorted(self.behind(names)):
            if name in self._jobs and _carries(name):
                grouped.setdefault(self._jobs[name]["stage"], []).append(name)
        return grouped

    def digest(self, name: str) -> str | None:
        """The hash with which a file was written; None where no record tells."""
        return self._written.get(name)


def figures(document: Mapping[str, Any]) -> list[str]:
    """The files that hold the run's figures: where the ways back begin."""
    return sorted({row["file"] for row in (*document["headlines"], *document["metrics"])} & set(document["outputs"]))


def _carries(name: str) -> bool:
    root, ending = _MANIFESTS
    return not (name.startswith(root) and name.endswith(ending)) or name.rpartition("/")[2] in _DATA
