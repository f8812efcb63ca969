"""Training subsets: nested, spread evenly, and blind to the order of the rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import subsets
from lib.stage import StageError

IDS = pa.array(range(5000, 7000))


def _ids(size, seed, ids=IDS):
    return {ids[int(i)].as_py() for i in subsets.subset(ids, size, seed)}


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 50))
def test_smaller_subsets_are_among_larger_ones(one, other, seed):
    small, large = sorted((one, other))
    assert _ids(small, seed) <= _ids(large, seed) and len(_ids(small, seed)) == small


def test_neither_row_order_nor_id_type_matters():
    shuffled = IDS.take(pa.array(np.random.default_rng(0).permutation(len(IDS))))
    assert _ids(100, 3) == _ids(100, 3, shuffled)
    assert {str(i) for i in _ids(100, 3)} == _ids(100, 3, IDS.cast(pa.string()))
    positions = subsets.subset(shuffled, 100, 3)
    assert (np.diff(positions) > 0).all()


def test_a_note_more_displaces_one_at_most():
    longer = pa.array(range(5000, 7001))
    assert len(_ids(100, 1) - _ids(100, 1, longer)) <= 1


def test_another_seed_is_another_subset_and_each_is_spread_over_the_rows():
    assert len(_ids(200, 0) & _ids(200, 1)) < 60  # 20 expected of independent draws
    positions = np.concatenate([subsets.subset(IDS, 200, seed) for seed in range(20)])
    assert abs(positions.mean() - 999.5) < 40  # standard error 9


def test_all_is_every_row_and_more_than_all_is_an_error():
    assert subsets.subset(IDS, "all", 0).tolist() == list(range(2000))
    assert len(subsets.subset(IDS, 2000, 0)) == 2000
    with pytest.raises(StageError, match="2001 of 2000 training rows"):
        subsets.subset(IDS, 2001, 0)
    with pytest.raises(StageError, match="give 1 to 2000"):
        subsets.subset(IDS, 0, 0)


def test_the_chosen_rows_of_a_table_keep_their_order():
    table = pa.table({"note_id": IDS, "x": IDS})
    assert subsets.chosen(table, 10, 4)["x"].to_pylist() == sorted(_ids(10, 4))
    assert subsets.chosen(table, "all", 4) is table
