"""Compare the models of one task on the same rows: a table as JSON and as CSV.

Inputs: for each fit, in the order of settings["fits"], its predictions of the headline part and its evaluate JSON.
Settings: task (as evaluated, with its name and title), fits [{model, kind, size, seed, control}], headline (a part),
reference (a model's name, or null), replicates, seed, and optional workers (which changes no value).

The JSON (of class aggregate): task, part, metric, macro_classes, reference, replicates, seed, n_rows, n_persons,
n_events {class: n}, prevalence, and rows, one a model and training size in the order of the fits:
 model, kind, size, control (true: fitted to shuffled labels)
 seeds            [{seed, auroc}]
 auroc            {value, low, high, left_out}: mean over the seeds; the interval is over patients, of that mean (a
                  control's: over patients and permutations)
 auroc_sd         {value}: standard deviation over the seeds, null (reason) with one
 difference       {value, low, high, left_out}: to the reference of the same size, from the same draws; null (reason)
                  for the reference itself
 auprc, brier_scaled, log_loss, oe_ratio, calibration_intercept, calibration_slope, ici
                  mean over the seeds of what evaluate wrote; null where a seed, or the task, has none
"""

import csv

from lib import predictions, shards, stage
from lib.comparison import Fit, compare, flat


def main(job: stage.Job) -> None:
    """Read the fits, compare them, write the table twice."""
    settings = {"workers": job.neutral.get("workers", 1)} | job.settings
    files, metrics = job.paths("predictions"), job.paths("metrics")
    task, facts, headline = settings["task"], settings["fits"], settings["headline"]
    if not len(facts) == len(files) == len(metrics) or not facts:
        raise stage.StageError(f"{len(facts)} fits, {len(files)} prediction files, {len(metrics)} metrics files")
    evaluated = [shards.read_json(path) for path in metrics]
    min_cell = evaluated[0]["settings"]["min_cell"]
    for fact, one in zip(facts, evaluated, strict=True):
        if one["settings"]["min_cell"] != min_cell or any(task.get(key) != value for key, value in one["task"].items()):
            raise stage.StageError(f"{fact['model']}: evaluated as another task or with another min_cell")
        if headline not in one["parts"]:
            raise stage.StageError(f"{fact['model']}: its metrics have no part {headline}; evaluate it again")
    fits = [
        Fit(fact, predictions.read(path, int(task["classes"])), one["parts"][headline])
        for fact, path, one in zip(facts, files, evaluated, strict=True)
    ]
    job.say(f"{len(fits)} fits on {fits[0].rows.rows} rows of {headline}")
    table = compare(fits, task, min_cell, settings)
    with shards.atomic(job.path("csv")) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(flat(table))
    shards.write_json(job.path("table"), table)


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["predictions*", "metrics*"], outputs=["table", "csv"])
