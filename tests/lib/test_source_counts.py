"""Rows become counts: exactly where it matters, in bounded memory, whatever the batches."""

import doctest
import random

import pytest

import source_rows
from lib import source_counts
from lib.source_counts import Spread
from source_rows import counted, note, stay


def test_the_examples() -> None:
    assert doctest.testmod(source_counts).failed == 0


def test_a_spread_is_within_one_percent_and_bounded() -> None:
    values = [random.Random(1).choice([1, -1]) * int(10 ** random.Random(i).uniform(0, 7)) for i in range(5000)]
    spread = Spread()
    spread.add(values[:3000])
    spread.add(values[3000:])
    for share in (0.05, 0.5, 0.95):
        true = sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
        found = spread.quantile(share)
        assert found is not None and abs(found - true) <= 0.01 * abs(true) + 1
    assert spread.total == 5000 and Spread().quantile(0.5) is None
    everything = Spread()
    everything.add(range(2**20))
    assert len(everything.counts) < 2000 and everything.between(0, 2**20) == 2**20


def test_stays_and_labels_are_counted_by_month_of_the_index_time_or_the_anchor() -> None:
    rows = [stay(1, "2020-01-31 23:00"), stay(2, "2020-01-31 23:00", None, None), stay(3, "2020-02-10 00:00", back=1)]
    stays, _ = counted(rows)
    assert {month: found["stays"] for month, found in stays.months.items()} == {"2020-01": 1, "2020-02": 2}
    assert (stays.months["2020-01"]["with_note"], stays.months["2020-02"]["with_note"]) == (0, 2)
    assert stays.months["2020-02"]["labelled", "back"] == 2 and stays.months["2020-02"]["ones", "back"] == 1
    assert stays.months["2020-02"]["sum", "days"] == 6
    assert stays.binary("back") and not stays.binary("days")
    assert stays.anchors == {True: 1, False: 2}


def test_lengths_lags_and_clocks() -> None:
    rows = [stay(1, "2020-01-01 10:00"), stay(2, "2020-01-02 10:00"), stay(4, "2020-01-03 10:00")]
    notes = [
        note(1, "é" * 300, "2020-01-01 12:30"),
        note(2, "", "2020-01-02 09:00", "minute"),
        note(3, "x", "2020-01-02 00:00"),
        note(4, None, "2020-01-03 23:59:59", "day"),
    ]
    _, found = counted(rows, notes)
    assert (found.rows, found.bytes, found.strays, found.longest) == (4, 601, 1, {"characters": 300, "bytes": 600})
    assert found.lags["2020-01"].counts == {150: 1, -60: 1, 836: 1}  # 839 minutes, to 8 bits
    assert found.clocks == {"clocked": 3, "midnight": 1, "day": 1}


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_a_stay_has_one_text_across_batches(batch: int) -> None:
    rows = [stay(n, "2020-01-01 10:00") for n in (1, 2)]
    notes = [
        note(v, "x" * n, "2020-01-01 11:00", note_id=i) for i, (v, n) in enumerate([(1, 5), (1, 7), (1, 6), (2, 9)])
    ]
    assert counted(rows, notes, False, batch)[1].of_stays.counts == {7: 1, 9: 1}
    assert counted(rows, notes, True, batch)[1].of_stays.counts == {18: 1, 9: 1}


@pytest.mark.parametrize("batch", [3, 1000])
def test_texts_at_a_limit_and_at_the_longest_are_counted_exactly(batch: int) -> None:
    sizes = [4000, 3999, 4000, 4001, 4777, 4777, 12, 4000]
    rows = [stay(n, "2020-01-01 10:00") for n in range(len(sizes))]
    notes = [note(n, "x" * size, "2020-01-01 11:00") for n, size in enumerate(sizes)]
    exact = counted(rows, notes, batch=batch)[1].exact["characters"]
    assert (exact[4000], exact[4777]) == (3, 2) and set(exact) == {4000, 4777}


def test_counts_hold_no_text_and_no_id() -> None:
    """Whatever the rows, what is left are numbers and names of months."""
    stays, notes = counted([stay(77_777, "2020-01-01 10:00")], [note(77_777, "Quackenbush", "2020-01-01 11:00")])
    held = str((dict(stays.months), stays.anchors, {k: str(vars(v)) for k, v in notes.lengths.items()}, vars(notes)))
    assert "Quackenbush" not in held and "77777" not in held


def test_rows_of_the_helper_are_the_contracts() -> None:
    assert source_rows.labels([]).num_rows == source_rows.texts([]).num_rows == 0
