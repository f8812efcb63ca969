"""Clean the texts of one window: the configured steps over every note, then one text a stay.

Every note and every stay that falls out is counted under its reason; of identical texts the earliest is kept.
Memory holds a batch of texts and, for the duplicates, 16 bytes a stay.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib import cleaning, shards, stage


class Window:
    """The stays of a window on their way through the steps, and what fell out of it."""

    def __init__(self, settings: dict[str, Any], text: Path) -> None:
        self.settings = settings
        self.text = text
        self.steps = cleaning.load_steps(settings["steps"])
        self.notes: Counter[str] = Counter({"in": 0, "addenda merged": 0})
        self.dropped: dict[Any, tuple[Any, str]] = {}  # visit_id: (person_id, reason)
        self.copies = {"same patient": 0, "another patient": 0}  # identical texts dropped, by whose text was kept
        self.earliest: dict[bytes, tuple[Any, Any, Any]] = {}  # text hash: (index_time, note_id, person_id)

    def stays(self) -> Iterator[dict[str, Any]]:
        """One row a stay that keeps a text, in the order of the extract."""
        for visit_id, rows in groupby(self._rows(), key=itemgetter("visit_id")):
            notes, reasons = [], []
            for row in rows:
                person_id = row["person_id"]
                self.notes["in"] += 1
                text, reason = cleaning.clean_text(row["text"], self.steps)
                if reason:
                    self.notes[f"dropped: {reason}"] += 1
                    reasons.append((row["note_role"] != "note", reason))
                    continue
                fields = {name: row[name] for name in ("note_id", "person_id", "index_time", "note_time")}
                notes.append(cleaning.Note(**fields, role=row["note_role"], text=text))
            note, merged = cleaning.one_text(notes, self.settings["notes"], self.settings["addenda"])
            self.notes["addenda merged"] += merged
            if note is None:
                # The stay goes under the reason of its own note, not of an addendum.
                self.dropped[visit_id] = person_id, min(reasons, default=(True, "only addenda"))[1]
                continue
            digest = hashlib.blake2b(note.text.encode(), digest_size=16).digest()
            first = (note.index_time, note.note_id, note.person_id)
            self.earliest[digest] = min(self.earliest.get(digest, first), first)
            yield {
                "visit_id": visit_id,
                "note_id": note.note_id,
                "person_id": note.person_id,
                "index_time": note.index_time,
                "text": note.text,
                "text_hash": digest,
            }

    def _rows(self) -> Iterator[dict[str, Any]]:
        for batch in shards.iter_parquet(self.text):
            yield from batch.to_pylist()

    def without_duplicates(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that are the earliest of their text; the others are counted as dropped."""
        columns = (batch[name].to_pylist() for name in ("visit_id", "text_hash", "index_time", "note_id", "person_id"))
        keep = []
        for visit_id, digest, index_time, note_id, person_id in zip(*columns, strict=True):
            *first, owner = self.earliest[digest]
            keep.append(first == [index_time, note_id])
            if not keep[-1]:
                self.dropped[visit_id] = person_id, "duplicate text"
                self.copies["same patient" if person_id == owner else "another patient"] += 1
        return batch.filter(pa.array(keep, pa.bool_()))


def batches(rows: Iterator[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    pending: list[dict[str, Any]] = []
    for row in rows:
        pending.append(row)
        if len(pending) == shards.ROW_GROUP_ROWS:
            yield pa.RecordBatch.from_pylist(pending, schema)
            pending = []
    if pending:
        yield pa.RecordBatch.from_pylist(pending, schema)


def main(job: stage.Job) -> None:
    window = Window(job.settings, job.path("text"))
    extract = shards.parquet_schema(job.path("text"))
    schema = pa.schema(
        [extract.field(name).remove_metadata() for name in ("visit_id", "note_id", "person_id", "index_time")]
        + [pa.field("text", pa.string()), pa.field("text_hash", pa.binary(16))]
    )
    shard, dropped = job.path("shard"), job.path("dropped")
    if job.settings["drop_duplicates"]:
        # The earliest copy may come last in the order of the shard: write all, then keep the earliest.
        with shards.scratch(shard) as every:
            shards.write_parquet(every, schema, batches(window.stays(), schema))
            kept = (window.without_duplicates(batch) for batch in shards.iter_parquet(every))
            rows = shards.write_parquet(shard, schema, kept)
    else:
        rows = shards.write_parquet(shard, schema, batches(window.stays(), schema))
    gone = pa.table(
        {
            "visit_id": pa.array(list(window.dropped), schema.field("visit_id").type),
            "person_id": pa.array([person for person, _ in window.dropped.values()], schema.field("person_id").type),
            "reason": pa.array([reason for _, reason in window.dropped.values()], pa.string()),
        }
    )
    gone = gone.take(pc.sort_indices(gone, [("visit_id", "ascending")]))
    shards.write_parquet(dropped, gone.schema, [gone])
    counts = {
        "notes": dict(window.notes),
        "stays": {"kept": rows, "dropped": dict(Counter(reason for _, reason in window.dropped.values()))},
        "copies": window.copies,
    }
    shards.write_json(job.path("manifest"), shards.manifest([shard, dropped], rows, schema, counts=counts))
    job.say(f"{window.notes['in']} notes in, {rows} stays with a text out, {len(window.dropped)} dropped")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["text"], outputs=["shard", "dropped", "manifest"])
