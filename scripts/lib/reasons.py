"""Why a job runs, in the configuration's words: what it is asked for today against what its record says that it was.

A stage's settings are not the configuration, but made from it; WORDS says which of its keys a setting stands for.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib import canonical_json
from lib.files import sha256
from lib.provenance import SMALL_BYTES

WIDTH = 40
ABSENT = "none"
# By stage, the first that fits: the beginning of a setting's path, and of the configuration's. One that begins with "="
# is derived from what it names: the values of those keys are told, if they have changed.
WORDS: dict[str, list[tuple[str, str]]] = {
    "demo_hospital": [("start", "source.data_start"), ("end", "source.data_end"), ("", "source.demo")],
    "extract": [
        ("parameters", "cohorts.{cohort}.parameters"),
        ("sql", "=the query of {cohort}"),
        ("release", "=the query of the warehouse's release"),
        ("turn", "=what refresh found in the warehouse"),
        ("", "=source"),
    ],
    "clean": [("notes", "cohorts.{cohort}.notes"), ("addenda", "cohorts.{cohort}.addenda"), ("", "clean")],
    "split": [("salt", "=split.salt"), ("", "split")],
    "ledger": [("tolerance", "split.ledger_tolerance"), ("", "=source")],
    "inventory": [("exclusions", "=the list of those who opted out"), ("", "source")],
    "tokenizer": [("", "tokenizers.{tokenizer}")],
    "eligibility": [
        ("windows", "=source"),
        ("drop_duplicates", "clean.drop_duplicates"),
        ("temporal", "=split"),
        ("horizon_days", "=cohorts"),
        ("", "tasks.{task}"),
    ],
    "dataset": [("counted", "=evaluation"), ("parts", "=split"), ("", "=models")],
    "flow": [("opened", "=evaluation"), ("windows", "=source"), ("min_cell", "min_cell"), ("", "=tasks.{task}")],
    "leakage": [
        ("limits", "leakage"),
        ("min_cell", "min_cell"),
        ("temporal", "=split"),
        ("kind", "tasks.{task}"),
        ("class_names", "tasks.{task}.class_names"),
        ("", "=cohorts"),
    ],
    "finetune": [
        ("training", "models.{model}.training"),
        ("max_tokens", "models.{model}"),
        ("model.start", "models.{model}.start"),
        ("task", "tasks.{task}"),
    ],
    "baseline": [("task", "tasks.{task}"), ("", "baselines.{model}")],
    "predict": [
        ("batch_size", "=models.{model}.training.max_device_batch"),
        ("cpu_threads", "=models.{model}.training.cpu_threads"),
        ("classes", "=tasks.{task}"),
    ],
    "evaluate": [("task", "tasks.{task}"), ("parts", "=evaluation"), ("min_cell", "min_cell"), ("", "evaluate")],
    "resolve": [("", "")],
}
_SHARED = [
    ("task", "=tasks"),
    ("fits", "=models, baselines, sizes, seeds"),
    ("history_fits", "=models, baselines, sizes, seeds"),
    ("parts", "=evaluation"),
    ("headline", "=evaluate.headline"),
    ("reference", "evaluate.reference"),
    ("replicates", "evaluate.replicates"),
    ("seed", "evaluate.seed"),
    ("groups", "share.groups"),
    ("min_group", "share.min_group"),
    ("", ""),
]


def differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, old value, new value) of each leaf that differs; ABSENT stands for what is not there."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, str(key)))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, (*path, str(i)))
    elif old != new:
        yield ".".join(path), old, new


def texts(
    stage: str, wildcards: Mapping[str, Any], old: Any, new: Any, config: Mapping[str, tuple[Any, Any]] | None = None
) -> list[str]:
    """What of the settings has changed, each once: `models.tiny.training.epochs: 2 -> 3`.

    `config`: what has changed in the configuration since the last run, (old, new) by dotted key.
    """
    found: dict[str, None] = {}
    for path, before, after in differences(old, new):
        begins, words = next(entry for entry in WORDS.get(stage, []) + _SHARED if path.startswith(entry[0]))
        words = words.format_map({"task": "", "model": "", "cohort": "", "tokenizer": "", **wildcards})
        if words.startswith("="):
            found |= dict.fromkeys(_derived(words[1:], config or {}))
            continue
        whole = begins in ("", path) and not words.endswith(path)  # a key of this name below the block
        rest = path if whole else path.removeprefix(begins).strip(".")
        found[_change(".".join(filter(None, [words, rest])), before, after)] = None
    return list(found)


def _derived(named: str, config: Mapping[str, tuple[Any, Any]]) -> list[str]:
    blocks = tuple(named.split(", "))
    changed = [key for key in config if any(key == block or key.startswith(f"{block}.") for block in blocks)]
    return [_change(key, *config[key]) for key in changed] or [f"{named} changed"]


def _change(key: str, old: Any, new: Any) -> str:
    if "salt" in key:  # who knows it knows who is in which part
        return f"{key} changed"
    return f"{key}: {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    if re.fullmatch("[0-9a-f]{16,64}", text):
        return text[:8]
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def files(paths: Mapping[str, Path], written: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """("missing" or "edited", name) of the files `written` (sha256 by name) that are so; large ones are not read."""
    for name, digest in sorted(written.items()):
        path = paths[name]
        if not path.is_file():
            yield "missing", name
        elif path.stat().st_size <= SMALL_BYTES and sha256(path) != digest:
            yield "edited", name
