"""Predict the parts of a dataset with a finetuned model or a baseline: one file a part, one row a stay.

A row has the stay's keys, whether its patient has a row in this model's training set, the label, and a probability
for each class. What kind of model it is stands in its manifest. Before a test part is predicted, that is entered in the
ledger of openings.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib import devices, offline, openings, shards, stage, subsets
from lib.stage import StageError

KEYS = ["visit_id", "note_id", "person_id", "index_time"]


def main(job: stage.Job) -> None:
    with devices.leased(1 if job.settings["kind"] == "transformer" else 0, job.say) as given:
        job.facts["gpu"] = devices.described() if given else []
        _write(job)


def _write(job: stage.Job) -> None:
    settings = job.settings
    folder = _folder(job.paths("model"), settings)
    if len(job.paths("parts")) != len(job.paths("predictions")):
        raise StageError(f"{len(job.paths('parts'))} parts and {len(job.paths('predictions'))} predictions to write")
    predict = _predictor(folder, settings)
    fit = dict(zip(("task", "model"), job.path("manifest").parts[-4:-2], strict=True))
    fit |= {name: settings[name] for name in ("size", "seed")}
    config = job.neutral.get("config", "by hand")
    names = [path.stem for path in job.paths("parts")]
    if openings.enter(job.path("openings"), names, config=config, **fit):
        job.say("a test part is opened: entered in openings.jsonl")
    train = shards.read_arrow(job.path("train"), ["note_id", "person_id"])
    persons = subsets.chosen(train, settings["size"], settings["seed"]).column("person_id").unique()
    facts = {}
    for path, written in zip(job.paths("parts"), job.paths("predictions"), strict=True):
        part = shards.read_arrow(path)
        table = _table(part, predict(part), persons, settings["classes"], path.name)
        rows = shards.write_parquet(written, table.schema, [table])
        facts[written.name] = {"rows": rows, "seen": int(pc.sum(table.column("seen")).as_py() or 0)}
        job.say(f"{path.stem}: {rows} rows, {facts[written.name]['seen']} of patients seen in training")
    total = sum(fact["rows"] for fact in facts.values())
    shards.write_json(
        job.path("manifest"),
        shards.manifest(job.paths("predictions"), total, table.schema, kind=settings["kind"], parts=facts),
    )


def _folder(files: list[Path], settings: dict[str, Any]) -> Path:
    """The model's folder; StageError unless its manifest tells of the kind, size and seed that are asked for."""
    folders = {path.parent for path in files}
    if len(folders) != 1 or not any(path.name == "manifest.json" for path in files):
        raise StageError("--model takes the files of one model folder, its manifest.json among them")
    manifest = shards.read_json(folders.copy().pop() / "manifest.json")
    for name in ("kind", "size", "seed"):
        if manifest[name] != settings[name]:
            raise StageError(f"the model's manifest tells of another {name} than {settings[name]}; fit it again")
    return folders.pop()


def _predictor(folder: Path, settings: dict[str, Any]) -> Callable[[pa.Table], NDArray[np.float64]]:
    if settings["kind"] != "transformer":
        from lib import baselines

        return lambda part: baselines.predict(folder, part)
    offline.go()
    from lib import inference, models

    models.quiet()
    classifier = inference.Classifier(folder, settings["batch_size"], settings["cpu_threads"])
    if classifier.classes != settings["classes"]:
        raise StageError(f"the model has {classifier.classes} classes, the task {settings['classes']}")
    return classifier.predict


def _table(part: pa.Table, p: NDArray[np.float64], persons: pa.Array, classes: int, name: str) -> pa.Table:
    if p.shape != (part.num_rows, classes):
        raise StageError(f"{name}: predictions of shape {p.shape} for {part.num_rows} rows and {classes} classes")
    table = part.select(KEYS)
    table = table.append_column("seen", pc.is_in(part.column("person_id"), value_set=persons))
    table = table.append_column("label", part.column("label"))
    for k in range(classes):
        table = table.append_column(f"p_{k}", pa.chunked_array([pa.array(p[:, k], pa.float64())]))
    return table


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["model*", "parts*", "train", "openings"], outputs=["predictions*", "manifest"])
