"""Small cells: what is shown never tells them, checked by what an attacker's linear program can still find."""

import doctest
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from lib import disclosure
from lib.disclosure import derivable, falling, suppress, suppress_table


def test_examples_in_the_docs() -> None:
    tried = doctest.testmod(disclosure)
    assert tried.attempted and not tried.failed


COUNTS = st.integers(0, 4) | st.integers(0, 40)


def largest(target: list[int], equations: list[tuple[list[int], int]], cells: int) -> float:
    """The largest sum of the cells in `target` that fits what is known: sums of cells, none below zero."""
    row = [-float(i in target) for i in range(cells)]
    left = [[float(i in members) for i in range(cells)] for members, _ in equations]
    right = [total for _, total in equations]
    found = linprog(row, A_eq=left or None, b_eq=right or None, bounds=(0, None), method="highs")
    return np.inf if found.status == 3 else -found.fun


@given(st.lists(COUNTS, min_size=1, max_size=6), st.integers(1, 12))
def test_a_list_with_its_total_tells_no_small_cell(counts: list[int], min_cell: int) -> None:
    shown = suppress(counts, min_cell)
    total = sum(counts)
    known = [([i], v) for i, v in enumerate(shown) if v is not None]
    known += [(list(range(len(counts))), total)] if total >= min_cell else []
    for i, count in enumerate(counts):
        assert shown[i] in (None, count)
        assert shown[i] == 0 if count == 0 else True
        if 0 < count < min_cell:
            assert shown[i] is None and largest([i], known, len(counts)) >= min_cell - 1e-6


@given(st.lists(COUNTS, min_size=2, max_size=6), st.integers(1, 12))
def test_a_falling_series_tells_no_small_difference(drops: list[int], min_cell: int) -> None:
    *fallen, last = drops
    values = [last + sum(fallen[i:]) for i in range(len(fallen) + 1)]
    hidden = falling(values, min_cell)
    known = [([i], v) for i, v in enumerate(drops) if not hidden[i]]
    if values[0] >= min_cell or not values[0]:
        known += [(list(range(i, len(drops))), v) for i, v in enumerate(values) if derivable(hidden, i)]
    for i, drop in enumerate(drops):
        if 0 < drop < min_cell:
            assert largest([i], known, len(drops)) >= min_cell - 1e-6
    if not any(hidden):
        assert all(derivable(hidden, i) for i in range(len(values)))
    assert [a - b for a, b in pairwise(values)] == fallen


@st.composite
def tables(draw) -> tuple[list[list[int]], int, list[bool | None], list[bool | None]]:
    """A table, min_cell, and how its totals are published elsewhere: one at a time as `suppress` would."""
    n, m, min_cell = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 9))
    cells = [[draw(COUNTS) for _ in range(m)] for _ in range(n)]
    lines = ([sum(row) for row in cells], [sum(column) for column in zip(*cells, strict=True)])
    published: list[list[bool | None]] = []
    for totals in lines:
        if sum(totals) < min_cell or draw(st.booleans()):
            published.append([None] * len(totals))
        else:
            published.append([shown is not None for shown in suppress(totals, min_cell)])
    return cells, min_cell, published[0], published[1]


def equations(cells: list[list[int]], rows: list, columns: list, shown: tuple) -> list[tuple[list[int], int]]:
    """What the shown figures tell, as (positions, sum); of totals hidden elsewhere, their sum."""
    n, m = len(rows), len(columns)
    inside, row_totals, column_totals = shown
    known = [([i * m + j], inside[i][j]) for i, j in product(range(n), range(m)) if inside[i][j] is not None]
    by_row = [[i * m + j for j in range(m)] for i in range(n)]
    by_column = [[i * m + j for i in range(n)] for j in range(m)]
    flat = [v for row in cells for v in row]
    for lines, published, totals in ((by_row, rows, row_totals), (by_column, columns, column_totals)):
        known += [(line, total) for line, total in zip(lines, totals, strict=True) if total is not None]
        apart = [k for line, how in zip(lines, published, strict=True) if how is False for k in line]
        if apart:
            known.append((apart, sum(flat[k] for k in apart)))
    return known


@settings(max_examples=150, deadline=None)
@given(tables())
def test_a_table_tells_no_small_cell(given_table) -> None:
    cells, min_cell, rows, columns = given_table
    shown = suppress_table(cells, min_cell, rows, columns)
    known = equations(cells, rows, columns, shown)
    m, size = len(columns), len(rows) * len(columns)
    for i, j in product(range(len(rows)), range(m)):
        assert shown[0][i][j] in (None, cells[i][j])
        if 0 < cells[i][j] < min_cell:
            assert shown[0][i][j] is None
            assert largest([i * m + j], known, size) >= min_cell - 1e-6
    for totals, told, published in (
        ([sum(row) for row in cells], shown[1], rows),
        ([sum(column) for column in zip(*cells, strict=True)], shown[2], columns),
    ):
        for k, (total, value, how) in enumerate(zip(totals, told, published, strict=True)):
            assert value in (None, total)
            assert value == total if how is True else how is None or value in (None, 0)
            if 0 < total < min_cell:
                line = [k * m + j for j in range(m)] if told is shown[1] else [i * m + k for i in range(len(rows))]
                assert value is None and largest(line, known, size) >= min_cell - 1e-6


def test_two_cycles_joined_by_one_cell_do_not_give_it_away() -> None:
    """Two hidden in each row and column are not enough: the sums of whole rows and columns still solve (1, 1)."""
    cells = [[1, 2, 50, 50], [2, 5, 60, 50], [50, 50, 1, 2], [50, 60, 2, 1]]
    shown = suppress_table(cells, 10, [True] * 4, [True] * 4)
    known = equations(cells, [True] * 4, [True] * 4, shown)
    assert all(largest([k], known, 16) >= 10 for k in range(16) if cells[k // 4][k % 4] < 10)


def test_with_nothing_small_nothing_is_hidden() -> None:
    cells = [[0, 20], [30, 0]]
    assert suppress_table(cells, 10, [None] * 2, [None] * 2) == (cells, [20, 30], [30, 20])
    assert suppress_table([[1, 2]], 1, [None], [None] * 2) == ([[1, 2]], [3], [1, 2])
    assert suppress_table([], 10, [], [True]) == ([], [], [0])


def test_the_training_part_is_hidden_before_a_smaller_one() -> None:
    assert suppress([30, 3, 12], 10) == [30, None, None]
    assert suppress([30, 3, 12], 10, first=0) == [None, None, 12]
    assert suppress([30, 13, 12], 10, first=0) == [30, 13, 12]


def test_a_cell_that_is_told_elsewhere_stays() -> None:
    cells = [[300, 50], [40, 8], [34, 10]]
    assert suppress_table(cells, 10, [True] * 3, [None] * 2)[0] == [[300, 50], [None, None], [None, None]]
    known = suppress_table(cells, 10, [True] * 3, [None] * 2, [(2, 0), (2, 1)])
    assert known == ([[None, None], [None, None], [34, 10]], [350, 48, 44], [374, 68])


def test_a_small_total_cannot_be_shown_elsewhere() -> None:
    with pytest.raises(ValueError, match="a small cell"):
        suppress_table([[3, 0], [40, 50]], 10, [True, True], [None, None])
    with pytest.raises(ValueError, match="tell a small cell"):
        suppress_table([[3, 60], [40, 50]], 10, [True, True], [None, None], [(0, 1)])
