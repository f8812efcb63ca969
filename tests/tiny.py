"""A tiny task on disk (200 words, notes whose label a few words tell) and finetunes of it in processes of their own.

Children are forked from a server that has imported torch, so that one costs a tenth of a second, and may be killed.
"""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from lib import shards, stage

MAX_TOKENS = 48
CODE = "the same whatever is edited meanwhile"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OUTPUTS = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "history.json"]
OUTPUTS += ["manifest.json"]


def tokenizer(path: Path) -> None:
    """A WordPiece of 200 words w0, w1, ..."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *(f"w{i}" for i in range(195))])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(SPECIAL)
    made.save(str(path))


def part(path: Path, rows: int, classes: int = 2, first: int = 0, text_ids: bool = False) -> pa.Table:
    """A dataset part of `rows` notes, two a person, ids counted from `first`; a tenth of the words tells the label."""
    draw = np.random.default_rng([rows, classes, first])
    labels = draw.integers(0, classes, rows)
    ids = []
    for label, length in zip(labels, draw.integers(6, MAX_TOKENS + 1, rows), strict=True):
        note = draw.integers(20, 200, length)
        note[draw.random(length) < 0.15] = 5 + label
        note[[0, -1]] = 2, 3
        ids.append(note.astype(np.uint16))
    numbers = first + np.arange(rows)
    kind = pa.string() if text_ids else pa.int64()
    keys = {
        name: pa.array([str(n) if text_ids else int(n) for n in values], kind)
        for name, values in (("visit_id", numbers), ("note_id", numbers + 7), ("person_id", numbers // 2))
    }
    table = pa.table(
        keys
        | {
            "index_time": pa.array((numbers * 10**6).astype("datetime64[us]")),
            "label": pa.array(labels, pa.int64()),
            "input_ids": pa.array(ids, pa.list_(pa.uint16())),
            "truncated": pa.array(np.zeros(rows, bool)),
        }
    )
    shards.write_arrow(path, table.schema, [table])
    return table


def dataset(folder: Path, rows: int = 91, classes: int = 2, text_ids: bool = False) -> Path:
    """train, tuning, test and an empty calibration part, and a tokenizer; patients of `test` half seen in training."""
    folder.mkdir(parents=True, exist_ok=True)
    part(folder / "train.arrow", rows, classes, 0, text_ids)
    part(folder / "tuning.arrow", 60, classes, 1000, text_ids)
    part(folder / "test.arrow", 50, classes, rows - 25, text_ids)
    part(folder / "calibration.arrow", 0, classes, 0, text_ids)
    tokenizer(folder / "tokenizer.json")
    return folder


def settings(classes: int = 2, dropout: float = 0.1, **training: Any) -> dict[str, Any]:
    """Settings of a finetune of 8 epochs of 6 steps (the last one short), evaluated twice an epoch."""
    names = ["no", "yes"] if classes == 2 else [f"class {k}" for k in range(classes)]
    shape = {"architecture": "bert", "hidden_size": 32, "layers": 2, "heads": 2, "intermediate_size": 64}
    defaults = {
        "global_batch_size": 16,
        "max_device_batch": 16,
        "learning_rate": 0.005,
        "weight_decay": 0.01,
        "warmup_share": 0.1,
        "gradient_clipping": 1.0,
        "scheduler": "linear",
        "epochs": 8,
        "evaluations_per_epoch": 2,
        "patience": 3,
        "metric": "auroc",
        "precision": "auto",
        "cpu_threads": 1,
    }
    return {
        "task": {"kind": "binary" if classes == 2 else "bins", "classes": classes, "class_names": names},
        "size": "all",
        "seed": 0,
        "max_tokens": MAX_TOKENS,
        "model": {"start": {"scratch": shape | {"dropout": dropout}}},
        "training": defaults | training,
    }


def files(data: Path, out: Path, work: Path | None = None) -> dict[str, Any]:
    """The files of a finetune job of `data` that publishes to `out`."""
    inputs: dict[str, Any] = {name: data / f"{name}.arrow" for name in ("train", "tuning")}
    inputs |= {"tokenizer": data / "tokenizer.json", "start": [], "work": work or out / "work"}
    outputs = ["config", "weights", "tokenizer_file", "tokenizer_config", "history", "manifest"]
    return inputs | {output: out / name for output, name in zip(outputs, OUTPUTS, strict=True)}


def published(out: Path) -> dict[str, bytes]:
    """The published files' bytes by name."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file() and path.suffix != ".log"}


def weights(out: Path) -> dict[str, np.ndarray]:
    """The published weights by name."""
    return load_file(out / "model.safetensors")


def start(
    settings: dict[str, Any],
    files: dict[str, Any],
    log: Path,
    kill: tuple[str, int] | None = None,
    environment: dict[str, str] | None = None,
    send: int = signal.SIGKILL,
) -> Any:
    """Start a finetune in a child; `kill` = (place, n) sends it a signal when it comes to a place the n-th time.

    Places: step (in the middle of the n-th training step of this process), save (checkpoint written, not sealed),
    evaluate, finish (`final` written up to its manifest), publish. At the place full, the n-th checkpoint, files can
    no longer grow, as on a full disk. The exit code is that of the command.
    """
    context = multiprocessing.get_context("forkserver")
    os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    context.set_forkserver_preload(["torch", "transformers.trainer", "transformers.models.bert.modeling_bert"])
    log.parent.mkdir(parents=True, exist_ok=True)
    child = context.Process(target=_child, args=(settings, files, log, kill, environment or {}, send), daemon=True)
    child.start()
    return child


def run(*args: Any, **kwargs: Any) -> int:
    """`start`, wait, and return the exit code: -9 after SIGKILL."""
    child = start(*args, **kwargs)
    child.join(120)
    return int(child.exitcode)


def _child(
    settings: dict[str, Any], files: dict[str, Any], log: Path, kill: Any, environment: dict[str, str], send: int
) -> None:
    os.environ.update(environment)
    sys.stderr = open(log, "a", buffering=1)  # noqa: SIM115
    if kill:
        _kill_at(*kill, send)
    import finetune

    try:
        job = stage.Job(settings, files, code=CODE)
        finetune.main(job)
    except stage.StageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _kill_at(place: str, count: int, number: int) -> None:
    import finetune
    from lib import checkpoints, shards, trainer

    places: dict[str, tuple[Any, str]] = {
        "step": (trainer.NoteTrainer, "training_step"),
        "evaluate": (trainer, "tuning_metrics"),
        "save": (checkpoints, "seal"),
        "finish": (shards, "manifest"),
        "publish": (finetune, "_publish"),
        "full": (trainer.NoteTrainer, "_save_whole"),
    }
    owner, name = places[place]
    original: Callable[..., Any] = getattr(owner, name)
    calls = [0]

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == count and place == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        elif calls[0] == count:
            os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    setattr(owner, name, counted)
