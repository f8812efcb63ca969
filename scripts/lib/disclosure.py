"""Small cells: which counts of a table may leave the private root.

A count between 1 and `min_cell` - 1 could point at persons. Hiding it alone is not enough where a total is printed,
since the rest of the table then gives it away: further counts are hidden (complementary suppression; Hundepool et al.
2012, Statistical Disclosure Control, ch. 4). `suppress` does one list with its sum; `falling` a series of which each
difference is a count too; `suppress_table` rows and columns at once. Zeros are shown: a certificate prints them too.

    >>> suppress([0, 3, 25, 40], min_cell=10)
    [0, None, None, 40]
    >>> falling([100, 97, 60, 60], min_cell=10)
    [True, True, False, False]
    >>> suppress_table([[3, 60], [40, 50], [90, 80]], 10, rows=[True] * 3, columns=[True] * 2)[0]
    [[None, None], [None, None], [90, 80]]
"""

from collections.abc import Collection, Sequence
from heapq import heappop, heappush
from itertools import pairwise, product

Shown = list[int | None]
Entry = tuple[int, int]


def suppress(counts: Sequence[int], min_cell: int, first: int | None = None) -> Shown:
    """The cells of one published total, in the same order, with hidden ones as None.

    The smallest others are hidden too, until the hidden ones are at least two and hold `min_cell` together; the one at
    `first` before them, whatever its size. `counts`: whole numbers >= 0; `min_cell`: the smallest count shown (1 shows
    all). Raises ValueError below zero.
    """
    if any(count < 0 for count in counts):
        raise ValueError("a count is negative")
    hidden = {i for i, count in enumerate(counts) if 0 < count < min_cell}
    others = sorted(
        (i for i, count in enumerate(counts) if count >= min_cell), key=lambda i: (i != first, counts[i], i)
    )
    while hidden and others and sum(counts[i] for i in hidden) < min_cell:
        hidden.add(others.pop(0))
    return [None if i in hidden else int(count) for i, count in enumerate(counts)]


def falling(values: Sequence[int], min_cell: int) -> list[bool]:
    """For a series that never rises: which of its n - 1 differences, and lastly its last value, are hidden."""
    return [shown is None for shown in suppress([*(a - b for a, b in pairwise(values)), values[-1]], min_cell)]


def derivable(hidden: Sequence[bool], i: int) -> bool:
    """Whether value i of a `falling` series follows from what is shown: all that is hidden is on one side of it."""
    return not any(hidden[:i]) or not any(hidden[i:])


def suppress_table(
    cells: Sequence[Sequence[int]],
    min_cell: int,
    rows: Sequence[bool | None],
    columns: Sequence[bool | None],
    known: Collection[Entry] = (),
) -> tuple[list[Shown], Shown, Shown]:
    """The cells, row totals and column totals of a two-way table, hidden ones as None.

    `rows`, `columns`: whether a line's total is published elsewhere: True, it is shown there and stays; False, it is
    hidden there, so the line is hidden, zeros apart, and only the sum of all such lines is taken as known; None, it
    is the table's own. `known`: cells (row, column) that stay, as they are told elsewhere. For every small count that
    is hidden, the figures shown allow `min_cell` or more. Raises ValueError if what is shown elsewhere is small, or
    tells what is.

    A count is a flow from its row to its column, and what the shown figures leave open is what can be sent around
    the cycles of hidden ones; the cheapest cycles are opened (Kelly, Golden and Assad 1992, Networks 22).
    """
    row_of, row_fixed = _joined(rows, [sum(line) for line in cells], min_cell)
    column_of, column_fixed = _joined(columns, [sum(line[j] for line in cells) for j in range(len(columns))], min_cell)
    n, m = len(row_fixed), len(column_fixed)
    values = dict.fromkeys(product(range(n + 1), range(m + 1)), 0)
    for i, j in product(range(len(rows)), range(len(columns))):
        for entry in product((row_of[i], n), (column_of[j], m)):
            values[entry] += cells[i][j]
    fixed = {(i, m) for i in range(n) if row_fixed[i]} | {(n, j) for j in range(m) if column_fixed[j]}
    fixed |= {(row_of[i], column_of[j]) for i, j in known if rows[i] is not False and columns[j] is not False}
    if any(0 < values[entry] < min_cell for entry in fixed):
        raise ValueError("a count that is shown elsewhere is a small cell")
    hidden = _Network(values, n, m, fixed).protect(min_cell)

    def told(value: int, entry: Entry, inside: bool) -> int | None:
        return None if entry in hidden or (inside and values[entry]) else int(value)

    inside = [[r is False or c is False for c in columns] for r in rows]
    shown = [
        [told(v, (row_of[i], column_of[j]), inside[i][j]) for j, v in enumerate(line)] for i, line in enumerate(cells)
    ]
    row_totals = [told(sum(line), (row_of[i], m), rows[i] is False) for i, line in enumerate(cells)]
    sums = (sum(line[j] for line in cells) for j in range(len(columns)))
    column_totals = [told(v, (n, column_of[j]), columns[j] is False) for j, v in enumerate(sums)]
    return shown, row_totals, column_totals


