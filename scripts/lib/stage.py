"""The wrapper around every stage: its command line, its errors, its record.

A stage sees its settings as one JSON value and named files, and nothing else. What it raises is told without the
data in it: a `StageError` is written by us and printed as it is; of any other exception only the type and our own
line are printed, because drivers and converters echo values. A stage that ends well appends a record of how its
outputs came to be beside the first of them (an edge of nothing; see `records`).

Only `Job.say` and these errors reach the log, which is opened by name (NOTECAST_LOG). The descriptors 1 and 2, where
libraries, children and a user's own code print, warn and crash, are private: `workflow/logged.sh` has sent them to a
file below the private root, and there the whole traceback goes. By hand, without a log named, what is ours goes to the
terminal and the rest nowhere; NOTECAST_LOG=stage.log shows the rest.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

from lib import records

SCRIPTS = Path(__file__).resolve().parent.parent
_own_voice: TextIO | None = None  # the log; None, and sys.stderr, where a stage's `main` is called as a function


class StageError(Exception):
    """What was wrong, where (file, key, count, window) and what to do; never text, identifiers or credentials."""


@dataclass
class Job:
    """One call of a stage: its settings, its files by name, its code's hash, and `say` for progress in its log.

    `neutral` holds what cannot change a result (rows fetched at a time, workers); it is no part of any hash. `facts`
    are what a stage knows of how its outputs came, for their record.
    """

    settings: dict[str, Any]
    files: dict[str, Any] = field(default_factory=dict)
    neutral: dict[str, Any] = field(default_factory=lambda: json.loads(os.environ.get("NOTECAST_NEUTRAL", "{}")))
    code: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """The one file called `name`."""
        return Path(self.files[name])

    def paths(self, name: str) -> list[Path]:
        """The files called `name`, in the order given."""
        return [Path(p) for p in self.files[name]]

    @staticmethod
    def say(message: str) -> None:
        _print(f"{datetime.now(UTC):%H:%M:%S} {message}")

    def tell(self, message: str) -> None:
        """Say it, and show it to whoever watches the run (the descriptor NOTECAST_TERMINAL), under the job's name."""
        self.say(message)
        terminal = os.environ.get("NOTECAST_TERMINAL")
        if terminal:
            name = "/".join(self.path("manifest").parts[-4:-1])
            with suppress(OSError):  # a launcher's child does not have it
                os.write(int(terminal), f"{name}: {message}\n".encode())


def run(main: Callable[[Job], None], doc: str | None, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Parse the command line, call `main`, report its failure without its data, record its success.

    A name with a `*` takes several paths. The exit status is 1 for a `StageError`, 70 for anything else.
    """
    job = _arguments(doc, inputs, outputs)
    os.umask(0o077)
    _keep_to_ourselves()
    _leave_pandas_out()
    started = time.time()
    try:
        main(job)
        written = [path for paths in _files(job, outputs).values() for path in paths]
        told = {"settings": job.settings, "code": job.code}
        records.append(Path(sys.argv[0]), told, _files(job, inputs), written, started, job.facts)
    except StageError as error:
        _fail(error, str(error), 1)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
    except BaseException as error:
        if isinstance(error, SystemExit) and isinstance(error.code, int):
            raise
        traceback.clear_frames(error.__traceback__)  # what filled the memory must not be in the way of telling it
        _fail(error, without_data(error), 70)


def _files(job: Job, names: Sequence[str]) -> dict[str, list[Path]]:
    return {name: job.paths(name[:-1]) if name.endswith("*") else [job.path(name)] for name in names}


def _print(line: str) -> None:
    print(line, file=_own_voice or sys.stderr, flush=True)


def _keep_to_ourselves() -> None:
    """From now on `_print` alone reaches the log, or the terminal if there is none; see the module's docstring."""
    global _own_voice
    if log := os.environ.get("NOTECAST_LOG"):
        _own_voice = Path(log).open("a", encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
        return
    _own_voice = os.fdopen(os.dup(2), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _fail(error: BaseException, told: str, status: int) -> NoReturn:
    """Say what is ours to say, leave all the rest to the private descriptor, and exit."""
    _print(f"error: {told}")
    error.__suppress_context__ = False  # `from None` keeps it from the log, not from whoever may see it
    with suppress(Exception):
        traceback.print_exception(error)
    sys.exit(status)


class _NoPandas:
    """A finder that finds no pandas."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        if name == "pandas":
            raise ImportError(name)


def _leave_pandas_out() -> None:
    """Let pyarrow look for pandas once and not find it: it would import it, for 0.3 s of every job, and for nothing."""
    if "pyarrow" in sys.modules and "pandas" not in sys.modules:
        pyarrow = sys.modules["pyarrow"]
        sys.meta_path.insert(0, _NoPandas)
        pyarrow.array([None]).to_pylist()  # its C++ looks here, its Python there; each once
        assert not pyarrow.lib._pandas_api.have_pandas
        sys.meta_path.remove(_NoPandas)


def _arguments(doc: str | None, inputs: Sequence[str], outputs: Sequence[str]) -> Job:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", required=True, type=_json, metavar="JSON", help="this stage's config block")
    parser.add_argument("--code", default="", metavar="HASH", help="hash of the stage's code, kept in its record")
    for kind, names in (("input", inputs), ("output", outputs)):
        for name in names:
            many = name.endswith("*")
            parser.add_argument(
                f"--{name.rstrip('*')}", required=True, metavar="PATH", help=kind, nargs="*" if many else None
            )
    values = vars(parser.parse_args())
    code = values.pop("code")
    return Job(values.pop("settings"), values, code=code)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise argparse.ArgumentTypeError("this is no JSON") from None


def without_data(error: BaseException) -> str:
    """The exception's type and where in our code it rose: no foreign message, as those echo values."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(SCRIPTS)]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno} ({f.name})" for f in reversed(ours))
    # A type made while running may be named after a value: take the nearest that stands in a module under its name.
    known = next(t for t in type(error).__mro__ if getattr(sys.modules.get(t.__module__), t.__name__, None) is t)
    return f"{known.__module__}.{known.__name__} at {where or 'a place outside the stage'}"
