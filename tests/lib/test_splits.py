"""The split is a function of the patient's key: stable, proportional, equal from every source."""

from hypothesis import given
from hypothesis import strategies as st

from lib.splits import PARTS, part_of, uniform

SHARES = {"train": 0.7, "tuning": 0.1, "calibration": 0.1, "test": 0.1}


def test_known_values_never_move() -> None:
    """Literal expectations: a change of the hash would move patients of finished runs."""
    assert uniform(10000032, "notecast-demo") == 0.9224898574055393
    assert uniform("10000032", "notecast-demo") == 0.9224898574055393
    assert [part_of(key, "salt", SHARES) for key in (1, 2, 3)] == ["tuning", "train", "train"]


def test_shares_are_met() -> None:
    n = 40_000
    counts = dict.fromkeys(PARTS, 0)
    for key in range(n):
        counts[part_of(key, "x", SHARES)] += 1
    for part, share in SHARES.items():
        spread = (n * share * (1 - share)) ** 0.5
        assert abs(counts[part] - n * share) < 4 * spread


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text()), st.text(max_size=200))
def test_any_key_and_salt_has_a_part(key: int | str, salt: str) -> None:
    assert 0 <= uniform(key, salt) < 1
    assert part_of(key, salt, SHARES) in PARTS
    assert part_of(key, salt, {"train": 0, "tuning": 0, "calibration": 0, "test": 1}) == "test"


def test_another_salt_is_another_split() -> None:
    one, other = ([part_of(key, salt, SHARES) for key in range(500)] for salt in ("a", "b"))
    assert one != other
