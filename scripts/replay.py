"""Prove on a copy of the database that no input of a cohort sees the future: forget it for sampled stays, ask again.

settings: cohort, stays, seed, queries (text, labels: as those of extract, without the window), windows (name,
window_start, window_end, known_until; in the order of the shards), data_end, point_in_time (the checked content of the
file beside the SQL, or null), min_cell. --texts and --labels are the extracts that models learn from, --work a private
folder for the copy. Any difference stops the run with counts and column names, and leaves no certificate.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import extract
from lib import replay, shards, stage, warehouse, wording
from lib.disclosure import suppress

KINDS = ("text", "labels")
Asked = dict[str, replay.Rows]  # by kind of query


def main(job: stage.Job) -> None:
    settings = job.settings
    windows = [name for name, *_ in settings["windows"]]
    stays = replay.sample(zip(windows, job.paths("labels"), strict=True), settings["stays"], settings["seed"])
    unverifiable = _unverifiable(job, stays)
    if unverifiable:
        job.say(f"not verifiable: {unverifiable}")
        told = replay.certificate(settings["cohort"], settings["seed"], "not verifiable", unverifiable)
    else:
        told = _replayed(job, stays)
    shards.write_json(job.path("certificate"), told)


def _unverifiable(job: stage.Job, stays: Sequence[replay.Stay]) -> str:
    """Why nothing can be said, or ''."""
    known = job.settings["point_in_time"]
    if job.path("database").suffix == ".json":
        return (
            "the source is a server; the replay needs a copy that it may change: give it a SQLite copy of some patients"
        )
    if known is None:
        return "there is no point_in_time.yaml beside the cohort's SQL"
    if not stays:
        return "no stay has an index time"
    with warehouse.connect(job.path("database")) as connection:
        read = set()
        for kind in KINDS:
            _, sql, parameters = extract.query(_query(job.settings, kind, 0))
            read |= warehouse.tables_read(connection, sql, parameters)
    unknown = replay.unknown_tables(read, known)
    return f"point_in_time.yaml does not know {', '.join(unknown)}, which the queries read" if unknown else ""


def _replayed(job: stage.Job, stays: list[replay.Stay]) -> dict[str, Any]:
    settings, database = job.settings, job.path("database")
    before = {kind: replay.rows_of(_extracted(job, kind, stays), stays) for kind in KINDS}
    with replay.copied(database, job.path("work")) as copy:
        gone = replay.forget(copy, stays, settings["point_in_time"]["facts"], settings["data_end"])
        job.say(f"replaying {wording.count(suppress([len(stays)], settings['min_cell'])[0])} stays")
        try:
            after = _asked(job, copy, stays)
        except stage.StageError as error:
            raise stage.StageError(f"the future forgotten, {error}") from None
    wrong = _differences(before, after)
    if any(any(found.values()) for found in wrong.values()):
        raise stage.StageError(_accusation(job, stays, before, wrong))
    of, least = len(stays), settings["min_cell"]
    names = list(next(iter(next(iter(before["labels"].values())).values())))
    labels = replay.labels_changed(before["labels"], after["labels"], names)
    if not any(labels.values()):
        job.say("no label has changed: what was forgotten does not matter to these stays; raise replay.stays")
    told: dict[str, Any] = {
        f"facts_{what}": {name: suppress([n], least)[0] for name, n in rows.items()} for what, rows in gone.items()
    }
    told["differences"] = {kind: replay.counted(found, of, least) for kind, found in wrong.items()}
    told["labels_changed"] = replay.counted({"any": set().union(*labels.values())} | labels, of, least)
    same = "texts, index times and features are the same without the future"
    return replay.certificate(
        settings["cohort"], settings["seed"], "pass", same, stays=suppress([of], least)[0], **told
    )


def _accusation(job: stage.Job, stays: list[replay.Stay], before: Asked, wrong: dict[str, replay.Found]) -> str:
    """What differs; or that the database, as it is, does not give the extracts any more, which proves nothing."""
    guilty = set().union(*(held for found in wrong.values() for held in found.values()))
    again = [stay for stay in stays if stay.visit_id in guilty]
    chosen = {kind: {visit: rows for visit, rows in before[kind].items() if visit in guilty} for kind in KINDS}
    stale = _differences(chosen, _asked(job, job.path("database"), again))
    cohort, of, least = job.settings["cohort"], len(stays), job.settings["min_cell"]
    if any(any(found.values()) for found in stale.values()):
        told = _told(stale, of, least)
        return f"the database has changed since cohort {cohort} was extracted; extract it again, then replay; {told}"
    return f"cohort {cohort} sees the future: without it, inputs differ; {_told(wrong, of, least)}"


def _told(wrong: dict[str, replay.Found], of: int, least: int) -> str:
    parts = []
    for kind, found in wrong.items():
        counts = replay.counted({name: held for name, held in found.items() if held}, of, least)
        parts += [f"{kind} column {name}: {wording.count(count)}" for name, count in counts.items()]
    return f"{'; '.join(parts)} (stays, of {wording.count(suppress([of], least)[0])})"


def _differences(before: Asked, after: Asked) -> dict[str, replay.Found]:
    found = {}
    for kind in KINDS:
        rows = [row for asked in (before, after) for by_key in asked[kind].values() for row in by_key.values()]
        found[kind] = replay.differences(before[kind], after[kind], *replay.compared(list(rows[0]) if rows else []))
    return found


def _extracted(job: stage.Job, kind: str, stays: Sequence[replay.Stay]) -> Iterator[pa.RecordBatch]:
    files = job.paths("texts" if kind == "text" else "labels")
    for position in _positions(job.settings, stays):
        yield from shards.iter_parquet(files[position])


def _asked(job: stage.Job, database: Path, stays: Sequence[replay.Stay]) -> Asked:
    """The rows of `stays` by the real queries on `database`, of the windows in which the extracts have them."""

    def batches(kind: str) -> Iterator[pa.RecordBatch]:
        for position in _positions(job.settings, stays):
            with extract.asked(database, _query(job.settings, kind, position), job.neutral) as (_, tables):
                yield from tables

    return {kind: replay.rows_of(batches(kind), stays) for kind in KINDS}


def _positions(settings: dict[str, Any], stays: Iterable[replay.Stay]) -> list[int]:
    wanted = {stay.window for stay in stays}
    return [i for i, (name, *_) in enumerate(settings["windows"]) if name in wanted]


def _query(settings: dict[str, Any], kind: str, position: int) -> dict[str, Any]:
    """What `extract` is told for one query and window."""
    _, start, end, known_until = settings["windows"][position]
    bounds = {"window_start": start, "window_end": end, "known_until": known_until}
    return settings["queries"][kind] | bounds


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["database", "texts*", "labels*", "work"], outputs=["certificate"])
