"""Assign the stays of one window to parts: train, tuning, calibration, test by a keyed hash of the patient.

The patient is who `split_key` says, where the labels query has that column, else person_id: in the split and in all
that follows `person_id` is that key. Stays from `temporal_from` on are the temporal test whoever the patient is, or,
where dates are shifted, those whose `split_period` is one of `temporal_periods`; `key_part` keeps the patient's own
part.
"""

import os
from collections import Counter
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lib import shards, splits, stage


def main(job: stage.Job) -> None:
    settings = job.settings
    key = "split_key" if "split_key" in shards.parquet_schema(job.path("labels")).names else "person_id"
    wanted = dict.fromkeys(["visit_id", "person_id", key, "anchor_time", "index_time"])
    labels = shards.read_parquet(job.path("labels"), list(wanted))
    patients = labels[key]
    _one_key_a_person(labels["person_id"], patients, job.path("labels").name)
    salt = splits.salt_of(settings, os.environ)
    key_parts = [splits.part_of(patient, salt, settings["parts"]) for patient in patients.to_pylist()]
    temporal = _of_period(job) if settings["temporal_periods"] else _from_day(labels, settings["temporal_from"])
    parts = [splits.TEMPORAL if later else part for later, part in zip(temporal, key_parts, strict=True)]
    table = pa.table(
        {
            "visit_id": labels["visit_id"],
            "person_id": patients,
            "part": pa.array(parts, pa.string()),
            "key_part": pa.array(key_parts, pa.string()),
        }
    )
    shards.write_parquet(job.path("shard"), table.schema, [table])
    counts = {"stays": dict(Counter(parts))}
    shards.write_json(
        job.path("manifest"), shards.manifest([job.path("shard")], table.num_rows, table.schema, counts=counts)
    )


def _from_day(labels: pa.Table, day: str | None) -> list[bool]:
    """Whether each stay is of the temporal test, which begins on `day`."""
    begins = datetime.fromisoformat(day) if day else datetime.max
    return [time >= begins for time in pc.coalesce(labels["index_time"], labels["anchor_time"]).to_pylist()]


def _of_period(job: stage.Job) -> list[bool]:
    """Whether each stay is of the temporal test, by the period that the labels query gives it."""
    path, periods = job.path("labels"), job.settings["temporal_periods"]
    if "split_period" not in shards.parquet_schema(path).names:
        raise stage.StageError(f"{path.name}: split.temporal_periods needs a column split_period; add it to the query")
    return [period in periods for period in shards.read_parquet(path, ["split_period"])["split_period"].to_pylist()]


def _one_key_a_person(persons: pa.ChunkedArray, keys: pa.ChunkedArray, name: str) -> None:
    counted = pa.table({"person": persons, "key": keys}).group_by("person").aggregate([("key", "count_distinct")])
    several = pc.sum(pc.greater(counted["key_count_distinct"], 1)).as_py()
    if several:
        raise stage.StageError(f"{name}: {several} persons of the window have several split_key; give one a person")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["labels"], outputs=["shard", "manifest"])
