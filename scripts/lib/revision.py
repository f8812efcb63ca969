"""Which revision of the workflow this is, as git has it."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CODE = ("workflow", "scripts", "envs", "requirements.lock")  # what a run is copied with, and a crate holds


def of(folder: Path, code: Iterable[str]) -> dict[str, Any]:
    """{"commit", "dirty"}: git's revision of `folder`, and whether the files named `code` differ from it.

    Both are None where there is no git or `folder` is not the top of a clone of its own.
    """
    unknown = {"commit": None, "dirty": None}
    top, commit = _git(folder, "rev-parse", "--show-toplevel"), _git(folder, "rev-parse", "HEAD")
    if top is None or commit is None or Path(top).resolve() != folder.resolve():
        return unknown
    changed = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", *code)
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def files(folder: Path) -> list[Path]:
    """The files of the code below `folder`, name by name of CODE, each in the order of its paths."""
    found = [path for name in CODE for path in sorted([folder / name, *(folder / name).rglob("*")])]
    return [path for path in found if path.is_file() and path.parent.name != "__pycache__"]


def _git(folder: Path, *words: str) -> str | None:
    """What git says, without its last newline; None if it cannot."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
