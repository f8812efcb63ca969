"""What a run's private folder holds of some patients, and its removal with a record.

Every Parquet and Arrow file that says whose its rows are is asked, whichever stage wrote it, and of a model the list of
those it learned from. What cannot be told is taken to hold them: rows of stays without a patient, a file that cannot
be read, weights without their list, what a killed job left half written. A shard holds many patients: the whole file
goes, with what its job wrote beside it, and the next run makes it again. Of the split's ledger, which nothing makes
again, their rows go. The source is left alone.
"""

import fcntl
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib import learned, optouts, records, shards
from lib.files import flush
from lib.stage import StageError

JOURNAL = "purges.jsonl"
SOURCE = ("hospital.sqlite", "hospital.json", "oracle.parquet")  # the demo's, which one job generates
_HALF_WRITTEN = (".tmp", ".scratch")  # of `shards`, with a dot before
_WEIGHTS = ("model.safetensors", "tokenizer.json")


@dataclass(frozen=True)
class Held:
    """A file or a model's folder, its rows of these patients (None: cannot be told), and the files that go with it."""

    path: Path
    rows: int | None
    files: tuple[Path, ...]


class Holdings:
    """All that the folder `private` (private_root/name) holds of the patients `ids` (texts)."""

    def __init__(self, private: Path, ids: Sequence[str]) -> None:
        self.private = private
        self._ids = pa.array(ids, pa.string())
        self._patients: set[str] = set()
        self.found = [held for _, held in sorted({held.path: held for held in self._find()}.items())]
        self.patients = len(self._patients)
        self.source = [private / name for name in SOURCE if (private / name).is_file()]
        self.links = sum(path.is_symlink() for path in private.rglob("*"))

    @property
    def files(self) -> list[Path]:
        """What goes, each file once, shards and lists last: as long as one is there, the rest is found again."""
        files = {path for held in self.found for path in held.files}
        files -= set(self.ledgers)
        return sorted(files, key=lambda path: (path.suffix in optouts.COLUMNAR, path))

    @property
    def ledgers(self) -> list[Path]:
        """Ledgers of the split that have rows of these patients."""
        return [held.path for held in self.found if self.kind(held) == "ledger" and held.path.suffix == ".parquet"]

    def forget(self, ledger: Path) -> None:
        """Write a ledger anew without these patients' rows."""
        table = shards.read_parquet(ledger)
        theirs = pc.is_in(table["person_id"].cast(pa.string()), value_set=self._ids)
        shards.write_parquet(ledger, table.schema, [table.filter(pc.invert(theirs))])

    def kind(self, held: Held) -> str:
        """The first folder below the private one: the stage, as a rule."""
        return held.path.relative_to(self.private).parts[0]

    def _find(self) -> Iterator[Held]:
        for path in sorted(path for path in self.private.rglob("*") if path.is_file() and not path.is_symlink()):
            inside = path.relative_to(self.private).as_posix()
            if inside in SOURCE or inside.startswith("stamps/"):
                continue
            if inside.startswith("tmp/") or (path.name.startswith(".") and path.suffix in _HALF_WRITTEN):
                yield Held(path, None, (path,))
            elif path.suffix in optouts.COLUMNAR:
                if rows := self._rows(path):
                    yield self._of_list(path, rows) if path.name.endswith(learned.LIST) else _of_shard(path, rows)
                elif rows is None:
                    yield _of_shard(path, None)
            elif path.name in _WEIGHTS and not self._has_list(path):
                yield Held(path.parent, None, tuple(_all_of(path.parent)))

    def _rows(self, path: Path) -> int | None:
        try:
            theirs = optouts.rows_of(path, self._ids)
        except (OSError, StageError, pa.ArrowException):
            return None
        if theirs is None:
            return None
        self._patients.update(pc.unique(theirs).to_pylist())
        return len(theirs)

    def _of_list(self, path: Path, rows: int) -> Held:
        folder = learned.folder_of(path)
        return Held(folder, rows, tuple(dict.fromkeys([*_all_of(folder), path])))

    def _has_list(self, weights: Path) -> bool:
        """Whether somebody knows whom these weights learned from; or the workflow did not make them."""
        folders = [folder for folder in weights.parents if folder.is_relative_to(self.private)][:-1]
        listed = any(learned.beside(folder).is_file() or (folder / learned.LIST).is_file() for folder in folders)
        ours = weights.is_relative_to(self.private / "store") or any(weights.parent.glob(f"*{records.ENDING}"))
        return listed or not ours


