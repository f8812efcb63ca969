"""A copy of a finished run to be spoiled: it shares its files with the run, so they are replaced, never written to."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from checkout import Checkout, merged
from lib import canonical_json, records

LEFT_OUT = ("logs", "store", "cache", "tmp", ".snakemake")


class Room:
    """A copy of the finished run in `folder`, to be spoiled."""

    def __init__(self, run: Checkout, folder: Path, whole: bool = False) -> None:
        """`whole`: all of it, in files of its own, for snakemake to run on."""
        self.folder, self.config, self.arguments = folder, run.config, list[str]()
        if whole:
            run.clone(folder)
        else:
            ignore = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(run.folder, folder, copy_function=os.link, symlinks=True, ignore=ignore)

    def path(self, name: str) -> Path:
        return self.folder / name.replace("<private>", "results/private/small").replace("<results>", "results/small")

    def put(self, name: str, content: bytes | str) -> None:
        """Another file in the place of `name`."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def edit(self, name: str, change: Callable[[Any], Any]) -> None:
        """Another JSON file, after `change`."""
        value = json.loads(self.path(name).read_text(encoding="utf-8"))
        change(value)
        self.put(name, json.dumps(value, sort_keys=True, indent=1) + "\n")

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.path(name).read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old}"
        self.put(name, text.replace(old, new, 1))

    def exchange(self, one: str, other: str) -> None:
        contents = [self.path(name).read_bytes() for name in (one, other)]
        self.put(one, contents[1])
        self.put(other, contents[0])

    def remove(self, name: str) -> None:
        self.path(name).unlink()

    def remember(self, first: str, *, read: dict[str, str] | None = None, **other: Any) -> None:
        """Make the record of the job whose first output is `first` agree with its files, and say what else is given."""
        lines = records.beside(self.path(first)).read_text(encoding="utf-8").splitlines()
        record, folder = json.loads(lines[-1]), self.path(first).parent
        record["outputs"] |= {name: digest(folder / name) for name in record["outputs"] if "/" not in name}
        record["inputs"] |= {name: digest(self.path(name)) for name in record["inputs"] if name in (read or {})}
        self.put(f"{first}{records.ENDING}", canonical_json(record | other) + "\n")

    def describe(self, manifest: str) -> None:
        """Make a manifest agree with its files."""

        def agree(told: dict[str, Any]) -> None:
            for name, facts in told["files"].items():
                path = self.path(manifest).parent / name
                facts |= {"bytes": path.stat().st_size, "sha256": digest(path)}

        self.edit(manifest, agree)

    def configure(self, change: dict[str, Any]) -> None:
        self.put("config/test.yaml", yaml.safe_dump(merged(self.config, change)))

    def git(self, *words: str) -> None:
        names = ["-c", "user.name=someone", "-c", "user.email=someone@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(self.folder), *names, *words], check=True, capture_output=True)

    def snakemake(self, *arguments: str) -> None:
        Checkout(self.folder).snakemake(*arguments)

    def verify(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "scripts/verify.py", "--configfile", "config/test.yaml", *self.arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
