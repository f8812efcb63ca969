"""How a file came to be: a JSON line a job, in `<first output>.record.jsonl`, appended and never an edge of the graph.

A manifest says what is there and is the same whenever it is made again; a record says who made it, from what, when and
on what. Its keys:

stage, settings, code   the script's name, its settings as canonical JSON, the hash of its code (`provenance`)
inputs                  sha256 by path: `<private>/...`, `<results>/...`; of what lies elsewhere the name alone
outputs                 sha256 by name; by path, where one lies in another folder than the record
commit, dirty           git's revision of the workflow, and whether its code differed from it; null where unknown
started, seconds        UTC, ISO 8601; wall time
host, python, versions  the machine's name (null under the results), Python's version, the loaded libraries' versions
peak_mb                 the largest resident memory of the job's process or one of its children
scheduler, job_id       "slurm" and its number, or null
attempt                 1, or how often the job had to begin until it ended well
gpu                     [{name, driver}] of the devices that it had; [] without
"""

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from lib import canonical_json
from lib.files import sha256

ENDING = ".record.jsonl"
REVISION = "revision.json"  # in the copy of the code that a run makes: see `submitted`
LIBRARIES = {  # by the name that is imported
    "datasets": "datasets",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "pyodbc": "pyodbc",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "sqlglot": "sqlglot",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "transformers": "transformers",
}
_MUTABLE = {"openings", "key", "fetched"}  # grow from run to run; no inputs of the graph


def beside(output: Path) -> Path:
    return output.with_name(output.name + ENDING)


def all_of(output: Path) -> list[dict[str, Any]]:
    """The whole records beside `output`, oldest first; a line cut off by a kill is passed over."""
    path, found = beside(output), []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(dict(json.loads(line)))
        except ValueError:
            continue
    return found


def last(output: Path) -> dict[str, Any] | None:
    """The newest whole record beside `output`."""
    found = all_of(output)
    return found[-1] if found else None


def written(output: str, record: Mapping[str, Any] | None) -> dict[str, str]:
    """sha256 by path (`<private>/...`) of what the job with this first output wrote; {} without a record."""
    folder, files = output.rpartition("/")[0], record["outputs"] if record else {}
    return {name if "/" in name else f"{folder}/{name}": digest for name, digest in files.items()}


def append(
    script: Path,
    told: Mapping[str, Any],
    read: Mapping[str, Sequence[Path]],
    written: Sequence[Path],
    started: float,
    facts: Mapping[str, Any],
) -> None:
    """Write the record of a job that ended well. `told`: settings and code; `started`: seconds since the epoch."""
    revision = script.resolve().parents[1] / REVISION
    known = json.loads(revision.read_text(encoding="utf-8")) if revision.is_file() else {}
    shown = _name(written[0]).startswith("<results>")
    record = {
        "stage": script.stem,
        "settings": canonical_json(told["settings"]),
        "code": told["code"],
        "inputs": {_name(path): sha256(path) for name, paths in read.items() for path in _immutable(name, paths)},
        "outputs": {_written(path, written[0]): sha256(path) for path in written},
        "commit": known.get("commit"),
        "dirty": known.get("dirty"),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 3),
        "host": None if shown else platform.node(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for module, name in LIBRARIES.items() if module in sys.modules},
        "peak_mb": max(resource.getrusage(who).ru_maxrss for who in _PROCESSES) // 1024,
        "scheduler": "slurm" if "SLURM_JOB_ID" in os.environ else None,
        "job_id": os.environ.get("SLURM_JOB_ID"),
        "attempt": int(os.environ.get("NOTECAST_ATTEMPT", "1")),
        "gpu": [],
        **facts,
    }
    with open(beside(written[0]), "a", encoding="utf-8") as file:
        file.write(canonical_json(record) + "\n")


_PROCESSES = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _immutable(name: str, paths: Iterable[Path]) -> list[Path]:
    """What can be compared later: files, but not a warehouse's database, which goes on changing."""
    if name in _MUTABLE or (name == "database" and not all(_name(path).startswith("<") for path in paths)):
        return []
    return [path for path in paths if path.is_file()]


def _written(path: Path, first: Path) -> str:
    return path.name if path.parent == first.parent else _name(path)


def _name(path: Path) -> str:
    """The path without the host's folders."""
    for root in ("private", "results"):
        folder = os.environ.get(f"NOTECAST_{root.upper()}")
        if folder and path.absolute().is_relative_to(Path(folder).absolute()):
            return f"<{root}>/{path.absolute().relative_to(Path(folder).absolute()).as_posix()}"
    return path.name
