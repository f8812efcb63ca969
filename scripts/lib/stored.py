"""What the store holds, and which of it today's configuration would use.

Asked before a training is queued (a model that is there is copied, and needs no GPU), when a plan is explained, and
when the store is tidied up. The workflow's head asks, so nothing here imports pyarrow.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import files, store

if TYPE_CHECKING:
    from lib.plan import Plan

LIST = "patients.parquet"  # of `learned`, which imports pyarrow
_KEY = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class Entry:
    """A folder of the store: `what` it says of itself ({} if nothing), whether it is finished, its bytes, last use."""

    folder: Path
    what: dict[str, Any]
    finished: bool
    bytes: int
    used: float

    @property
    def name(self) -> str:
        """As people call the fit: task/model/size-seed."""
        known = self.what.get("task") and self.what.get("model")
        return "{task}/{model}/{size}-{seed}".format(**self.what) if known else "unknown"


class Stored:
    """The store of a plan's run."""

    def __init__(self, plan: "Plan") -> None:
        self._plan = plan
        self.folder = Path(plan.private, "store")

    def key(self, wildcards: Any) -> str:
        """Of the finetune with these wildcards, as it would train now.

        FileNotFoundError while a dataset or the tokenizer is not there, which Snakemake understands.
        """
        own = {name: str(value) for name, value in dict(wildcards).items()}
        return store.key(self._settings(own), self._data(own), self._plan.code("finetune"))

    def _settings(self, wildcards: dict[str, str]) -> Any:
        return json.loads(self._plan.settings_of("finetune", tuple(sorted(wildcards.items()))))

    def _data(self, wildcards: dict[str, str]) -> dict[str, list[list[str]]]:
        """As `store.content` gives it. Shards are not read: their manifests say their hashes."""
        data = {part: [self._shard(part, wildcards)] for part in ("train", "tuning")}
        tokenizer = self._plan.config.models[wildcards["model"]].tokenizer
        local = {
            "tokenizer": [f"{self._plan.private}/tokenizers/{tokenizer}/tokenizer.json"],
            "start": self._plan.local_files("models", wildcards["model"]),
        }
        return data | {name: [[Path(path).name, _sha256(path)] for path in paths] for name, paths in local.items()}

    def _shard(self, part: str, wildcards: dict[str, str]) -> list[str]:
        [path] = self._plan.files("<private>/dataset/{task}/{encoding}/{part}.json", wildcards, part=[part])
        name = f"{part}.arrow"
        return [name, str(files.read_json(Path(path))["files"][name]["sha256"])]

    def has(self, wildcards: Any) -> bool:
        """Whether the finished model is there. FileNotFoundError as for `key`."""
        return finished(self.folder / self.key(wildcards))

    def keys(self) -> tuple[set[str], int]:
        """Those of all finetunes of the configuration; and how many could not be told."""
        found, unknown = set(), 0
        for wildcards in self._fits():
            try:
                found.add(self.key(wildcards))
            except FileNotFoundError:
                unknown += 1
        return found, unknown

    def _fits(self) -> list[dict[str, str]]:
        fits = [fit for fit in self._plan.fits if fit.kind == "transformer"]
        named = [{"model": fit.model, "size": fit.size, "seed": str(fit.seed)} for fit in fits]
        return [{"task": task, **fit} for task in self._plan.config.tasks for fit in named]

    def told(self, what: Mapping[str, Any]) -> tuple[Any, Any, str] | None:
        """Settings, data (None without) and code of today's fit of the name that an entry has; None: no such fit."""
        wildcards = {name: str(what.get(name)) for name in ("task", "model", "size", "seed")}
        if wildcards not in self._fits():
            return None
        try:
            data = self._data(wildcards)
        except FileNotFoundError:
            data = None
        return self._settings(wildcards), data, self._plan.code("finetune")

    def entries(self) -> list[Entry]:
        """What there is, by name, of one name the last used first."""
        found = list(self._entries())
        return sorted(found, key=lambda entry: (entry.name, -entry.used))

    def _entries(self) -> Iterator[Entry]:
        for folder in sorted(self.folder.glob("*")):
            if not _KEY.fullmatch(folder.name) or not folder.is_dir():
                continue
            path = folder / store.WHAT
            try:
                what = dict(files.read_json(path))
            except (OSError, ValueError):
                what = {}
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            used = (path if path.is_file() else folder).stat().st_mtime
            yield Entry(folder, what, finished(folder), size, used)


def finished(folder: Path) -> bool:
    """Whether a model lies in a folder of the store, by names and sizes; the job itself compares hashes."""
    final = folder / store.FINAL
    try:
        described = files.read_json(final / "manifest.json")["files"]
        whole = all((final / name).stat().st_size == facts["bytes"] for name, facts in described.items())
    except (OSError, ValueError, KeyError):
        return False
    return whole and (folder / LIST).is_file()


def _sha256(path: str) -> str:
    facts = Path(path).stat()
    return _hashed(path, facts.st_size, facts.st_mtime_ns)


@cache
def _hashed(path: str, _size: int, _time: int) -> str:
    """A model to start from has hundreds of MB, and every fit asks for it."""
    return files.sha256(Path(path))
