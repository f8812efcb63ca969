"""Decide who is in for a task: one row for every stay of its cohort, with its part or the reason it falls out."""

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from lib import eligibility, shards, stage


def main(job: stage.Job) -> None:
    settings = dict(job.settings)
    windows = settings.pop("windows")
    rules = eligibility.Rules(**settings)
    label_columns = ["visit_id", "anchor_time", "index_time", f"label_{rules.label}", f"reason_{rules.label}"]
    columns = {
        "labels": label_columns,
        "split": ["visit_id", "person_id", "part"],
        "clean": ["visit_id", "note_id", "text_hash"],
        "dropped": ["visit_id", "reason"],
    }
    if rules.temporal_periods:
        rules.tell_temporal(_temporal(job))
    first = shards.parquet_schema(job.paths("labels")[0])
    missing = [name for name in label_columns if name not in first.names]
    if missing:
        raise stage.StageError(f"the labels query has no column {', '.join(missing)}; the task's label names it")
    identity = first.field("visit_id").type
    patient = shards.parquet_schema(job.paths("split")[0]).field("person_id").type
    schema = eligibility.schema(identity, patient)
    counts: Counter[str] = Counter()

    def batches() -> Iterator[pa.RecordBatch]:
        for i, window in enumerate(windows):
            tables = {name: shards.read_parquet(job.paths(name)[i], wanted) for name, wanted in columns.items()}
            rows = list(eligibility.decide(rules, window, tables))
            counts.update(row["part"] or f"{row['step']}: {row['reason']}" for row in rows)
            yield pa.RecordBatch.from_pylist(rows, schema)

    total = shards.write_parquet(job.path("rows"), schema, batches())
    shards.write_json(
        job.path("manifest"), shards.manifest([job.path("rows")], total, schema, counts={"stays": dict(counts)})
    )
    job.say(f"{total} stays: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))


def _temporal(job: stage.Job) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Of each window what tells who is in the temporal test, and since when."""
    for labels, split in zip(job.paths("labels"), job.paths("split"), strict=True):
        told = ["visit_id", "anchor_time", "index_time", "split_period"]
        yield shards.read_parquet(labels, told), shards.read_parquet(split, ["visit_id", "person_id", "part"])


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["labels*", "split*", "clean*", "dropped*"], outputs=["rows", "manifest"])
