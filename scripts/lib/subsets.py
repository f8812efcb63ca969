"""Nested training subsets: the first n notes in an order that only a seed decides.

Every note gets a keyed hash of its id, and a subset is the n smallest. So the 100 are among the 1,000 of the same
seed, the order of the rows does not matter, and a note added to the data displaces one at most.
"""

import hashlib
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lib.stage import StageError

Size = int | Literal["all"]


def subset(note_ids: pa.Array | pa.ChunkedArray, size: Size, seed: int) -> NDArray[np.int64]:
    """Positions (n,) int64, increasing, of the `size` notes chosen; `note_ids` are int64 or strings, no two equal.

    The key is BLAKE2b of the id's decimal or UTF-8 text under the seed. StageError if there are fewer than `size`.
    """
    rows = len(note_ids)
    if size == "all":
        return np.arange(rows)
    if not 0 < size <= rows:
        raise StageError(f"a training size of {size} of {rows} training rows; give 1 to {rows}, or all")
    key = seed.to_bytes(8, "big", signed=True)
    digests = [
        hashlib.blake2b(str(note_id).encode(), digest_size=16, key=key).digest() for note_id in note_ids.to_pylist()
    ]
    return np.sort(np.array(sorted(range(rows), key=digests.__getitem__)[:size], dtype=np.int64))


def chosen(train: pa.Table, size: Size, seed: int) -> pa.Table:
    """The rows of a training part that a model of this size and seed learns from, in their order."""
    return train if size == "all" else train.take(subset(train.column("note_id"), size, seed))
