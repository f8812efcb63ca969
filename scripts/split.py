"""Assign the stays of one window to parts: train, tuning, calibration, test by a keyed hash of the patient.

Stays from `temporal_from` on are the temporal test whoever the patient is; `key_part` keeps the patient's own part.
"""

from collections import Counter
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lib import shards, splits, stage


def main(job: stage.Job) -> None:
    settings = job.settings
    begins = datetime.fromisoformat(settings["temporal_from"]) if settings["temporal_from"] else datetime.max
    labels = shards.read_parquet(job.path("labels"), ["visit_id", "person_id", "anchor_time", "index_time"])
    key_parts = [splits.part_of(p, settings["salt"], settings["parts"]) for p in labels["person_id"].to_pylist()]
    times = pc.coalesce(labels["index_time"], labels["anchor_time"]).to_pylist()
    parts = [splits.TEMPORAL if time >= begins else part for time, part in zip(times, key_parts, strict=True)]
    table = pa.table(
        {
            "visit_id": labels["visit_id"],
            "person_id": labels["person_id"],
            "part": pa.array(parts, pa.string()),
            "key_part": pa.array(key_parts, pa.string()),
        }
    )
    shards.write_parquet(job.path("shard"), table.schema, [table])
    counts = {"stays": dict(Counter(parts))}
    shards.write_json(
        job.path("manifest"), shards.manifest([job.path("shard")], table.num_rows, table.schema, counts=counts)
    )


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["labels"], outputs=["shard", "manifest"])
