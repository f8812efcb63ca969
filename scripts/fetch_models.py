"""Fetch the models and tokenizers that the configuration names on the hub, at their pinned revisions, into the cache.

The one step that uses the network, on a machine that has it (a login node); jobs run with the hub switched off.
settings: models, a list of {hub, revision}. Configurations, tokenizers and safetensors are fetched, nothing pickled.
`record` says what is there, by file with its SHA-256; a revision whose files have changed since is refused.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib import shards, stage
from lib.files import sha256, write_text

WANTED = ["config.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json"]
WANTED += ["*.safetensors", "*.safetensors.index.json"]


def main(job: stage.Job) -> None:
    record = job.path("record")
    known = shards.read_json(record) if record.is_file() else {}
    for wanted in job.settings["models"]:
        name = f"{wanted['hub']}@{wanted['revision']}"
        folder = _fetched(wanted, job.path("cache"))
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
        files = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
        _check(name, files, known.get(name, {}))
        known[name] = files
        job.say(f"{name}: {len(files)} files")
    shards.write_json(record, known)
    lines = [f"{name}: {len(files)} files" for name, files in known.items()] or ["the configuration names no model"]
    write_text(job.path("page"), "\n".join(lines) + "\n")


def _fetched(wanted: Mapping[str, Any], cache: Path) -> Path:
    """The folder of the revision, in the cache; StageError says why it cannot be had."""
    os.environ["HF_HUB_OFFLINE"] = "0"  # read when the library is imported
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            wanted["hub"], revision=wanted["revision"], cache_dir=cache, allow_patterns=WANTED, max_workers=2
        )
    except Exception as error:  # the library's, its client's, the network's: all end here
        kind = type(error).__name__
        raise stage.StageError(
            f"{wanted['hub']} {wanted['revision']} cannot be fetched ({kind}): is the name right, does this machine "
            "reach the hub (HF_ENDPOINT, proxies), does the model ask for a token (HF_TOKEN)?"
        ) from error
    return Path(found)


def _check(name: str, files: Mapping[str, str], before: Mapping[str, str]) -> None:
    if "config.json" not in files:
        raise stage.StageError(f"{name} has no config.json: it is no transformers model")
    if not any(file.endswith((".safetensors", "tokenizer.json", "vocab.txt")) for file in files):
        raise stage.StageError(f"{name} has neither weights in safetensors nor a tokenizer; others are not read")
    changed = [file for file, digest in before.items() if files.get(file, digest) != digest]
    if changed:
        raise stage.StageError(
            f"{name}: {len(changed)} files of the cache are not what was fetched first ({changed[0]}); a commit does "
            "not change: remove its folder from the cache, and find out why"
        )


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["cache"], outputs=["record", "page"])
