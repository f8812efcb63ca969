"""Small cells: which counts of a table may leave the private root.

A count between 1 and `min_cell` - 1 could point at persons. Hiding it alone is not enough where the total is printed,
since the rest of the table then gives it away: further cells are hidden, the smallest first, until the hidden ones are
at least two and hold `min_cell` together (complementary suppression; Hundepool et al. 2012, Statistical Disclosure
Control, ch. 4). Zeros are shown: a certificate prints them too.

    >>> suppress([0, 3, 25, 40], min_cell=10)
    [0, None, None, 40]
"""

from collections.abc import Sequence


def suppress(counts: Sequence[int], min_cell: int) -> list[int | None]:
    """The cells of one published total, in the same order, with hidden ones as None.

    `counts`: whole numbers >= 0; `min_cell`: the smallest count shown (1 shows all). Raises ValueError below zero.
    """
    if any(count < 0 for count in counts):
        raise ValueError("a count is negative")
    hidden = {i for i, count in enumerate(counts) if 0 < count < min_cell}
    others = sorted((i for i, count in enumerate(counts) if count >= min_cell), key=lambda i: (counts[i], i))
    while hidden and others and sum(counts[i] for i in hidden) < min_cell:
        hidden.add(others.pop(0))
    return [None if i in hidden else int(count) for i, count in enumerate(counts)]
