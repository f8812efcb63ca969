"""The point-in-time replay: take from a copy of the database what was not known, and see that no input changes.

Of sampled stays, one a patient, every fact after the index time is deleted, what was open then is open again, and the
stay's own diagnoses and claims go (`point_in_time` says which these are). The queries run again; texts, index times and
features have to come out the same. Only SQLite: another source brings its own `copied` and `forget`.
"""

import heapq
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lib import shards, sqltext, warehouse
from lib.disclosure import suppress
from lib.splits import uniform
from lib.stage import StageError

BACKUP_PAGES = 10_000  # copied at a time; a signal is heard in between


class Stay(NamedTuple):
    visit_id: Any
    person_id: Any
    index_time: datetime
    window: str


Rows = dict[Any, dict[Any, dict[str, Any]]]  # by stay, then by note (of labels: by stay), then by column
Found = dict[str, set[Any]]  # by column: the stays in which it differs


def sample(labels: Iterable[tuple[str, Path]], stays: int, seed: int) -> list[Stay]:
    """At most `stays` stays that have an index time, one a patient, from the labels shards of (window, path).

    Patients, and then each one's stay, are those of the smallest keyed hash: neither windows nor order matter.
    """
    salt = f"replay {seed}"
    drawn: dict[Any, tuple[float, float, Stay]] = {}
    for window, path in labels:
        for batch in shards.iter_parquet(path, ["visit_id", "person_id", "index_time"]):
            for visit, person, now in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if now is not None:
                    found = (uniform(person, salt), uniform(visit, salt), Stay(visit, person, now, window))
                    drawn[person] = min(drawn.get(person, found), found)
            # Whoever is not among the smallest now never will be.
            drawn = dict(heapq.nsmallest(stays, drawn.items(), key=lambda item: item[1]))
    return [stay for _, _, stay in drawn.values()]


