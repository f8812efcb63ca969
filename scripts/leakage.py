"""Certify a task against leakage: patients, stays and texts across parts, note times, temporal order.

A failed check stops the run here, before a GPU is asked for, and leaves no certificate.
"""

from lib import leakage, shards, stage


def main(job: stage.Job) -> None:
    rows = shards.read_parquet(job.path("rows"), ["visit_id", "person_id", "index_time", "part", "text_hash"])
    manifests = [shards.read_json(path) for path in job.paths("extracts")]
    certificate = leakage.certificate(rows, manifests, **job.settings)
    failed = [check for check in certificate["checks"] if check["verdict"] == "fail"]
    if failed:
        told = "; ".join(f"{check['check']}: {check['value']}, allowed {check['limit']}" for check in failed)
        raise stage.StageError(f"task {job.settings['task']} leaks; {told}")
    shards.write_json(job.path("certificate"), certificate)


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["rows", "extracts*"], outputs=["certificate"])
