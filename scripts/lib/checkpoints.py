"""Checkpoints that are whole or do not count, in a folder that belongs to one training.

A checkpoint counts once its manifest (files, sizes, sha256) is written, which happens last: the library itself resumes
without a word from one whose optimizer or random state is missing, and stops at one that was cut off. A lock keeps two
processes from training in one folder (`store` says what names it).
"""

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from lib import canonical_json, shards
from lib.files import flush
from lib.stage import StageError

MANIFEST = "manifest.json"
LOCK = "lock"
KEEP = 2  # the newest, and one more should it be damaged


def sources(folder: Path) -> str:
    """Hash of all Python files under `folder`: for a job that was started by hand, without its code's hash."""
    files = sorted(folder.rglob("*.py"))
    return hashlib.sha256(canonical_json([[path.name, shards.sha256(path)] for path in files]).encode()).hexdigest()


@contextmanager
def lock(folder: Path, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the folder alone; StageError if another process holds it for so long. It is let go when a process dies."""
    until = time.monotonic() + wait_seconds
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / LOCK, "a") as file:
            if _locked(file):
                yield
                return
        if time.monotonic() >= until:
            raise StageError(
                f"another process is training in {folder.name} of the work folder; "
                "wait for it, or end it, and run again"
            )
        time.sleep(0.5)


def _locked(file: TextIO) -> bool:
    """By lockf, which holds between the machines of a shared file system too.

    A lock on a file that was removed meanwhile, with all its folder, keeps nobody out.
    """
    with suppress(OSError):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), Path(file.name).stat())
    return False


def seal(folder: Path) -> None:
    """Flush every file of the folder to disk, then write its manifest: from now on it counts."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    for path in files:
        flush(path)
    described = {path.name: {"bytes": path.stat().st_size, "sha256": shards.sha256(path)} for path in files}
    shards.write_json(folder / MANIFEST, {"files": described})
    flush(folder)


def fault(folder: Path) -> str | None:
    """Why a sealed folder is not whole; None if every file is there with its size and hash."""
    try:
        files = shards.read_json(folder / MANIFEST)["files"]
    except (OSError, ValueError, KeyError):
        return "no manifest"
    for name, facts in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != facts["bytes"]:
            return f"{name} has {path.stat().st_size} of {facts['bytes']} bytes"
        if shards.sha256(path) != facts["sha256"]:
            return f"{name} has other content than its manifest says"
    return None


def path_of(root: Path, step: int) -> Path:
    return root / f"checkpoint-{step}"


def steps(root: Path) -> list[int]:
    """The steps at which there is a checkpoint, whole or not, newest first."""
    found = (re.fullmatch(r"checkpoint-(\d+)", path.name) for path in root.glob("checkpoint-*"))
    return sorted((int(match[1]) for match in found if match), reverse=True)


def newest(root: Path) -> tuple[int | None, list[str]]:
    """The step of the newest whole checkpoint (None: there is none), and what was left, and why."""
    left: list[str] = []
    for step in steps(root):
        reason = fault(path_of(root, step))
        if reason is None:
            return step, left
        left.append(f"checkpoint-{step}: {reason}")
    return None, left


def remove(folder: Path) -> None:
    """Remove a checkpoint, its manifest first, so that one half removed does not count."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def prune(root: Path, best: int | None) -> None:
    """Remove all but the newest KEEP and the best."""
    for step in steps(root)[KEEP:]:
        if step != best:
            remove(path_of(root, step))
