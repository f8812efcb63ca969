"""Assign the stays of one window to parts: train, tuning, calibration, test by a keyed hash of the patient.

The patient is who `split_key` says, where the labels query has that column, else person_id: in the split and in all
that follows `person_id` is that key. Stays from `temporal_from` on are the temporal test whoever the patient is;
`key_part` keeps the patient's own part.
"""

import os
from collections import Counter
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lib import shards, splits, stage


def main(job: stage.Job) -> None:
    settings = job.settings
    begins = datetime.fromisoformat(settings["temporal_from"]) if settings["temporal_from"] else datetime.max
    key = "split_key" if "split_key" in shards.parquet_schema(job.path("labels")).names else "person_id"
    wanted = dict.fromkeys(["visit_id", "person_id", key, "anchor_time", "index_time"])
    labels = shards.read_parquet(job.path("labels"), list(wanted))
    patients = labels[key]
    _one_key_a_person(labels["person_id"], patients, job.path("labels").name)
    salt = splits.salt_of(settings, os.environ)
    key_parts = [splits.part_of(patient, salt, settings["parts"]) for patient in patients.to_pylist()]
    times = pc.coalesce(labels["index_time"], labels["anchor_time"]).to_pylist()
    parts = [splits.TEMPORAL if time >= begins else part for time, part in zip(times, key_parts, strict=True)]
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


def _one_key_a_person(persons: pa.ChunkedArray, keys: pa.ChunkedArray, name: str) -> None:
    counted = pa.table({"person": persons, "key": keys}).group_by("person").aggregate([("key", "count_distinct")])
    several = pc.sum(pc.greater(counted["key_count_distinct"], 1)).as_py()
    if several:
        raise stage.StageError(f"{name}: {several} persons of the window have several split_key; give one a person")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["labels"], outputs=["shard", "manifest"])
