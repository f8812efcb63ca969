"""Batches: each note once an epoch, similar lengths together, and fillers that weigh nothing."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import batches, shards

LENGTHS = np.random.default_rng(0).lognormal(4, 0.6, 1000).astype(np.int64) + 4


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 3), st.integers(0, 5))
def test_each_epoch_has_each_note_once(rows, batch, seed, epoch):
    order = batches.epoch_order(LENGTHS[:rows], batch, seed, epoch)
    assert sorted(order.tolist()) == list(range(rows))


def test_the_order_follows_from_seed_and_epoch_alone():
    first = batches.LengthGrouped(LENGTHS, 32, seed=1)
    orders = []
    for epoch in (0, 1, 2):
        first.set_epoch(epoch)
        orders.append(list(first))
    late = batches.LengthGrouped(LENGTHS, 32, seed=1)
    late.set_epoch(2)
    assert list(late) == orders[2] != orders[1] != orders[0]
    late.set_epoch(0)
    assert list(late) == orders[0]
    assert list(batches.LengthGrouped(LENGTHS, 32, seed=2)) != orders[0]


def test_little_padding_and_the_longest_note_first():
    order = batches.epoch_order(LENGTHS, 32, 0, 0)
    grouped = [LENGTHS[order[i : i + 32]] for i in range(0, 1000, 32)]
    padded = sum(len(batch) * batch.max() for batch in grouped)
    random = np.random.default_rng(0).permutation(LENGTHS)
    padded_randomly = sum(len(b) * b.max() for b in (random[i : i + 32] for i in range(0, 1000, 32)))
    assert padded < 1.15 * LENGTHS.sum() and padded_randomly > 2 * LENGTHS.sum()
    assert grouped[0].max() == max(batch.max() for batch in grouped[:-1])
    means = [batch.mean() for batch in grouped[1:-1]]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.5, "batches are not in the order of their length"


def test_the_short_last_batch_is_not_of_the_shortest_notes():
    last = [LENGTHS[batches.epoch_order(LENGTHS, 32, 0, epoch)[992:]].mean() for epoch in range(60)]
    assert abs(np.mean(last) - LENGTHS.mean()) < 4 * LENGTHS.std() / np.sqrt(8 * 60)


def test_several_processes_get_a_filled_last_batch():
    sampler = batches.LengthGrouped(LENGTHS, 32, seed=0, processes=2)
    order = list(sampler)
    assert len(order) == len(sampler) == 1024 and sorted(i for i in order if i >= 0) == list(range(1000))
    assert order[-24:] == [order[-1]] * 24 and LENGTHS[-1 - order[-1]] == LENGTHS.min()
    assert len(batches.LengthGrouped(LENGTHS, 32, seed=0)) == 1000


@pytest.fixture
def part(tmp_path):
    """2,500 notes in three record batches on disk: the note of row i is [i, i, ...], its label i % 3."""
    ids = [np.full(1 + i % 7, i, np.uint16) for i in range(2500)]
    table = pa.table(
        {"input_ids": pa.array(ids, pa.list_(pa.uint16())), "label": pa.array([i % 3 for i in range(2500)])}
    )
    shards.write_arrow(tmp_path / "part.arrow", table.schema, [table])
    return shards.read_arrow(tmp_path / "part.arrow")


@pytest.mark.parametrize("start", [0, 700])
def test_notes_are_those_of_the_table_across_record_batches_and_slices(part, start):
    notes = batches.Notes(part.slice(start))
    assert len(notes) == 2500 - start and notes.largest_id() == 2499
    for row in (0, 299, 300, 999, 1000, 1799):
        ids, label = notes[row]
        assert ids.tolist() == [row + start] * (1 + (row + start) % 7) == [row + start] * notes.lengths[row]
        assert label == (row + start) % 3
    ids, label = notes[-1 - 5]
    assert ids.tolist() == notes[5][0].tolist() and label == batches.IGNORED


def test_notes_of_an_empty_part(part):
    notes = batches.Notes(part.slice(0, 0))
    assert len(notes) == 0 and notes.largest_id() == -1


def test_collate_pads_to_the_longest_in_int64(part):
    notes = batches.Notes(part, labels=np.arange(2500))
    batch = batches.collate([notes[1], notes[6], notes[-1]], pad=9)
    assert batch["input_ids"].tolist() == [[1, 1, 9, 9, 9, 9, 9], [6] * 7, [0, 9, 9, 9, 9, 9, 9]]
    assert batch["attention_mask"].sum(1).tolist() == [2, 7, 1]
    assert batch["labels"].tolist() == [1, 6, -100]
    assert {str(value.dtype) for value in batch.values()} == {"torch.int64"}
