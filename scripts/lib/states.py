"""How far each fit of a run is, by what lies in its folders."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.plan import Fit

SILENT_SECONDS = 300
ORDER = ("stopped", "training", "waiting", "finished")
_LINE = re.compile(r"^\d\d:\d\d:\d\d (.*)$")
_PROGRESS = re.compile(r"step \d+/\d+")


@dataclass(frozen=True)
class State:
    """A fit (`task`, `name`: model/size-seed), what it does (one of ORDER), and the line of its log that says so."""

    task: str
    name: str
    what: str
    line: str


def of(task: str, fit: "Fit", private: Path, results: Path, now: float) -> State:
    folder = private / fit.folder.format(task=task)
    stage = fit.folder.partition("/")[0]
    log = results / "logs" / stage / f"{task}-{fit.path.replace('/', '-')}.log"
    if (folder / "manifest.json").is_file():
        return State(task, fit.path, "finished", "")
    if not log.is_file():
        return State(task, fit.path, "waiting", "")
    lines = log.read_text(encoding="utf-8").splitlines()
    error = next((line for line in reversed(lines) if line.startswith("error: ")), None)
    said = [match[1] for match in map(_LINE.match, lines) if match]
    last = next((line for line in reversed(said) if _PROGRESS.search(line)), said[-1] if said else "")
    if error:
        return State(task, fit.path, "stopped", error)
    age = now - log.stat().st_mtime
    if age > SILENT_SECONDS:
        return State(task, fit.path, "stopped", f"silent for {age / 60:.0f} min; last: {last}")
    return State(task, fit.path, "training", last)


def page(name: str, states: Sequence[State]) -> Iterator[str]:
    """The table as lines: how many of each, then all that are not finished."""
    counts = Counter(state.what for state in states)
    yield f"{name}: " + ", ".join(f"{counts[what]} {what}" for what in ORDER if counts[what])
    shown = sorted((s for s in states if s.what in ("stopped", "training")), key=lambda s: ORDER.index(s.what))
    width = max((len(f"{s.task} {s.name}") for s in shown), default=0)
    for state in shown:
        yield f"{state.what:<9} {f'{state.task} {state.name}':<{width}}  {state.line}"