@contextmanager
def copied(source: Path, folder: Path) -> Iterator[Path]:
    """A copy of the SQLite file `source` in `folder`, which is made for it and removed whatever happens (of a process
    that was killed, by the next). `source` is only read. SIGTERM ends the process as an exception, so that this holds.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        copy = folder / "copy.sqlite"
        with warehouse.connect(source) as original, closing(sqlite3.connect(copy)) as target:
            assert isinstance(original, sqlite3.Connection)  # the stage sees to it
            try:
                original.backup(target, pages=BACKUP_PAGES)
            except sqlite3.Error as error:
                kind = getattr(error, "sqlite_errorname", type(error).__name__)
                raise StageError(f"{source.name} cannot be copied to private_root ({kind}): is there room?") from None
        yield copy
    finally:
        shutil.rmtree(folder)
        signal.signal(signal.SIGTERM, before)


def forget(
    database: Path, stays: Sequence[Stay], facts: Sequence[dict[str, Any]], data_end: str
) -> dict[str, dict[str, int]]:
    """Take from `database`, a copy, what was not known of the patients of `stays` (one a patient) at the index times.

    Returns how many rows were "deleted" and "reopened", by table; a table that the database lacks is not among them.
    """
    gone: dict[str, dict[str, int]] = {"deleted": {}, "reopened": {}}
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # nobody needs a half-forgotten copy
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TEMP TABLE replayed (its_person, its_visit, its_now TEXT, its_data_end TEXT)")
        connection.execute("CREATE INDEX temp.replayed_by_person ON replayed (its_person)")
        told = [(stay.person_id, stay.visit_id, str(stay.index_time), data_end) for stay in stays]
        connection.executemany("INSERT INTO temp.replayed VALUES (?, ?, ?, ?)", told)
        there = {name.lower() for (name,) in connection.execute("SELECT name FROM main.sqlite_master")}
        for fact in facts:
            table = fact["table"]
            for what, statement in statements(fact) if table.lower() in there else ():
                gone[what][table] = gone[what].get(table, 0) + _executed(connection, statement, table)
    return gone


def statements(fact: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """("deleted", DELETE) and ("reopened", UPDATE), as far as the fact has them; temp.replayed has a row a patient."""
    table, person = f'main."{fact["table"]}"', _of_replayed(fact["patient"])
    # IN lets the database use an index on the patient, and compares as the types of the two sides ask.
    chosen = f"({person}) IN (SELECT its_person FROM temp.replayed) AND EXISTS"
    own = f"FROM temp.replayed WHERE its_person = ({person})"
    deleted = [f"({_of_replayed(fact[why])})" for why in ("later", "coding") if fact[why]]
    if deleted:
        yield "deleted", f"DELETE FROM {table} WHERE {chosen} (SELECT 1 {own} AND ({' OR '.join(deleted)}))"
    if fact["reopened"]:
        new = [f'"{name}" = (SELECT {_of_replayed(to)} {own})' for name, to in fact["reopened"]["set"].items()]
        when = _of_replayed(fact["reopened"]["when"])
        yield "reopened", f"UPDATE {table} SET {', '.join(new)} WHERE {chosen} (SELECT 1 {own} AND ({when}))"


def _of_replayed(expression: str) -> str:
    """`:now` and its like as columns of temp.replayed."""
    return "".join(f"its_{t[1:]}" if kind == "parameter" else t for kind, t in sqltext.tokens(expression))


def _executed(connection: sqlite3.Connection, statement: str, table: str) -> int:
    try:
        return connection.execute(statement).rowcount
    except (sqlite3.Error, sqlite3.Warning) as error:
        said = warehouse.explained(error, statement)
        raise StageError(f"point_in_time.yaml, table {table}: {said}") from None


def unknown_tables(read: Iterable[str], known: dict[str, Any]) -> list[str]:
    """Tables among `read` (lower case) of which `known`, a point_in_time.yaml, says nothing."""
    named = {name.lower() for name in (*known["timeless"], *(fact["table"] for fact in known["facts"]))}
    return sorted(set(read) - named)


def rows_of(batches: Iterable[pa.RecordBatch], stays: Sequence[Stay]) -> Rows:
    """The rows that belong to `stays`."""
    found: Rows = {}
    visits = [stay.visit_id for stay in stays]
    for batch in batches:
        chosen = pc.is_in(batch["visit_id"], value_set=pa.array(visits, batch["visit_id"].type))
        for row in batch.filter(chosen).to_pylist():
            found.setdefault(row["visit_id"], {})[row.get("note_id", row["visit_id"])] = row
    return found


def differences(before: Rows, after: Rows, key: str, columns: Iterable[str]) -> Found:
    """By column, the stays in which it differs; by `key` (note_id, visit_id) those of which a row came or went."""
    found: Found = {key: set()} | {column: set() for column in columns}
    for visit in before.keys() | after.keys():
        one, two = before.get(visit, {}), after.get(visit, {})
        if one.keys() != two.keys():
            found[key].add(visit)
        for row in one.keys() & two.keys():
            for column, stays in found.items():
                if one[row][column] != two[row][column]:
                    stays.add(visit)
    return found


def compared(names: Sequence[str]) -> tuple[str, list[str]]:
    """The key and the input columns of a query that returns the columns `names`."""
    if "note_id" in names:
        return "note_id", list(names)
    return "visit_id", ["index_time", *(name for name in names if name.startswith("feature_"))]


def labels_changed(before: Rows, after: Rows, names: Sequence[str]) -> Found:
    """By label, the stays whose label or reason is another one."""
    found = differences(before, after, "visit_id", [n for n in names if n.startswith(("label_", "reason_"))])
    labels = [name.removeprefix("label_") for name in names if name.startswith("label_")]
    return {name: found[f"label_{name}"] | found[f"reason_{name}"] for name in labels}


def counted(found: Found, stays: int, min_cell: int) -> dict[str, int | None]:
    """How many of `stays` patients each set holds; None where that, or the rest, is a small cell."""
    return {name: suppress([len(held), stays - len(held)], min_cell)[0] for name, held in found.items()}


def certificate(cohort: str, seed: int, verdict: str, detail: str, **counts: Any) -> dict[str, Any]:
    """What the command writes; what could not be counted is null, never zero."""
    names = ("stays", "facts_deleted", "facts_reopened", "differences", "labels_changed")
    empty: dict[str, Any] = dict.fromkeys(names)
    return {"cohort": cohort, "seed": seed, "verdict": verdict, "detail": detail} | empty | counts
