"""Count the cohort flow of a task: from all stays to the parts, with what fell out at each step and why."""

from lib import flow, shards, stage


def main(job: stage.Job) -> None:
    opted_out = sum(shards.read_json(path)["counts"]["excluded"] for path in job.paths("extracts"))
    rows = shards.read_parquet(job.path("rows"), ["person_id", "step", "reason", "part", "label"])
    shards.write_json(job.path("flow"), flow.cohort_flow(rows, opted_out=opted_out, **job.settings))


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["rows", "extracts*"], outputs=["flow"])
