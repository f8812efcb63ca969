"""Run one query of a cohort for one window, check its columns against the contract, and write its rows as a shard.

settings: kind (text: one row a note | labels: one row a stay), sql (the query's file), sql_sha256 (its hash when the
job was planned), dialect (in which it is written), id_type (integer | text), window_start, window_end (half-open),
known_until (labels), parameters; release (a companion query, like sql); hospital (which one the demo generated).
Rows of patients in `exclusions` are left out, and counted. workflow/sql/README.md is the contract. Every fault is
counted to the end; then nothing is written and all are told. What was fetched is remembered in `fetched`, and compared
with what was there before.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import contract, optouts, shards, sqltext, stage, warehouse
from lib.fetched import Seen
from lib.files import append_json, discard

TIMES = ("window_start", "window_end", "known_until")


def main(job: stage.Job) -> None:
    opted_out = frozenset(optouts.read(job.path("exclusions")).to_pylist())
    fetched = job.path("fetched")

    def attempt() -> dict[str, Any]:
        # Asked before the rows: what comes in between is found by the next refresh.
        with warehouse.connect(job.path("database")) as connection:
            release = said(connection, job.settings.get("release"), {})
            asked_before = fingerprint(connection, job.settings)
        with asked(job.path("database"), job.settings, job.neutral, opted_out) as (extraction, tables):
            seen = extraction.seen = Seen(extraction.keys, extraction.schema.names)
            rows = shards.write_parquet(job.path("shard"), extraction.schema, tables)
        changes = seen.changes(fetched)
        if changes and any(changes.values()):
            window = {"cohort": fetched.parent.name, "window": fetched.stem}
            append_json(fetched.parents[1] / "changes.jsonl", window | {"release": release} | changes)
        seen.write(fetched, asked_before)
        return {"rows": rows, "counts": extraction.counts(), "release": release, "changes": changes}

    try:
        done = warehouse.repeated(job.path("database"), attempt, job.say)
    finally:
        discard(job.path("shard"))
    since = ", ".join(f"{n} {what}" for what, n in (done["changes"] or {}).items() if n)
    job.say(f"{Path(job.settings['sql']).name}: {done['rows']} rows{f'; since the last time {since}' if since else ''}")
    schema = shards.parquet_schema(job.path("shard"))
    release = {"release": done["release"]} if done["release"] else {}
    shards.write_json(
        job.path("manifest"),
        shards.manifest([job.path("shard")], done["rows"], schema, counts=done["counts"], **release),
    )


@contextmanager
def asked(
    database: Path, settings: dict[str, Any], neutral: dict[str, Any], opted_out: frozenset[str] = frozenset()
) -> Iterator[tuple["Extraction", Iterator[pa.RecordBatch]]]:
    """The query of `settings` on its way out of `database`: what it will hold and count, and its rows, checked.

    `opted_out`: ids, as text, of patients whose rows are left out.
    """
    name, sql, parameters = query(settings)
    batch_rows = neutral.get("batch_rows", 1000)
    with warehouse.connect(database) as connection:
        found, batches = warehouse.stream(
            connection, sql, parameters, batch_rows, name, settings.get("dialect", "sqlite")
        )
        extraction = Extraction(name, found, settings, opted_out)
        yield extraction, extraction.tables(batches)


def said(connection: Any, query: dict[str, Any] | None, parameters: dict[str, Any]) -> list[dict[str, str]]:
    """What a companion query (sql, sql_sha256, dialect) answers, as text; nothing where there is none."""
    if query is None:
        return []
    path = Path(query["sql"])
    return _answer(connection, path.name, _read(path, query["sql_sha256"]), query, parameters)


def _answer(
    connection: Any, name: str, sql: str, query: dict[str, Any], parameters: dict[str, Any]
) -> list[dict[str, str]]:
    wanted = {name: parameters[name] for name in sqltext.parameters_of(sql) if name in parameters}
    names, batches = warehouse.stream(connection, sql, wanted, 100, name, query.get("dialect", "sqlite"))
    return [dict(zip(names, map(str, row), strict=True)) for batch in batches for row in batch]


def fingerprint(connection: Any, settings: dict[str, Any]) -> list[dict[str, str]] | None:
    """What tells that the window of `settings` has changed, by `<query>.fingerprint.sql`; None where there is none.

    It is neutral: another fingerprint query extracts nothing again.
    """
    path = Path(settings["sql"]).with_suffix(".fingerprint.sql")
    if not path.is_file():
        return None
    times = {name: settings[name] for name in TIMES if name in settings}
    return _answer(connection, path.name, path.read_text(encoding="utf-8"), settings, times)


def query(settings: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """(file name, SQL, parameters) of the query of `settings`."""
    path = Path(settings["sql"])
    sql = _read(path, settings["sql_sha256"])
    return path.name, sql, _parameters(settings, sql)


class BrokenRows(stage.StageError):
    """Rows break the contract: all of them were read, and what is wrong was counted."""


class Extraction:
    """One query's rows on their way from the database to the shard: converted, checked, counted."""

    def __init__(self, name: str, found: list[str], settings: dict[str, Any], opted_out: frozenset[str]) -> None:
        self._name = f"{name}, window {settings['window_start']} to {settings['window_end']}"
        self._found = found
        self._labels = settings["kind"] == "labels"
        ids = pa.int64() if settings["id_type"] == "integer" else pa.string()
        self._columns = contract.label_columns(found, ids) if self._labels else contract.text_columns(ids)
        faults = contract.column_faults(found, self._columns, self._labels)
        if faults:
            raise stage.StageError("\n  ".join([f"{name}: the columns are not the contract's", *faults]))
        self.schema = contract.schema(self._columns)
        patient = optouts.patient_column(found)
        assert patient is not None  # the contract has it
        self._patient, self._opted_out, self._excluded = found.index(patient), opted_out, 0
        window = (datetime.fromisoformat(settings["window_start"]), datetime.fromisoformat(settings["window_end"]))
        self._checks = contract.RowChecks(self._columns, window)
        self._faults = contract.Faults()
        self._counted: Counter[tuple[str, ...]] = Counter()
        self.keys = ("visit_id",) if self._labels else ("visit_id", "note_id")
        self.seen: Seen | None = None  # where the rows are to be remembered

    def tables(self, batches: Iterator[list[tuple[Any, ...]]]) -> Iterator[pa.RecordBatch]:
        """Record batches of ROW_GROUP_ROWS rows, whatever the size of the batches that come in.

        Raises BrokenRows at the end of the rows if any of them broke the contract.
        """
        for rows in _regrouped(self._kept(chain.from_iterable(batches)), shards.ROW_GROUP_ROWS):
            raw = dict(zip(self._found, zip(*rows, strict=True), strict=True))
            batch = {c.name: contract.convert(c, raw[c.name], self._faults) for c in self._columns}
            self._checks.check(batch, self._faults)
            self._count(batch)
            if self.seen is not None:
                self.seen.add(batch)
            yield pa.record_batch([pa.array(batch[field.name], field.type) for field in self.schema], self.schema)
        if self._faults:
            raise BrokenRows("\n  ".join([f"{self._name}: rows break the contract", *self._faults.tell()]))

    def counts(self) -> dict[str, Any]:
        """For the manifest: of notes roles, kinds of time and NULLs; of stays how many have each reason, by label.

        `excluded` are the rows (notes or stays) of patients who opted out, which are in no other count.
        """
        counted, stays = self._counted, {"stays": self._checks.stays, "excluded": self._excluded}
        if not self._labels:
            by_role = {role: counted["role", role] for role in ("note", "addendum")}
            nulls = {f"null_{name}": counted["null", name] for name in ("text", "note_time")}
            by_kind = {kind: counted["kind", kind] for kind in contract.NOTE_TIME_KINDS}
            return {**stays, "by_role": by_role, "by_time_kind": by_kind, **nulls}
        names = [name.removeprefix("label_") for name in self.schema.names if name.startswith("label_")]
        reasons = {n: {why: counted[n, why] for why in contract.REASONS if counted[n, why]} for n in names}
        labelled = {n: self._checks.stays - sum(reasons[n].values()) for n in names}
        return {**stays, "labelled": labelled, "reasons": reasons}

    def _kept(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            if self._opted_out and str(row[self._patient]) in self._opted_out:
                self._excluded += 1
            else:
                yield row

    def _count(self, batch: dict[str, list[Any]]) -> None:
        if not self._labels:
            self._counted.update(("role", role) for role in batch["note_role"])
            self._counted.update(("kind", kind) for kind in batch["note_time_kind"])
            for name in ("text", "note_time"):
                self._counted["null", name] += batch[name].count(None)
            return
        for name, values in batch.items():
            if name.startswith("reason_"):
                self._counted.update((name.removeprefix("reason_"), why) for why in values if why is not None)


def _read(path: Path, planned: str) -> str:
    """The query's text, if it is the one that the job was planned with."""
    if not path.is_file():
        raise stage.StageError(f"there is no query {path.name}: check the cohort's sql")
    try:
        today = sqltext.canonical_sql_hash(path)
    except sqltext.SqlError as error:
        raise stage.StageError(f"{path.name}: {error}") from None
    if today != planned:
        raise stage.StageError(f"{path.name} has changed since this job was planned: start the workflow again")
    return path.read_text(encoding="utf-8")


def _parameters(settings: dict[str, Any], sql: str) -> dict[str, Any]:
    """The cohort's parameters and the window; `known_until` is there for a labels query that wants it."""
    values = {name: settings[name] for name in ("window_start", "window_end")}
    if settings["kind"] == "labels" and "known_until" in sqltext.parameters_of(sql):
        values["known_until"] = settings["known_until"]
    taken = sorted(set(values) & set(settings["parameters"]))
    if taken:
        raise stage.StageError(f"parameters {', '.join(taken)} come from the window: give yours other names")
    return values | settings["parameters"]


def _regrouped(rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    """Lists of exactly `size` rows; the last may be shorter."""
    group = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["database", "exclusions", "fetched"], outputs=["shard", "manifest"])
