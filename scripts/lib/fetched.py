"""What the last extraction of a window saw: to tell whether the warehouse has moved since, and what the next changes.

A file a window and kind below `<private>/fetched/`, undeclared, since Snakemake deletes an output before it is made
again: two 64-bit hashes a row (of its key; of all its values) and one of its labels, and what the fingerprint query
said. Hashes of ids are still about patients, so the files stay private.
"""

import json
from array import array
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lib import canonical_json, shards
from lib.files import atomic
from lib.stage import StageError

COLUMNS = ("key", "row", "labels")
CHANGES = ("added", "removed", "changed", "relabelled")


class Seen:
    """The rows of one extraction, as hashes; `keys` are the names of the columns by which a row is known."""

    def __init__(self, keys: Iterable[str], names: Iterable[str]) -> None:
        self._names = {
            "key": list(keys),
            "row": list(names),
            "labels": [name for name in names if name.startswith(("label_", "reason_"))],
        }
        self._hashes = {column: array("Q") for column in COLUMNS}

    def add(self, batch: Mapping[str, list[Any]]) -> None:
        """Columns by name, converted."""
        for column, names in self._names.items():
            values = zip(*(batch[name] for name in names), strict=True) if names else ((),) * len(batch[self._key])
            self._hashes[column].extend(_hash(row) for row in values)

    @property
    def _key(self) -> str:
        return self._names["key"][0]

    def changes(self, path: Path) -> dict[str, int] | None:
        """How many rows came, went, are other than those of the file at `path`; None where there is no such file.

        `relabelled` are those of the changed whose labels or reasons differ.
        """
        before = self._read(path)
        if before is None:
            return None
        old, new = (dict(zip(rows["key"], range(len(rows["key"])), strict=True)) for rows in (before, self._hashes))
        both = [(old[key], place) for key, place in new.items() if key in old]
        was, now = (np.array([pair[i] for pair in both], dtype=np.int64) for i in (0, 1))
        differ = {
            column: int(np.sum(np.asarray(before[column])[was] != np.asarray(self._hashes[column])[now]))
            for column in ("row", "labels")
        }
        found = {"added": len(new) - len(both), "removed": len(old) - len(both)}
        return found | {"changed": differ["row"], "relabelled": differ["labels"]}

    def write(self, path: Path, fingerprint: Any) -> None:
        table = pa.table({column: pa.array(np.asarray(hashes)) for column, hashes in self._hashes.items()})
        with atomic(path) as temporary:
            pq.write_table(table.replace_schema_metadata({"fingerprint": canonical_json(fingerprint)}), temporary)

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            return {name: column.to_numpy() for name, column in zip(COLUMNS, shards.read_parquet(path), strict=True)}
        except (OSError, ValueError, StageError):
            return None  # none yet; or cut off, which tells no more


def fingerprint(path: Path) -> Any:
    """What the fingerprint query said when the rows of the file at `path` were fetched; None if that is not known."""
    try:
        said = (shards.parquet_schema(path).metadata or {}).get(b"fingerprint", b"null")
    except (OSError, StageError):
        return None
    return json.loads(said)


def _hash(row: tuple[Any, ...]) -> int:
    """Of values and their types. Texts as they are: `repr` of a note takes longer than to fetch it."""
    shape = repr([(len(value),) if isinstance(value, str) else value for value in row]).encode()
    texts = [value.encode("utf-8", "surrogatepass") for value in row if isinstance(value, str)]
    return int.from_bytes(blake2b(b"".join([shape, *texts]), digest_size=8).digest())
