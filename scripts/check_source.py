"""Look at a source before anything is pulled from it: what its queries return, what it holds by month, what it takes.

Every query is asked for an empty window first: its columns against the contract, and against what each task needs. Then
the labels queries run for all windows, the text queries for `text_windows` of them, and rows become counts as they
pass. settings: name, first_day, last_day, text_windows, min_cell, cohorts (name -> queries, as those of extract without
the window; windows; anchor; concatenate; complete_after, days by label), tasks, features, groups (`source_check`),
plan (`source_plan`). Neither file holds text, an id, or a small cell. Rows that break the contract are told at the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from time import perf_counter
from typing import Any

import pyarrow as pa

import extract
from lib import (
    optouts,
    shards,
    source_check,
    source_months,
    source_page,
    source_plan,
    source_warnings,
    stage,
    warehouse,
)
from lib.files import write_text
from lib.source_counts import Passing
from lib.source_plan import Counted
from lib.windows import calendar

KINDS = ("text", "labels")
Window = tuple[str, str, str]  # from, to before, known until


def main(job: stage.Job) -> None:
    for output in ("report", "page"):
        job.path(output).unlink(missing_ok=True)  # an older check is not to be taken for this one
    settings = job.settings
    columns = _columns(job)
    reading = _Reading(job)
    counted = {name: reading.cohort(name) for name in settings["cohorts"]}
    found = _found(settings, counted, source_check.uneven_keys(columns), warehouse.ticket_seconds(job.path("database")))
    shards.write_json(job.path("report"), found)
    write_text(job.path("page"), source_page.page(found))
    if reading.broken:
        told = "\n  ".join(["rows break the contract; extract would stop at them", *reading.broken])
        raise stage.StageError(f"{told}\n  the table is in {job.path('page').name}")


def _columns(job: stage.Job) -> dict[str, list[str]]:
    """The columns of each cohort's labels query, all of them known to be good; raises StageError with every fault."""
    with warehouse.connect(job.path("database")):
        pass  # without a connection there is one fault, and not one a query
    columns, faults = {}, []
    for name, cohort in job.settings["cohorts"].items():
        _, start, _, known_until = cohort["windows"][0]
        for kind in KINDS:
            try:
                with _asked(job, name, kind, (start, start, known_until)) as (extraction, rows):
                    for _ in rows:
                        pass
                if kind == "labels":
                    columns[name] = list(extraction.schema.names)
            except stage.StageError as error:
                faults.append(str(error))
    faults += source_check.missing(columns, job.settings)
    if faults:
        raise stage.StageError("\n  ".join(["the source does not give what is needed", *faults]))
    job.say(f"{len(KINDS) * len(columns)} queries return the columns that are needed")
    return columns


def _asked(job: stage.Job, cohort: str, kind: str, window: Window, opted_out: frozenset[str] = frozenset()) -> Any:
    bounds = dict(zip(("window_start", "window_end", "known_until"), window, strict=True))
    settings = job.settings["cohorts"][cohort]["queries"][kind] | bounds
    return extract.asked(job.path("database"), settings, job.neutral, opted_out)


class _Reading:
    """All queries, window by window; `broken` tells of each query the first window whose rows break the contract."""

    def __init__(self, job: stage.Job) -> None:
        self._job = job
        self._opted_out = frozenset(optouts.read(job.path("exclusions")).to_pylist())
        self.broken: list[str] = []

    def cohort(self, name: str) -> Counted:
        settings, counted = self._job.settings["cohorts"][name], Counted()
        windows = settings["windows"]
        read = source_check.spread(len(windows), self._job.settings["text_windows"])
        faults: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for i, (_, *window) in enumerate(windows):
            with self._rows(name, "labels", window, counted, faults) as stays:
                passing = Passing(counted.stays.passing(stays))
                if i in read:
                    with self._rows(name, "text", window, counted, faults) as notes:
                        counted.notes.add(notes, passing, settings["concatenate"])
                passing.end()
        for first, *others in filter(None, faults.values()):
            self.broken.append(first + (f"\n  and {len(others)} more windows of this query" if others else ""))
        self._job.say(f"{name}: labels of {len(windows)} windows, texts of {len(read)}")
        return counted

    @contextmanager
    def _rows(
        self, name: str, kind: str, window: Any, counted: Counted, faults: dict[str, list[str]]
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """The rows of one query and window, timed; what is wrong with them goes to `faults`."""
        started = perf_counter()
        with _asked(self._job, name, kind, tuple(window), self._opted_out) as (_, tables):
            counted.seconds[kind] += perf_counter() - started

            def passing() -> Iterator[pa.RecordBatch]:
                try:
                    yield from source_plan.timed(tables, counted.seconds, kind)
                except extract.BrokenRows as error:
                    faults[kind].append(str(error))

            yield passing()


def _found(
    settings: dict[str, Any], counted: dict[str, Counted], warnings: list[str], ticket_seconds: float | None
) -> dict[str, Any]:
    """What is shown. `ticket_seconds`: until the Kerberos ticket ends, where the source needs one."""
    span = (date.fromisoformat(settings["first_day"]), date.fromisoformat(settings["last_day"]) + timedelta(days=1))
    months, least = [month for month, _ in calendar(*span)], settings["min_cell"]
    cohorts = {}
    for name, cohort in counted.items():
        asked = settings["cohorts"][name]
        cohorts[name] = source_months.shown(cohort.stays, cohort.notes, months, least) | {
            "anchor": asked["anchor"],
            "windows": len(asked["windows"]),
            "windows_read": len(source_check.spread(len(asked["windows"]), settings["text_windows"])),
        }
        told = source_warnings.of_cohort(cohort.stays, cohort.notes, asked["complete_after"], span, least)
        warnings = [*warnings, *(f"{name}: {warning}" for warning in told)]
    plan = source_plan.pull(counted, settings["plan"] | {"tasks": settings["tasks"]}, least, ticket_seconds)
    head = {key: settings[key] for key in ("name", "first_day", "last_day", "min_cell")}
    return head | {"cohorts": cohorts, "plan": plan, "warnings": warnings}


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["database", "exclusions"], outputs=["report", "page"])
