"""From a dataset's train and tuning parts to a finished model folder.

The folder `final` holds what is published: the weights of the best step, config, tokenizer, history, manifest. It is
whole once its manifest is there; then the checkpoints go.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lib import batches, checkpoints, learned, models, shards, store, subsets, trainer
from lib.interruption import Interruption, due
from lib.stage import StageError
from lib.training import History, plan

COLUMNS = ["note_id", "person_id", "label", "input_ids"]


@dataclass
class Part:
    """The rows of a part that are used: the notes, and the persons that they are of, each once."""

    notes: batches.Notes
    persons: pa.Array


def fit(settings: Mapping[str, Any], files: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> str | None:
    """Train in `folder` until `folder`/final is whole, going on from the newest whole checkpoint there.

    `files`: train, tuning, tokenizer, and start (the files of one folder, or none). Returns None when finished, or what
    stopped it before: the name of a signal, or `interruption.TIME`. StageError for data, settings or devices that do
    not fit.
    """
    training, names = settings["training"], settings["task"]["class_names"]
    trainer.prepare_device(training["cpu_threads"])
    models.quiet()
    parts = {name: _part(Path(files[name]), name, settings) for name in ("train", "tuning")}
    tokenizer = Tokenizer.from_file(str(files["tokenizer"]))
    start = Path(files["start"][0]).parent if files["start"] else None
    seed = settings["seed"]
    model = models.load(settings["model"]["start"], start, tokenizer, names, settings["max_tokens"], seed)
    _check_ids(parts, model.config.vocab_size)
    train, tuning = parts["train"].notes, parts["tuning"].notes
    steps = plan(training, len(train), trainer.processes())
    history = History(_metric(training["metric"], tuning.labels, say), training["patience"])
    pad = models.pad_id(tokenizer)
    with Interruption(due()).listening() as interruption:
        run = trainer.NoteTrainer(model, train, tuning, steps, training, history, folder, seed, pad, interruption, say)
        if run.is_world_process_zero():
            learned.note(folder / learned.LIST, *(part.persons for part in parts.values()))
            say(
                f"{len(train)} training notes, {steps.steps_per_epoch} steps an epoch of {steps.examples_per_step} "
                f"= {steps.device_batch} x {steps.accumulation} x {trainer.processes()}, {run.args.device.type}"
            )
        run.resume(_newest(folder, say))
        complete = history.last_step == steps.steps or history.exhausted()
        writes = run.is_world_process_zero()
        trainer.leave(run)
    if not complete:
        return interruption.name or "stopped"
    if writes:
        data = {name: shards.sha256(Path(files[name])) for name in parts}
        _finish(settings, Path(files["tokenizer"]), tokenizer, parts, history, folder, steps.steps, data)
    return None


def _part(path: Path, name: str, settings: Mapping[str, Any]) -> Part:
    table = shards.read_arrow(path)
    if missing := [column for column in COLUMNS if column not in table.column_names]:
        raise StageError(f"{path.name}: no column {', '.join(missing)}; finetuning reads a tokenized dataset")
    table = table.select(COLUMNS)
    if name == "train":
        table = subsets.chosen(table, settings["size"], settings["seed"])
    if not table.num_rows:
        raise StageError(f"{path.name}: no rows in {name}; widen the windows or the split, or leave the task out")
    labels = table.column("label").to_numpy().astype(np.int64)
    classes = settings["task"]["classes"]
    if wrong := int(((labels < 0) | (labels >= classes)).sum()):
        raise StageError(f"{path.name}: {wrong} of {len(labels)} labels are outside 0..{classes - 1}")
    if settings["training"].get("shuffle_labels"):
        draw = np.random.default_rng([settings["seed"], ("train", "tuning").index(name)])
        labels = draw.permutation(labels)
    return Part(batches.Notes(table, labels), pc.unique(table.column("person_id")))


def _check_ids(parts: Mapping[str, Part], entries: int) -> None:
    for name, part in parts.items():
        if part.notes.largest_id() >= entries:
            raise StageError(
                f"{name}: there are token ids beyond the model's vocabulary, which goes to {entries - 1}; "
                "pretokenize with the model's tokenizer"
            )


def _metric(asked: str, tuning_labels: NDArray[np.int64], say: Callable[[str], None]) -> str:
    if asked == "auroc" and len(np.unique(tuning_labels)) < 2:
        say("tuning has rows of one class only, so no AUROC: the loss chooses the checkpoint")
        return "loss"
    return asked


def _newest(folder: Path, say: Callable[[str], None]) -> int | None:
    step, left = checkpoints.newest(folder)
    for reason in left:
        say(f"left {reason}")
    if step is not None:
        say(f"going on from checkpoint-{step}")
    return step


def _finish(
    settings: Mapping[str, Any],
    tokenizer_file: Path,
    tokenizer: Tokenizer,
    parts: Mapping[str, Part],
    history: History,
    folder: Path,
    planned: int,
    data: Mapping[str, str],
) -> None:
    """Write `final` from the best checkpoint, its manifest last; then remove the checkpoints."""
    best, final = history.best(), folder / store.FINAL
    assert best is not None
    source = checkpoints.path_of(folder, best["step"])
    last = checkpoints.path_of(folder, history.last_step)
    for checkpoint in (source, last):
        if damage := checkpoints.fault(checkpoint):
            raise StageError(f"{folder.name}/{checkpoint.name}: {damage}; remove {folder.name} and run again")
    checkpoints.remove(final)
    with shards.atomic(final / "model.safetensors") as temporary:
        shutil.copyfile(source / "model.safetensors", temporary)
    with shards.atomic(final / "tokenizer.json") as temporary:
        shutil.copyfile(tokenizer_file, temporary)
    shards.write_json(final / "config.json", models.published_config(source / "config.json"))
    shards.write_json(final / "tokenizer_config.json", models.describe_tokenizer(tokenizer, settings["max_tokens"]))
    shards.write_json(final / "history.json", _history(settings, parts, history, last, planned))
    shards.write_json(final / checkpoints.MANIFEST, _manifest(settings, parts, history, final) | {"data": data})
    for step in checkpoints.steps(folder):
        checkpoints.remove(checkpoints.path_of(folder, step))


def _history(
    settings: Mapping[str, Any], parts: Mapping[str, Part], history: History, last: Path, planned: int
) -> dict[str, Any]:
    weights = shards.read_json(last / checkpoints.MANIFEST)["files"]["model.safetensors"]["sha256"]
    return {
        "metric": history.metric,
        "evaluations": history.evaluations,
        "best": history.best(),
        "steps": {"planned": planned, "taken": history.last_step},
        "processes": history.processes,
        "stopped_early": history.last_step < planned,
        # The best step may lie before an interruption; only the last weights show that resuming changed nothing.
        "last_weights_sha256": weights,
        "rows": {name: len(part.notes) for name, part in parts.items()},
        "subset": {"size": settings["size"], "seed": settings["seed"]},
    }


def _manifest(settings: Mapping[str, Any], parts: Mapping[str, Part], history: History, final: Path) -> dict[str, Any]:
    files = [path for path in final.iterdir() if path.name != checkpoints.MANIFEST]
    train, tuning, best = parts["train"], parts["tuning"], history.best()
    assert best is not None
    names = settings["task"]["class_names"]
    counts = np.bincount(train.notes.labels, minlength=len(names)).tolist()
    name = "auroc_ovr_macro" if history.metric == "auroc" and len(names) > 2 else history.metric
    return shards.manifest(
        sorted(files),
        len(train.notes),
        kind="transformer",
        size=settings["size"],
        seed=settings["seed"],
        shuffled_labels=bool(settings["training"].get("shuffle_labels")),
        persons=len(train.persons),
        classes=dict(zip(names, counts, strict=True)),
        parameters=models.parameters(final / "model.safetensors"),
        precision=trainer.precision(settings["training"]["precision"]),
        tuning={
            "rows": len(tuning.notes),
            "persons": len(tuning.persons),
            "metric": name,
            "value": best[f"tuning_{history.metric}"],
            "step": best["step"],
        },
    )
