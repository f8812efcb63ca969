"""From token ids on disk to batches: notes of similar length together, in an order that seed and epoch decide.

Padding to a fixed length, or mixing lengths, costs half of the speed. So each epoch is shuffled, cut into pools of
50 batches, each pool sorted by length and cut into batches, and the batches shuffled again. The order depends on the
seed, the epoch and the *global* batch size alone: resuming, accumulating or spreading over devices does not change
which notes a step learns from. (The library's own length grouping is not seeded by epoch and does not resume.)
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

POOL = 50  # batches that are sorted by length together
IGNORED = -100  # the label that a loss leaves out


class Notes(torch.utils.data.Dataset):
    """Token ids and labels of a dataset part; reads only the pages it is asked for if the table is memory-mapped.

    `table` has input_ids list<uint16 | uint32> and label int64. `labels` (n,) replaces the table's. An index below 0
    is a filler: note `-1 - index` with the label IGNORED.
    """

    def __init__(self, table: pa.Table, labels: NDArray[np.int64] | None = None) -> None:
        chunks = [chunk for chunk in table.column("input_ids").chunks if len(chunk)]
        self._offsets = [chunk.offsets.to_numpy() for chunk in chunks]
        self._values = [chunk.values.to_numpy() for chunk in chunks]
        self._starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])
        lengths = [np.diff(offsets) for offsets in self._offsets]
        self.lengths = np.concatenate(lengths).astype(np.int64) if lengths else np.empty(0, np.int64)
        self.labels = table.column("label").to_numpy().astype(np.int64) if labels is None else labels

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], int]:
        row = index if index >= 0 else -1 - index
        chunk = int(np.searchsorted(self._starts, row, "right")) - 1
        offsets = self._offsets[chunk]
        place = row - self._starts[chunk]
        ids = self._values[chunk][offsets[place] : offsets[place + 1]]
        return ids, int(self.labels[row]) if index >= 0 else IGNORED

    def largest_id(self) -> int:
        """The largest token id; -1 if there is none."""
        return max((int(values.max()) for values in self._values if len(values)), default=-1)


def collate(notes: Sequence[tuple[NDArray[Any], int]], pad: int) -> dict[str, torch.Tensor]:
    """input_ids and attention_mask (batch, longest) int64, labels (batch,) int64; padded on the right with `pad`."""
    longest = max(len(ids) for ids, _ in notes)
    input_ids = np.full((len(notes), longest), pad, dtype=np.int64)
    mask = np.zeros((len(notes), longest), dtype=np.int64)
    for row, (ids, _) in enumerate(notes):
        input_ids[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    labels = np.array([label for _, label in notes], dtype=np.int64)
    arrays = {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def epoch_order(lengths: NDArray[np.int64], batch: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Positions (n,) int64: each note once, every `batch` of them a global batch; a short last batch is last.

    The batch with the longest note comes first, so that memory which does not suffice shows at once.
    """
    draw = np.random.default_rng([seed, epoch])
    order = draw.permutation(len(lengths))
    whole = len(order) - len(order) % batch
    # The rest is taken before sorting: it would otherwise be the shortest notes of a pool, every time.
    rest = order[whole:]
    pools = [order[start : min(start + POOL * batch, whole)] for start in range(0, whole, POOL * batch)]
    by_length = [pool[np.argsort(-lengths[pool], kind="stable")] for pool in pools]
    if not by_length:
        return rest
    batches = draw.permutation(np.concatenate(by_length).reshape(-1, batch))
    longest = int(lengths[batches].max(axis=1).argmax())
    batches[[0, longest]] = batches[[longest, 0]]
    return np.concatenate([batches.ravel(), rest])


class Longest(torch.utils.data.Sampler[int]):
    """The longest notes first: little padding where the order does not matter."""

    def __init__(self, lengths: NDArray[np.int64]) -> None:
        self.order = np.argsort(-lengths, kind="stable")

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        yield from self.order.tolist()


class LengthGrouped(torch.utils.data.Sampler[int]):
    """`epoch_order` as a sampler; `set_epoch` chooses the epoch.

    With several `processes` the last batch is filled up with fillers, so that each process has an equal share of it.
    """

    def __init__(self, lengths: NDArray[np.int64], batch: int, seed: int, processes: int = 1) -> None:
        self._lengths = lengths
        self._batch = batch
        self._seed = seed
        self._fillers = -len(lengths) % batch if processes > 1 else 0
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) + self._fillers

    def __iter__(self) -> Iterator[int]:
        order = epoch_order(self._lengths, self._batch, self._seed, self.epoch)
        shortest = int(self._lengths.argmin())
        yield from order.tolist()
        yield from [-1 - shortest] * self._fillers
