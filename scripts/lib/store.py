"""A training's folder in the store, `<private>/store/<key>/`: what names it, and what it says of itself.

The key is a hash of all that decides the result (settings, data, code), so whoever comes back to a former setting finds
its model, and the checkpoints of another training are never picked up. The plan asks too, so nothing here imports
pyarrow.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib import canonical_json
from lib.files import sha256, write_text

WHAT = "what.json"
FINAL = "final"
Content = Mapping[str, Sequence[Sequence[str]]]


def content(files: Mapping[str, Sequence[Path]]) -> dict[str, list[list[str]]]:
    """By what a file is to the training: [its name, its sha256], in the order given."""
    return {name: [[path.name, sha256(path)] for path in paths] for name, paths in files.items()}


def key(settings: Mapping[str, Any], data: Content, code: str) -> str:
    """16 hexadecimal digits of the settings, the data as `content` gives it, and the code's hash."""
    return hashlib.sha256(canonical_json([settings, data, code]).encode()).hexdigest()[:16]


def note(folder: Path, published: Path, settings: Mapping[str, Any], data: Content, code: str) -> None:
    """Say in the folder what it is; the file's time is when it was last used.

    `published`: the manifest that the training will publish, `.../finetune/<task>/<model>/<size>-<seed>/manifest.json`
    in the workflow, which alone knows by which names people call it. Of several fits with one key the last is named.
    """
    names = published.parts[-5:-1]
    known = len(names) == 4 and names[0] == "finetune"
    task, model = names[1:3] if known else (None, None)
    what = {"task": task, "model": model, "size": settings["size"], "seed": settings["seed"]}
    text = canonical_json({**what, "settings": settings, "data": data, "code": code}) + "\n"
    path = folder / WHAT
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        os.utime(path)
    else:
        write_text(path, text)
