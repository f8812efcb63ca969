"""What was submitted runs: a job that waited in a queue follows its head's configuration, not today's.

A queued job parses the workflow again when it starts, hours after its head. So the head copies the code that it began
with (and notes git's revision of it), and writes down its configuration and a hash of each job's settings and code, in
files of its own that no later head or dry run touches. Jobs run that code with that configuration: what is edited is
for the next run. A query or a module of the user's own lies elsewhere; edited, it makes a job that reads it refuse. The
job finds the hashes by an environment variable, which the scheduler hands on. (Without a scheduler the code is copied
too: a run may take days.)
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import yaml

from lib import canonical_json, provenance, records, revision
from lib.config_errors import ConfigError
from lib.revision import CODE

VARIABLE = "NOTECAST_SUBMITTED"
NAME = "jobs"
DAYS = 60  # no job waits for longer
AGAIN = "was changed after this job had been submitted, and the job runs nothing else: start snakemake again"


def freeze(folder: Path) -> Path:
    """A copy of the workflow's code as it is now, below `folder` under a hash of its bytes; made at once or not."""
    own = {path: path.read_bytes() for path in revision.files(provenance.ROOT)}
    own[provenance.ROOT / records.REVISION] = canonical_json(revision.of(provenance.ROOT, CODE)).encode()
    listed = [[str(path.relative_to(provenance.ROOT)), hashlib.sha256(text).hexdigest()] for path, text in own.items()]
    frozen = folder.absolute() / hashlib.sha256(canonical_json(listed).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    if frozen.is_dir():
        os.utime(frozen)
    else:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as temporary:
            for path, text in own.items():
                copy = Path(temporary, "code", path.relative_to(provenance.ROOT))
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(text)
            with contextlib.suppress(OSError):  # another run has just made it
                Path(temporary, "code").rename(frozen)
    for old in _long_gone(folder):
        shutil.rmtree(old, ignore_errors=True)
    return frozen


class Submitted:
    """The head's side: `job` notes what a job is told, `start` writes all down; from then on each as it comes."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder, self._config = folder, config
        self._told: dict[str, str] = {}
        self._file: TextIO | None = None

    def job(self, stage: str, wildcards: str, settings: str, code: str) -> None:
        name, told = _told(stage, wildcards, settings, code)
        if self._told.get(name) != told:
            self._told[name] = told
            if self._file:
                self._write([name, told])

    def start(self, name: str) -> Path:
        """Before the first job is submitted: write down what is known; the configuration file for jobs.

        `name`: what the scheduler calls this head's jobs. The file is locked for as long as this process lives.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        discard_old(self._folder)
        path = self._folder.absolute() / f"{uuid.uuid4().hex}.jsonl"
        self._file = path.open("x", encoding="utf-8", buffering=1)
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        for line in ((NAME, name), *self._told.items()):
            self._write(list(line))
        os.environ[VARIABLE] = str(path)
        config = path.with_suffix(".yaml")
        config.write_text(yaml.safe_dump(_plain(self._config)), encoding="utf-8")
        return config

    def orphans(self) -> list[str]:
        """The names of the jobs of heads that are no more: killed, they leave their jobs in the queue."""
        found = []
        for path in sorted(self._folder.glob("*.jsonl")):
            if self._file is None or path.name == Path(self._file.name).name:
                continue  # to close a file of one's own is to unlock it
            with path.open("r+", encoding="utf-8") as file, contextlib.suppress(OSError, ValueError):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found += [name for label, name in [json.loads(file.readline())] if label == NAME]
        return found

    def _write(self, line: Any) -> None:
        assert self._file is not None
        self._file.write(canonical_json(line) + "\n")


class Waited:
    """The job's side: `job` refuses what is not as it was submitted."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError if the head's file is gone."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            told = f"what this job was to run cannot be read ({error.strerror}): start snakemake again"
            raise ConfigError(told) from None
        self._told = dict(json.loads(line) for line in lines)

    def job(self, stage: str, wildcards: str, settings: str, code: str) -> None:
        """Raises ConfigError if settings or code differ; a rule without outputs is asked for by name, and not noted."""
        name, told = _told(stage, wildcards, settings, code)
        if self._told.get(name, told) != told:
            raise ConfigError(f"{stage}: a query, a list or a module of yours that it reads {AGAIN}")


def waited() -> Waited | None:
    """What this process is to run, if it is a job of a head that wrote it down."""
    path = os.environ.get(VARIABLE)
    return Waited(Path(path)) if path else None


def _told(stage: str, wildcards: str, settings: str, code: str) -> tuple[str, str]:
    return f"{stage} {wildcards}", hashlib.sha256(canonical_json([settings, code]).encode()).hexdigest()


def discard_old(folder: Path) -> None:
    """Remove the files of heads that nobody can be waiting for any more."""
    for old in _long_gone(folder):
        old.unlink(missing_ok=True)


def _long_gone(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.stat().st_mtime < time.time() - DAYS * 86_400]


def _plain(value: Any) -> Any:
    """As YAML's safe writer takes it, whatever kinds of mapping Snakemake merged."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
