"""Compare a cohort's split with the ledger of all splits before, and enter what is new; who would move stops the run.

The ledger is a file of the folder `work` that outlives the run: <cohort>.<source>.parquet, and beside it, in
<cohort>.<source>.jsonl, when it changed and by how much. The manifest says what the split is today, not how it came.
"""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from lib import ledger, shards, stage


def main(job: stage.Job) -> None:
    settings = job.settings
    today = _today(job.paths("split"), settings["windows"])
    cohort = job.path("manifest").stem
    path = job.path("work") / f"{cohort}.{settings['source']}.parquet"
    if path.is_file():
        known = shards.read_parquet(path)
        if known.schema.field("person_id").type != today.schema.field("person_id").type:
            raise stage.StageError(f"{path.name} holds keys of another type; was split_key added? Move it aside")
        changes = ledger.compare(known, today, settings["tolerance"], path.name)
    else:
        known = today.slice(0, 0)
        changes = ledger.Changes(today.num_rows, 0, 0, 0, 0, 0, 0)
    if changes.any():
        table = ledger.joined(known, today)
        shards.append_json(path.with_suffix(".jsonl"), {"date": f"{datetime.now(UTC):%Y-%m-%d}"} | changes.facts())
        shards.write_parquet(path, table.schema, [table])
    told = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in changes.facts().items() if n)
    job.say(told or "no stay")
    parts = Counter(zip(today["person_id"].to_pylist(), today["key_part"].to_pylist(), strict=True))
    patients = dict(sorted(Counter(part for _, part in parts).items()))
    shards.write_json(job.path("manifest"), {"stays": today.num_rows, "patients": patients})


def _today(split: list[Path], spans: dict[str, str]) -> pa.Table:
    tables = []
    for path in split:
        table = shards.read_parquet(path, ["visit_id", "person_id", "key_part"])
        tables.append(table.append_column("span", pa.array([spans[path.stem]] * table.num_rows, pa.string())))
    return pa.concat_tables(tables)


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["split*", "work"], outputs=["manifest"])
