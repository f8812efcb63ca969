"""Assemble the dataset of a task: one file a part, with keys, label and what a model reads (tokens, text, features).

A part's manifest covers only the columns that the task uses and only its own rows: data added to another part, or to
another task, leave it equal, and what was trained on it stays. Classes are counted in the parts of `counted`: in
development nothing is known of the test parts' outcomes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib import shards, stage

KEYS = ["visit_id", "note_id", "person_id", "index_time", "label"]


def columns_of(schema: pa.Schema, encoding: str) -> list[pa.Field]:
    """The fields that a model reads from a shard with this schema."""
    wanted = {"tokens": ["input_ids"], "text": ["text"]}.get(encoding)
    names = wanted or sorted(name for name in schema.names if name.startswith("feature_"))
    if not names:
        raise stage.StageError("the labels query has no feature_* column; a structured baseline needs at least one")
    return [schema.field(name) for name in names]


def rows_of(shard: Path, rows: pa.Table, fields: list[pa.Field]) -> Iterator[pa.Table]:
    """The rows of `rows` (one window, eligible) with their columns from `shard`, in the shard's order."""
    read = shards.iter_arrow if shard.suffix == ".arrow" else shards.iter_parquet
    found = 0
    for batch in read(shard, ["visit_id", *(f.name for f in fields)]):
        position = pc.index_in(batch["visit_id"], rows["visit_id"].combine_chunks())
        here = pc.is_valid(position)
        chosen = rows.take(position.filter(here))
        found += chosen.num_rows
        for f in fields:
            chosen = chosen.append_column(f, batch[f.name].filter(here))
        yield chosen
    if found != rows.num_rows:
        raise stage.StageError(f"{shard.name} lacks {rows.num_rows - found} of {rows.num_rows} eligible stays")


def main(job: stage.Job) -> None:
    encoding, parts = job.settings["encoding"], job.settings["parts"]
    eligible = shards.read_parquet(job.path("rows"), ["window", "part", *KEYS])
    eligible = eligible.filter(pc.is_valid(eligible["part"]))
    first = job.paths("shards")[0]
    schema_of = shards.arrow_schema if first.suffix == ".arrow" else shards.parquet_schema
    fields = columns_of(schema_of(first), encoding)
    schema = pa.schema([*(eligible.schema.field(name) for name in KEYS), *fields])
    classes: dict[str, Counter[Any]] = {part: Counter() for part in parts}
    datasets = dict(zip(parts, job.paths("datasets"), strict=True))
    compression = None if encoding == "tokens" else "zstd"
    with ExitStack() as stack:
        writers = {
            part: stack.enter_context(shards.ArrowWriter(path, schema, compression)) for part, path in datasets.items()
        }
        windows = eligible["window"].unique().to_pylist()
        by_name = {path.name.split(".")[0]: path for path in job.paths("shards")}
        for window in windows:
            rows = eligible.filter(pc.equal(eligible["window"], window)).drop_columns(["window"])
            for table in rows_of(by_name[window], rows, fields):
                for part in parts:
                    chosen = table.filter(pc.equal(table["part"], part)).select(schema.names)
                    writers[part].write(chosen)
                    classes[part].update(chosen["label"].to_pylist())
    for part, manifest in zip(parts, job.paths("manifests"), strict=True):
        by_class = {str(k): n for k, n in sorted(classes[part].items())}
        counts = {"classes": by_class if part in job.settings["counted"] else None}
        rows_written = sum(classes[part].values())
        shards.write_json(manifest, shards.manifest([datasets[part]], rows_written, schema, counts=counts))
    job.say(", ".join(f"{part} {sum(classes[part].values())}" for part in parts))


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["rows", "shards*"], outputs=["manifests*", "datasets*"])
