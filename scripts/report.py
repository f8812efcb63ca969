"""Write the run's report: the table that the terminal shows, the same as CSV, and one self-contained page.

Inputs, each in the order of the settings' tasks: compare's tables, cohort flows, leakage certificates, and the headline
part's predictions of one fit, which say on which rows the models were scored; and the cohorts' inventories. With the
demo's oracle (the only stage that reads it) the table also says what the true risk reaches on those rows. Every other
number is taken from a file.
"""

import csv
from collections.abc import Mapping
from typing import Any

from lib import oracle, page, predictions, shards, stage, summary
from lib.files import write_text


def main(job: stage.Job) -> None:
    settings = job.settings
    tasks = settings["tasks"]
    tables, flows, certificates = (
        [shards.read_json(path) for path in job.paths(name)] for name in ("tables", "flows", "leakage")
    )
    files = {"tables": tables, "flows": flows, "leakage": certificates, "predictions": job.paths("predictions")}
    for name, given in files.items():
        if len(given) != len(tasks):
            raise stage.StageError(f"{len(given)} {name} files for {len(tasks)} tasks")
    truth = [shards.read_parquet(path) for path in job.paths("oracle")]
    results = []
    for task, table, flow, certificate, path in zip(
        tasks, tables, flows, certificates, job.paths("predictions"), strict=True
    ):
        _check(task, table, flow, certificate, settings["headline"])
        ceiling, other = None, False
        if truth:
            rows = predictions.read(path, task["classes"])
            ceiling = oracle.auroc(truth[0], task, rows, table["macro_classes"])
            other = ceiling is None and not oracle.knows(truth[0], task, rows)
        results.append(summary.Result(task, table, flow, certificate, ceiling, other))
    with_oracle = any(result.ceiling is not None for result in results)
    write_text(job.path("summary"), summary.text(settings, results, with_oracle))
    with shards.atomic(job.path("csv")) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(summary.records(results, with_oracle))
    releases = {path.stem: shards.read_json(path)["releases"] for path in job.paths("inventories")}
    write_text(job.path("page"), page.page(settings, results, with_oracle, releases))


def _check(
    task: Mapping[str, Any],
    table: Mapping[str, Any],
    flow: Mapping[str, Any],
    certificate: Mapping[str, Any],
    headline: str,
) -> None:
    """StageError unless the files are of this task and of the headline part."""
    for name, given in (("flow", flow), ("certificate", certificate)):
        if given["task"] != task["name"]:
            raise stage.StageError(f"task {task['name']}: its {name} file is of another task")
    if table["task"]["class_names"] != task["class_names"]:
        raise stage.StageError(f"task {task['name']}: its table has other classes; compare again")
    if table["part"] != headline:
        raise stage.StageError(f"task {task['name']}: its table is not of the headline part, {headline}")


if __name__ == "__main__":
    stage.run(
        main,
        __doc__,
        inputs=["tables*", "flows*", "leakage*", "predictions*", "inventories*", "oracle*"],
        outputs=["summary", "csv", "page"],
    )
