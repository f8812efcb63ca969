"""Score one model: its prediction files to one JSON of measures, intervals, curves and a frozen threshold.

Inputs: one Parquet file of predictions a part, in the order of settings["parts"]. Only the parts given are looked at;
in development that is tuning and calibration. Settings: task {kind, classes, class_names, ordered}, parts,
replicates, slope_replicates, seed, target_sensitivity, min_cell, and optional workers (which changes no value).

The JSON (of class aggregate):

task, settings    as given, with min_events: fewer events or non-events than this, and a measure is null
threshold         part, target_sensitivity and value: chosen on the calibration part, frozen for all others. With
                  several classes `classes` and `cuts` hold {name: {value}} instead. reason where value is null
parts             part name -> block. temporal_test has all its rows; temporal_test_unseen those of patients without a
                  row in the model's training set (no curves, no operating table). tuning: counts and auroc, no interval
recalibration     method (platt, temperature), parameters, parts {name: {before, after}}: points; null = not possible

A block has n_rows, n_persons, suppressed (a count below min_cell, or one that gives it away, is null), and
 binary           the question's own keys (below)
 several classes  n_events {class: n}, auroc (mean over macro_classes of one-vs-rest), macro_classes, brier (0..2),
                  brier_scaled, log_loss; classes {name: question}; ordered ones also cuts {"> name": question}
A question has n_events, prevalence, suppressed, and the measures auroc, auprc (read it beside prevalence),
 brier_scaled, log_loss, oe_ratio, calibration_intercept, calibration_slope, ici, e50, e90;
 operating        threshold and the measures sensitivity, specificity, ppv, npv, alerts_per_100,
                  number_needed_to_evaluate; null without a threshold
 curves           roc {fpr}, precision_recall {recall}, calibration {n, mean}, smooth {predicted}, net_benefit
                  {threshold, all, none}, each with value, low, high at these points; histogram {edges, events, others}
A measure is {value, low, high, left_out}: a 95 % percentile interval over patients and the replicates that had no
value; where value or low and high are null, reason says why.
"""

import json

from lib import predictions, stage
from lib.estimates import one_line_lists
from lib.evaluation import evaluate
from lib.files import write_text


def main(job: stage.Job) -> None:
    """Read the parts, score them, write the JSON."""
    settings, files = {"workers": job.neutral.get("workers", 1)} | job.settings, job.paths("predictions")
    names = settings["parts"]
    if len(names) != len(files) or len(set(names)) != len(names):
        raise stage.StageError(f"{len(files)} prediction files for {len(names)} parts ({', '.join(names)})")
    classes = int(settings["task"]["classes"])
    parts = [(name, predictions.read(path, classes)) for name, path in zip(names, files, strict=True)]
    for name, part in parts:
        job.say(f"{name}: {part.rows} rows")
    text = json.dumps(evaluate(parts, settings), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(job.path("metrics"), one_line_lists(text) + "\n")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["predictions*"], outputs=["metrics"])
