"""Sharing: keys that tell nothing, groups that are never small, and a secret that is drawn once."""

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import sharing
from lib.sharing import OTHER, coarse
from lib.stage import StageError


def drawn(path: Path) -> bytes:
    return sharing.secret(path)


def test_the_secret_is_drawn_once_whoever_asks_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "share.key"
    with multiprocessing.get_context("fork").Pool(8) as pool:
        values = set(pool.map(drawn, [path] * 40))
    assert len(values) == 1 and len(values.pop()) == 32
    assert path.stat().st_mode & 0o777 == 0o600 and [p.name for p in tmp_path.iterdir()] == ["share.key"]
    assert sharing.secret(tmp_path / "other.key") != sharing.secret(path)


@pytest.mark.parametrize("content", ["", "abcd", "no digits"])
def test_a_damaged_secret_is_told_and_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "share.key").write_text(content, encoding="ascii")
    with pytest.raises(StageError, match="does not hold a secret; remove it"):
        sharing.secret(tmp_path / "share.key")
    assert (tmp_path / "share.key").read_text() == content


def test_keys_differ_by_secret_task_and_meaning_and_not_by_type_of_id() -> None:
    keys = sharing.keyed(b"s" * 32, "readmission")
    found = keys("row", [1, 2, 12]) + keys("cluster", [1, 2, 12])
    found += sharing.keyed(b"t" * 32, "readmission")("row", [1, 2, 12])
    found += sharing.keyed(b"s" * 32, "mortality")("row", [1, 2, 12])
    assert len(set(found)) == 12 and all(len(key) == 32 for key in found)
    assert keys("row", ["1", "2"]) == keys("row", [1, 2])


def test_small_values_and_small_combinations_are_pooled() -> None:
    ages = ["young"] * 20 + ["old"] * 20 + ["very old"] * 3
    sexes = ["f", "m"] * 10 + ["f"] * 16 + ["m"] * 4 + ["f"] * 3
    age, sex = coarse([ages, sexes], range(43), 5)
    # three very old have no value of their own; with the four old men, whose combination is small, they are seven
    assert list(zip(age, sex, strict=True)) == (
        list(zip(ages[:20], sexes[:20], strict=True)) + [("old", "f")] * 16 + [(OTHER, OTHER)] * 7
    )


def test_patients_count_and_not_rows() -> None:
    assert coarse([["a"] * 10 + ["b"] * 5], [0] * 10 + list(range(1, 6)), 5) == [[OTHER] * 15]
    assert coarse([["a"] * 10 + ["b"] * 5], list(range(15)), 5) == [["a"] * 10 + ["b"] * 5]
    assert coarse([[None] * 5 + ["b"] * 5], list(range(10)), 5) == [[OTHER] * 5 + ["b"] * 5]
    assert coarse([], [], 5) == [] and coarse([], [1, 2], 5) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["x", "y", None]), st.integers(0, 25)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 12),
)
def test_no_cell_is_small_unless_there_is_one_only(rows: list, least: int) -> None:
    groups, persons = [[row[i] for row in rows] for i in (0, 1)], [row[2] for row in rows]
    shown = coarse(groups, persons, least)
    for cells in (*shown, list(zip(*shown, strict=True))):
        members = {cell: {p for c, p in zip(cells, persons, strict=True) if c == cell} for cell in cells}
        assert len(members) == 1 or min(map(len, members.values())) >= least
    for i in (0, 1):
        assert all(new in (old, OTHER) for old, new in zip(groups[i], shown[i], strict=True))
