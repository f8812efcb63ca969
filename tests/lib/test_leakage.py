"""The certificate prints every check, zeros included; each leak that is planted here is caught."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from lib.leakage import certificate

SCHEMA = pa.schema(
    [
        ("visit_id", pa.int64()),
        ("person_id", pa.int64()),
        ("index_time", pa.timestamp("us")),
        ("part", pa.string()),
        ("text_hash", pa.binary(16)),
    ]
)
CLEAN = [
    {"visit_id": i, "person_id": i, "part": part, "day": 10 * i}
    for i, part in enumerate(["train", "tuning", "calibration", "test"])
]
LATE = {"visit_id": 9, "person_id": 0, "part": "temporal_test", "day": 400}


def certify(*rows: dict, manifests: list | None = None, **settings):
    full = [
        {
            "visit_id": row["visit_id"],
            "person_id": row["person_id"],
            "index_time": datetime(2020, 1, 1) + timedelta(days=row["day"]),
            "part": row["part"],
            "text_hash": row.get("text", f"text {row['visit_id']}").encode().ljust(16),
        }
        for row in rows
    ]
    manifests = [{"rows": 5, "counts": {"null_note_time": 0}}] if manifests is None else manifests
    settings = {"task": "t", "horizon_days": 30, "temporal_from": "2021-01-01"} | settings
    return certificate(pa.Table.from_pylist(full, SCHEMA), manifests, **settings)


def failed(found) -> list[tuple[str, int]]:
    return [(c["check"], c["value"]) for c in found["checks"] if c["verdict"] == "fail"]


def test_a_clean_cohort_passes_and_prints_its_zeros() -> None:
    found = certify(*CLEAN, LATE)
    assert found["verdict"] == "pass" and not failed(found)
    by_name = {c["check"]: c for c in found["checks"]}
    assert by_name["patients in train and test"]["value"] == 0
    seen = by_name["patients of the temporal test seen in training"]
    assert (seen["value"], seen["verdict"], seen["detail"]) == (1, "reported", "of 1; figures are given for both")


@pytest.mark.parametrize(
    ("row", "check"),
    [
        ({"visit_id": 7, "person_id": 0, "part": "test", "day": 1}, "patients in train and test"),
        ({"visit_id": 0, "person_id": 7, "part": "tuning", "day": 1, "text": "x"}, "stays in train and tuning"),
        (
            {"visit_id": 7, "person_id": 7, "part": "test", "day": 1, "text": "text 0"},
            "identical texts in train and test",
        ),
        ({"visit_id": 7, "person_id": 7, "part": "train", "day": 336}, "label windows that reach the temporal test"),
        ({"visit_id": 7, "person_id": 7, "part": "temporal_test", "day": 9}, "temporal test rows before its first day"),
        (
            {"visit_id": 7, "person_id": 7, "part": "temporal_test", "day": 399, "text": "text 1"},
            "identical texts in temporal test and before",
        ),
    ],
)
def test_each_leak_is_caught(row: dict, check: str) -> None:
    found = certify(*CLEAN, LATE, row)
    assert failed(found) == [(check, 1)] and found["verdict"] == "fail"


def test_what_a_source_does_not_know_is_not_verifiable() -> None:
    found = certify(*CLEAN, manifests=[{"rows": 5, "counts": {"null_note_time": 5}}], temporal_from=None)
    verdicts = {c["check"]: c["verdict"] for c in found["checks"]}
    assert verdicts["notes filed after the index time"] == "not verifiable"
    assert verdicts["label windows that reach the temporal test"] == "not verifiable"
