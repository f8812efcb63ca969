"""Point in time, proven: what happens after the index time, and how the stay itself is coded and paid, change no input.

On the demo hospital the replay deletes the future of all patients with a stay in the windows; and, beyond what it can
do at a hospital, the future is made another one, at random: still no text, index time or feature may differ.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import omop_db
import replay as command
import replay_job
from lib import replay, shards, stage
from lib.demo_schema import insert

TABLES = ("visit_occurrence", "visit_detail", "note", "condition_occurrence", "notecast_claim", "death")
# What an UPDATE may make of rows that were not known yet; `{n}` is drawn anew for each table and run.
LATER = {
    "visit_occurrence": {"visit_concept_id": "9203 - {n} % 3", "visit_end_datetime": "NULL", "care_site_id": "{n}"},
    "visit_detail": {"care_site_id": "{n}"},
    "note": {"note_text": "'another text {n}'", "note_title": "CASE WHEN note_id % {n} = 0 THEN 'Addendum' END"},
    "condition_occurrence": {"condition_source_value": "CASE WHEN {n} % 2 THEN 'C78.7' ELSE 'I21.4' END"},
    "notecast_claim": {"status": "CASE WHEN {n} % 2 THEN 'paid' ELSE 'final, adverse determination' END"},
    "death": {"death_datetime": "datetime(death_datetime, '+{n} days')", "death_date": "date(death_date, '+{n} days')"},
}
REOPENED = {
    "visit_occurrence": {
        "visit_end_date": "date(visit_end_date, '+{n} days')",
        "visit_end_datetime": "datetime(visit_end_datetime, '+{n} days')",
        "discharged_to_concept_id": "CASE WHEN {n} % 2 THEN 4216643 ELSE 581476 END",
        "care_site_id": "{n}",
    },
    "notecast_claim": {"decided_date": "date(decided_date, '+{n} days')"},
}
Events = Callable[[replay.Stay, int, random.Random], list[tuple[str, dict[str, Any]]]]


@pytest.fixture(scope="module", params=["discharge", "admission"])
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> stage.Job:
    """A replay of all patients of the demo hospital, some of whom are given a past that it does not have."""
    folder = tmp_path_factory.mktemp(request.param)
    database = replay_job.hospital(folder)
    stays = sampled(replay_job.made(database, folder, request.param))
    happen(database, stays, past, random.Random(7))
    job = replay_job.made(database, folder, request.param, min_cell=1)
    assert sampled(job) == stays
    return job


def test_the_future_deleted_changes_no_input(job: stage.Job) -> None:
    command.main(job)
    told = shards.read_json(job.path("certificate"))
    assert told["verdict"] == "pass" and told["stays"] > 150
    assert all(told["facts_deleted"][table] > 0 for table in TABLES), told
    discharge = job.settings["cohort"] == "discharge"
    assert told["labels_changed"]["readmission" if discharge else "mortality"] > 0, "nothing was forgotten"


@pytest.mark.parametrize("seed", range(4))
def test_another_future_changes_no_input(job: stage.Job, tmp_path: Path, seed: int) -> None:
    database, cohort, stays = job.path("database"), job.settings["cohort"], sampled(job)
    other = tmp_path / "other.sqlite"
    shutil.copyfile(database, other)
    another_future(other, stays, job, random.Random(seed))
    assert asked(other, cohort, "text", stays) == asked(database, cohort, "text", stays)
    before, after = (asked(path, cohort, "labels", stays) for path in (database, other))
    names = list(next(iter(next(iter(before.values())).values())))
    assert not {n: s for n, s in replay.differences(before, after, *replay.compared(names)).items() if s}
    changed = replay.labels_changed(before, after, names)
    assert any(changed.values()), "the future is the same"
    # The replay deletes all that differs: the file that says what is not known yet misses nothing of it.
    assert forgotten(other, stays, job) == forgotten(database, stays, job)


def sampled(job: stage.Job) -> list[replay.Stay]:
    windows = [name for name, *_ in job.settings["windows"]]
    return replay.sample(zip(windows, job.paths("labels"), strict=True), 10_000, 1)


def asked(database: Path, cohort: str, kind: str, stays: list[replay.Stay]) -> replay.Rows:
    found: replay.Rows = {}
    for _, *window in replay_job.WINDOWS:
        table = omop_db.run(database, omop_db.settings(cohort, kind, window, replay_job.KNOWN_UNTIL))
        found |= replay.rows_of(table.to_batches(), stays)
    return found


def forgotten(database: Path, stays: list[replay.Stay], job: stage.Job) -> dict[str, list[Any]]:
    """All rows about patients that the replay leaves."""
    with replay.copied(database, job.path("work")) as copy:
        replay.forget(copy, stays, job.settings["point_in_time"]["facts"], job.settings["data_end"])
        with closing(sqlite3.connect(copy)) as connection:
            return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=str) for table in TABLES}


def another_future(database: Path, stays: list[replay.Stay], job: stage.Job, draw: random.Random) -> None:
    """Change what was not known of `stays`, and how they are coded; and let new things happen to some of them."""
    changes = []
    for fact in job.settings["point_in_time"]["facts"]:
        table, nothing = fact["table"], {"later": None, "coding": None}
        for why, written in (("later", LATER), ("coding", LATER), ("reopened", REOPENED)):
            if fact[why] and table in written:
                when = fact[why]["when"] if why == "reopened" else fact[why]
                new = {name: to.format(n=draw.randint(1, 9)) for name, to in written[table].items()}
                changes.append(fact | nothing | {"reopened": {"when": when, "set": new}})
    made = replay.forget(database, stays, changes, job.settings["data_end"])["reopened"]
    assert all(made[table] > 0 for table in TABLES)
    happen(database, stays, future, draw)


def happen(database: Path, stays: list[replay.Stay], what: Events, draw: random.Random) -> None:
    """Let some of the events of each stay happen."""
    with closing(sqlite3.connect(database)) as connection:
        for number, stay in enumerate(stays, 10**8):
            for table, row in what(stay, 10 * number, draw):
                if draw.random() < 0.5:
                    whole = dict.fromkeys(omop_db.REQUIRED.get(table, ()), 0) | {"person_id": stay.person_id} | row
                    connection.execute(insert(table, tuple(whole)), tuple(whole.values()))
        connection.commit()


def past(stay: replay.Stay, number: int, draw: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """A stay that has ended, with two codes, one of them late; one that goes on; an emergency visit that does."""
    began = stay.index_time - timedelta(days=draw.randint(20, 300))
    ended, ends = began + timedelta(days=draw.randint(1, 9)), stay.index_time + timedelta(hours=draw.randint(1, 400))
    return [
        ("visit_occurrence", visit(number + 3, 9201, began, ended)),
        ("condition_occurrence", code(number + 3, number + 3, began)),
        ("condition_occurrence", code(number + 3, number + 6, ends + timedelta(days=1))),
        ("visit_occurrence", visit(number + 4, draw.choice([9201, 262]), began - timedelta(days=1), ends)),
        ("visit_occurrence", visit(number + 5, 9203, stay.index_time - timedelta(days=draw.randint(1, 200)), ends)),
    ]


def future(stay: replay.Stay, number: int, draw: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """A later stay with its note and codes; a note, codes and claims of this one, and of one before; a death."""
    later = [stay.index_time + timedelta(minutes=draw.choice([1, 600, 5_000, 50_000])) for _ in range(5)]
    any_day = stay.index_time - timedelta(days=draw.randint(0, 900))
    start = visit(
        number, draw.choice([9201, 262, 9203, 581385]), later[0], later[0] + timedelta(days=draw.randint(1, 90))
    )
    return [
        ("visit_occurrence", start | moment("visit_start", later[0], draw)),
        (
            "visit_detail",
            {"visit_detail_id": number, "visit_occurrence_id": stay.visit_id, "care_site_id": 3}
            | moment("visit_detail_start", later[4], draw)
            | {"visit_detail_end_date": "2099-12-31"},
        ),
        ("note", note(number, number + 1, draw) | moment("note", later[0], draw)),
        ("note", note(stay.visit_id, number + 2, draw) | moment("note", later[1], draw)),
        ("condition_occurrence", code(number, number + 1, later[0])),
        ("condition_occurrence", code(stay.visit_id, number + 2, any_day)),
        ("condition_occurrence", code(number + 3, number + 4, later[2] + timedelta(days=1))),
        ("notecast_claim", claim(stay.visit_id, number, any_day)),
        ("notecast_claim", claim(number + 3, number + 1, later[3] + timedelta(days=1))),
        ("death", moment("death", later[3], draw)),
    ]


def moment(column: str, time: datetime, draw: random.Random) -> dict[str, Any]:
    """`time`, or the day after without a time."""
    timed = draw.random() < 0.7
    day = time if timed else time + timedelta(days=1)
    return {f"{column}_date": f"{day:%Y-%m-%d}", f"{column}_datetime": f"{time}" if timed else None}


def visit(number: int, kind: int, start: datetime, end: datetime) -> dict[str, Any]:
    times = {f"visit_{name}_datetime": str(at) for name, at in (("start", start), ("end", end))}
    days = {f"visit_{name}_date": f"{at:%Y-%m-%d}" for name, at in (("start", start), ("end", end))}
    where = {"visit_concept_id": kind, "discharged_to_concept_id": 581476}
    return {"visit_occurrence_id": number, **times, **days, **where}


def note(of: int, number: int, draw: random.Random) -> dict[str, Any]:
    kind = {"note_class_concept_id": draw.choice([44814637, 44814638, 44814639])}
    text = {"note_title": draw.choice(["Addendum", None]), "note_text": "a later note"}
    return {"note_id": number, "visit_occurrence_id": of, **kind, **text}


def code(of: int, number: int, day: datetime) -> dict[str, Any]:
    written = {"condition_start_date": f"{day:%Y-%m-%d}", "condition_source_value": "C78.7"}
    return {"condition_occurrence_id": number, "visit_occurrence_id": of, **written}


def claim(of: int, number: int, day: datetime) -> dict[str, Any]:
    told = {"submitted_date": f"{day:%Y-%m-%d}", "status": "final, adverse determination"}
    return {"claim_id": number, "visit_occurrence_id": of, **told}
