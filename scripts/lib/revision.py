"""Which revision of the workflow this is, as git has it."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CODE = ("workflow", "scripts", "envs", "requirements.lock")  # what a run is copied with, and a crate holds
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


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
    """What git says, without its last newline; None if it cannot.

    Of this folder, whatever repository the environment names (a hook's does), and whoever owns it: its code is run.
    """
    command = ["git", "--no-optional-locks", "-c", f"safe.directory={folder.resolve()}", "-C", str(folder), *words]
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
