"""Which hashes of private files leave the private root, in the provenance document and what is made of it.

A hash hides what it is of only while nobody can try all that it may be of. A manifest is a few counts, and all else in
it is published: the events of a part, hidden in the flow, are found from its hash in seconds. So are the ids in a file
of few rows. Of such a file it is told only whether what was read is what was written.
"""

from collections.abc import Collection, Mapping

HIDDEN = "hidden"
OTHER = "hidden, not the one that was written"
_NO_COUNTS = ("tokenizer.json", "tokenizer_config.json", "config.json", "model.json", "history.json")
_FEW_ROWS = (".dropped.parquet",)


def is_guessable(name: str) -> bool:
    """Whether few digits decide a file's bytes, by its name (`<private>/...`): manifests, and lists of the few."""
    if not name.startswith("<private>/"):
        return False
    manifest = name.endswith(".json") and name.rpartition("/")[2] not in _NO_COUNTS
    return manifest or name.endswith(_FEW_ROWS) or name.startswith("<private>/duplicates/")


def told(read: Mapping[str, str], written: Mapping[str, str], few: Collection[str]) -> dict[str, str]:
    """sha256 by name as it is published; `written`: as the files' own records have it; `few`: files of few rows."""

    def shown(name: str, digest: str) -> str:
        if not (is_guessable(name) or name in few):
            return digest
        return HIDDEN if written.get(name, digest) == digest else OTHER

    return {name: shown(name, digest) for name, digest in read.items()}


def agrees(published: str | None, digest: str | None) -> bool:
    """Whether a published hash says nothing against this one."""
    return published in (digest, HIDDEN)
