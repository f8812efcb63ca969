"""Splits as a function, not a draw: a keyed hash of the patient decides the part of all their stays.

It needs no global step, does not depend on the order of rows, and moves no patient when data are added. The hash is
of the key's decimal or UTF-8 text, so it is equal from every source.
"""

import hashlib
from collections.abc import Mapping

PARTS = ("train", "tuning", "calibration", "test")
TEMPORAL = "temporal_test"


def uniform(key: int | str, salt: str) -> float:
    """A number in [0, 1) for `key`: the first 53 bits of its BLAKE2b hash keyed by `salt` (RFC 7693)."""
    keyed = hashlib.blake2b(salt.encode(), digest_size=64).digest()  # any length of salt becomes a key
    digest = hashlib.blake2b(str(key).encode(), key=keyed, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def part_of(key: int | str, salt: str, shares: Mapping[str, float]) -> str:
    """The part of a patient: train, tuning, calibration or test, in proportion to `shares` (which add up to 1)."""
    position, reached = uniform(key, salt), 0.0
    for part in PARTS:
        reached += shares[part]
        if position < reached:
            return part
    return next(part for part in reversed(PARTS) if shares[part] > 0)  # rounding of the last border
