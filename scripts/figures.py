"""Draw the figures of a task as SVG: ROC, precision-recall, calibration, decision curve, training, cohort flow.

Inputs are evaluate's JSON of every fit and finetune's histories, in the order of the settings' `fits` and
`history_fits`, compare's table and the cohort flow. Every number comes from these files.
"""

from lib import figures, shards, stage


def main(job: stage.Job) -> None:
    from lib.figure_calibration import calibration
    from lib.figure_curves import precision_recall, roc, utility
    from lib.figure_flow import flow
    from lib.figure_training import training

    settings = job.settings
    task, part, min_cell = settings["task"], settings["headline"], settings["min_cell"]
    metrics, histories = ([shards.read_json(path) for path in job.paths(name)] for name in ("metrics", "histories"))
    for name, files, fits in (("metrics", metrics, "fits"), ("histories", histories, "history_fits")):
        if len(files) != len(settings[fits]):
            raise stage.StageError(f"{len(files)} {name} files for {len(settings[fits])} {fits}")
    table, counted = shards.read_json(job.path("table")), shards.read_json(job.path("flow"))
    if not metrics or any(part not in one["parts"] for one in metrics):
        raise stage.StageError(f"task {task['name']}: a metrics file has no part {part}; evaluate it again")
    with figures.styled():
        shown = figures.series(settings["fits"], metrics, part, table["reference"])
        common = (task, shown, table, part, min_cell)
        sheets = {
            "roc": roc(*common),
            "precision_recall": precision_recall(*common),
            "calibration": calibration(*common),
            "utility": utility(*common),
            "training": training(task, shown, settings["history_fits"], histories, table, part),
            "flow_figure": flow(task, counted, min_cell),
        }
        for name, sheet in sheets.items():
            sheet.save(job.path(name))


if __name__ == "__main__":
    stage.run(
        main,
        __doc__,
        inputs=["metrics*", "histories*", "table", "flow"],
        outputs=["roc", "precision_recall", "calibration", "utility", "training", "flow_figure"],
    )
