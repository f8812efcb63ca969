"""Complete a task's leakage certificate: what was fitted has seen which rows, and how often the test was opened.

The file holds the checks of the data, as `leakage` made them before any training, and those of what was fitted; the
page shows both, and the ledger of openings, which is why it is not the same each time. A failed check leaves neither.

Settings: task {name, title}, evaluation, fits [{name, encoding, scratch}] in the order of `models` and `metrics`.
Inputs: the leakage certificate; the fits' manifests and evaluate's JSON; the tokenizers' manifests; the manifests of
the datasets' train and tuning parts; the ledger of openings, which need not be there.
"""

from lib import certificate, openings, shards, stage
from lib.files import write_text


def main(job: stage.Job) -> None:
    settings = job.settings
    fits = settings["fits"]
    names = [fit["name"] for fit in fits]
    parts: dict[str, dict[str, str]] = {}
    for path in job.paths("parts"):
        (file,) = shards.read_json(path)["files"].values()
        parts.setdefault(path.parent.name, {})[path.stem] = file["sha256"]
    fitted = certificate.Fitted(
        models=dict(zip(names, map(shards.read_json, job.paths("models")), strict=True)),
        parts={fit["name"]: parts[fit["encoding"]] for fit in fits},
        tokenizers={path.parent.name: shards.read_json(path) for path in job.paths("tokenizers")},
        evaluated=[shards.read_json(path) for path in job.paths("metrics")],
        starts={fit["name"]: fit["scratch"] for fit in fits},
    )
    data = shards.read_json(job.path("leakage"))
    whole = {"task": data["task"], "data": data["checks"], "fitted": list(certificate.checks(fitted))}
    failed = [check for check in whole["fitted"] if check["verdict"] == "fail"]
    if failed:
        told = "; ".join(f"{check['check']}: {check['value']}" for check in failed)
        raise stage.StageError(f"task {data['task']} leaks; {told}: train again from the datasets as they are")
    opened = [one for one in openings.summary(job.path("openings")) if one["task"] == data["task"]]
    write_text(job.path("page"), certificate.page(settings, whole, opened))
    shards.write_json(job.path("certificate"), whole | {"verdict": data["verdict"]})


if __name__ == "__main__":
    stage.run(
        main,
        __doc__,
        inputs=["leakage", "models*", "parts*", "tokenizers*", "metrics*", "openings"],
        outputs=["certificate", "page"],
    )