def _joined(published: Sequence[bool | None], totals: Sequence[int], min_cell: int) -> tuple[list[int], list[bool]]:
    """Where each line stands once those with a hidden total are one; and whether a line's total cannot be hidden."""
    kept = [i for i, how in enumerate(published) if how is not False]
    place = {i: k for k, i in enumerate(kept)}
    fixed = [published[i] is True for i in kept]
    if len(kept) < len(published):
        fixed.append(sum(t for t, how in zip(totals, published, strict=True) if how is False) >= min_cell)
    return [place.get(i, len(kept)) for i in range(len(published))], fixed


class _Network:
    """A table with its totals as a network: moving one count moves others, so that every line still adds up.

    `values`: counts by (row, column); row `n` and column `m` hold the totals, which count against their line.
    """

    def __init__(self, values: dict[Entry, int], n: int, m: int, fixed: Collection[Entry]) -> None:
        self._values, self._n, self._m = values, n, m
        self._fixed = fixed
        self._dear = sum(values.values()) + 1  # what it costs to hide a zero: more than anything else
        self._hidden = {(n, m)}  # the sum of all is not the table's to tell

    def protect(self, min_cell: int) -> set[Entry]:
        """All entries to hide so that no small one can be told from what is left."""
        small = [e for e, value in self._values.items() if 0 < value < min_cell and e != (self._n, self._m)]
        self._hidden.update(small)
        for entry in small:
            short, moved = min_cell - self._values[entry], dict[Entry, int]()
            while short > 0:
                path = self._cheapest(entry, moved)
                step = min(short, *(self._room(e, up, moved) for e, up in path))
                for e, up in path:
                    moved[e] = moved.get(e, 0) + (step if up else -step)
                self._hidden.update(e for e, _ in path)
                short -= step
        return self._hidden

    def _is_total(self, entry: Entry) -> bool:
        return (entry[0] == self._n) != (entry[1] == self._m)

    def _room(self, entry: Entry, up: bool, moved: dict[Entry, int]) -> int:
        """How far a count can move: up without end, down to zero."""
        return self._dear if up else self._values[entry] + moved.get(entry, 0)

    def _cheapest(self, target: Entry, moved: dict[Entry, int]) -> list[tuple[Entry, bool]]:
        """(entry, whether it goes up) of the cheapest way to make up for raising `target` (Dijkstra's algorithm).

        From the target's column to its row: each step from a column to a row moves an entry against the target, each
        back with it. An entry that is hidden already costs nothing, a shown one its count.
        """
        with_target = not self._is_total(target)
        start, goal = (False, target[1]), (True, target[0])  # nodes: (is a row, position)
        best, came = {start: 0}, dict[tuple[bool, int], tuple[tuple[bool, int], Entry, bool]]()
        queue, done = [(0, start)], set()
        while queue:
            cost, node = heappop(queue)
            if node in done:
                continue
            done.add(node)
            if node == goal:
                break
            is_row, k = node
            for other in range((self._m if is_row else self._n) + 1):
                following = (not is_row, other)
                entry = (k, other) if is_row else (other, k)
                if following in done or entry == target or entry in self._fixed:
                    continue
                up = (is_row == with_target) != self._is_total(entry)
                if self._room(entry, up, moved) <= 0:
                    continue
                price = 0 if entry in self._hidden else self._values[entry] or self._dear
                if cost + price < best.get(following, cost + price + 1):
                    best[following] = cost + price
                    came[following] = (node, entry, up)
                    heappush(queue, (cost + price, following))
        if goal not in came:
            raise ValueError("the totals that are shown elsewhere tell a small cell")
        path, node = [], goal
        while node != start:
            node, entry, up = came[node]
            path.append((entry, up))
        return path