def _all_of(folder: Path) -> list[Path]:
    """The files of a model. Its lock stays, and its records: by them the workflow notices what is gone."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return sorted(path for path in files if not path.name.endswith(records.ENDING))


def _of_shard(path: Path, rows: int | None) -> Held:
    beside = [path.with_name(name) for name in _jobs(path.parent).get(path.name, [])]
    if path.parents[1].name == "extract":  # hashes of its rows
        beside.append(path.parents[2] / "fetched" / path.parent.name / path.name)
    return Held(path, rows, tuple(dict.fromkeys([path, *(other for other in beside if other.is_file())])))


@cache
def _jobs(folder: Path) -> dict[str, list[str]]:
    """By name of a file: all that its job wrote, as the records in the folder tell."""
    jobs: dict[str, list[str]] = {}
    for path in folder.glob(f"*{records.ENDING}"):
        record = records.last(path.with_name(path.name.removesuffix(records.ENDING)))
        if record is None:
            continue
        for name in record["outputs"]:
            jobs[name] = list(record["outputs"])
    return jobs


def told(holdings: Holdings, asked: int) -> Iterator[str]:
    """Lines for the data steward: counts and paths below the private folder, never an id."""
    yield f"patients asked about: {asked}; held: {holdings.patients}"
    kinds = Counter(holdings.kind(held) for held in holdings.found)
    for kind in sorted(kinds):
        yield f"{kind}: {kinds[kind]}"
        for held in (held for held in holdings.found if holdings.kind(held) == kind):
            what = "patients it learned from" if held.path.is_dir() else "rows"
            known = "cannot be told, so taken to hold them" if held.rows is None else f"{held.rows} {what}"
            yield f"  {held.path.relative_to(holdings.private)}: {known}"
    yield f"in all: {len(holdings.found)}, {len(holdings.files)} files"
    others = [other for other in holdings.private.parent.iterdir() if other.is_dir() and other != holdings.private]
    if others:
        yield f"other runs below the private root, not looked into: {len(others)}; give their configuration"
    if holdings.links:
        yield f"links, not followed: {holdings.links}; look yourself at what they point to"
    yield "left alone: the source" + "".join(f", {path.name}" for path in holdings.source)


@contextmanager
def no_run(results: Path, workdir: Path) -> Iterator[None]:
    """Keep `make run` out meanwhile. Raises StageError if a run is going on, by its lock or Snakemake's."""
    results.mkdir(parents=True, exist_ok=True)
    with open(results / ".running", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StageError(f"a run of {results.name} is going on: wait for its end") from None
        if any((workdir / ".snakemake" / "locks").glob("*")):
            raise StageError("a run is going on in this clone: wait for its end; of a killed one: snakemake --unlock")
        yield


def remove(holdings: Holdings, asked: int, say: Callable[[str], None]) -> None:
    """Remove the files, between two lines of the journal: what is to go, with hashes, and that it is gone.

    Killed at any moment, it is simply done again: what is left is found again, and gets a line of its own.
    """
    files = holdings.files
    described = {str(path.relative_to(holdings.private)): shards.sha256(path) for path in files}
    patients = {"asked": asked, "held": holdings.patients}
    kept = [str(path.relative_to(holdings.private)) for path in holdings.ledgers]
    _journal(holdings.private, {"step": "removing", "patients": patients, "files": described, "rows_of": kept})
    for path in files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        flush(folder)
    for folder in sorted((held.path for held in holdings.found if held.path.is_dir()), reverse=True):
        _prune(folder)
    for ledger in holdings.ledgers:
        holdings.forget(ledger)
    _journal(holdings.private, {"step": "removed", "patients": patients, "files": len(files)})
    say(f"removed: {len(files)} files; the record is {JOURNAL} in the private folder. Run again to make the rest anew")


def _prune(folder: Path) -> None:
    """Remove the empty folders below a model's folder: a checkpoint without files is none."""
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()


def _journal(private: Path, entry: dict[str, Any]) -> None:
    """Append one line, and wait until the disk has it."""
    shards.append_json(private / JOURNAL, {"date": datetime.now(UTC).isoformat(timespec="seconds"), **entry})
    flush(private)


def run(private: Path, results: Path, ids: Sequence[str], removing: bool, say: Callable[[str], None]) -> None:
    """List what holds the patients; with `removing`, remove it. StageError if there is nothing to look into."""
    if not private.is_dir():
        raise StageError(f"there is no private folder of {results.name}: nothing has run")
    if not removing:
        _tell(told(Holdings(private, ids), len(ids)), say)
        say("nothing was removed; --remove does it")
        return
    with no_run(results, Path.cwd()):
        holdings = Holdings(private, ids)
        _tell(told(holdings, len(ids)), say)
        if holdings.found:
            remove(holdings, len(ids), say)


def _tell(lines: Iterable[str], say: Callable[[str], None]) -> None:
    for line in lines:
        say(line)
