"""Splits as a function, not a draw: a keyed hash of the patient decides the part of all their stays.

It needs no global step, does not depend on the order of rows, and moves no patient when data are added. The hash is
of the key's decimal or UTF-8 text, so it is equal from every source.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lib.stage import StageError

PARTS = ("train", "tuning", "calibration", "test")
TEMPORAL = "temporal_test"
SECRET_LENGTH = 16  # characters of a salt from the environment, so that its fingerprint cannot be guessed back


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


def temporal_begin(temporal_from: str | None, first_temporal: Mapping[Any, datetime], patient: Any) -> datetime | None:
    """When the temporal test begins for a patient: on the day, or, of periods, with the patient's first stay in it."""
    return datetime.fromisoformat(temporal_from) if temporal_from else first_temporal.get(patient)


def fingerprint(salt: str) -> str:
    """16 hexadecimal digits that tell two salts apart: what settings and records hold of a secret one."""
    return hashlib.blake2b(salt.encode(), digest_size=8, person=b"fingerprint").hexdigest()


def salt_of(settings: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """The salt that a job's settings give or name. Raises StageError where the environment has another or none."""
    if "salt" in settings:
        return str(settings["salt"])
    name = settings["salt_env"]
    salt = environment.get(name, "")
    if fingerprint(salt) != settings["salt_fingerprint"]:
        state = "another than when the job was planned" if salt else "not set where the job runs"
        raise StageError(f"the environment's variable {name} (split.salt_env) is {state}")
    return salt
