"""Which of a stage's modules have changed since it ran, by the copies of the code that runs make (see `submitted`)."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from lib import canonical_json, provenance

NEWEST = 30  # copies: each is a process of a quarter of a second

# A copy is asked in its own words: how it hashes may have changed too.
_ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from lib import provenance
told = {}
for stage, own in json.loads(sys.argv[2]).items():
    script = provenance.SCRIPTS / f"{stage}.py"
    if script.is_file():
        told[stage] = [provenance.code_hash(script, tuple(own)), provenance.code_parts(script, tuple(own))]
print(json.dumps(told))
"""


class CodeChanges:
    """`folder`: where the copies lie. `own`: the user's own modules that a stage imports."""

    def __init__(self, folder: Path, own: Callable[[str], tuple[str, ...]]) -> None:
        self._folder, self._own = folder, own

    def since(self, stage: str, code: str) -> list[str]:
        """What differs today from the code whose hash is `code`: modules, versions; [] if no copy of it is there."""
        before = self._copies.get((stage, code))
        if before is None:
            return []
        now = provenance.code_parts(provenance.SCRIPTS / f"{stage}.py", self._own(stage))
        modules, versions = (list(_differing(*pair)) for pair in zip(before, now, strict=True))
        changed = [name.removeprefix("scripts/") for name, _, _ in modules]
        return changed + [f"{name} {old} -> {new}" for name, old, new in versions]

    @cached_property
    def _copies(self) -> dict[tuple[str, str], Any]:
        """By stage and hash what each copy was made of."""
        stages = {path.stem: self._own(path.stem) for path in provenance.SCRIPTS.glob("*.py")}
        found: dict[tuple[str, str], Any] = {}
        copies = sorted(self._folder.glob("[0-9a-f]*"), key=lambda copy: -copy.stat().st_mtime)
        for copy in copies[:NEWEST]:
            command = [sys.executable, "-c", _ASK, str(copy / "scripts"), canonical_json(stages)]
            asked = subprocess.run(command, capture_output=True, text=True, check=False)
            if asked.returncode == 0:  # a copy from before there was such a question has no answer
                found |= {(stage, code): parts for stage, (code, parts) in json.loads(asked.stdout).items()}
        return found


def _differing(old: dict[str, str], new: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, old.get(name, "none"), new.get(name, "none")
