"""Count the cohort flow of a task: from all stays to the parts, with what fell out at each step and why.

Inputs: the task's eligibility rows; of its cohort, window by window, labels (groups and features), split and texts
(one row a note: only whose it is gets read).
"""

import pyarrow as pa

from lib import flow, shards, stage


def main(job: stage.Job) -> None:
    opened = job.settings["opened"]
    rows = shards.read_parquet(job.path("rows"), ["window", "visit_id", "person_id", "step", "reason", "part", "label"])
    names = shards.parquet_schema(job.paths("labels")[0]).names
    described = ["visit_id", *(name for name in names if name.startswith(("group_", "feature_")))]
    columns = {"labels": described, "split": ["visit_id", "part"], "texts": ["visit_id"]}
    tables = {
        name: pa.concat_tables([shards.read_parquet(path, wanted) for path in job.paths(name)])
        for name, wanted in columns.items()
    }
    stays = flow.stays_of(rows, **tables, opened=opened)
    opted_out = sum(shards.read_json(path)["counts"]["excluded"] for path in job.paths("extracts"))
    shards.write_json(job.path("flow"), flow.cohort_flow(stays, opted_out=opted_out, **job.settings))


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["rows", "labels*", "split*", "texts*", "extracts*"], outputs=["flow"])
