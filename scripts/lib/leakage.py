"""The leakage certificate of a task: each check with its number, its limit and a verdict, zeros included.

Patients in two parts and identical texts in two parts are the leaks most often found in published models (Kapoor and
Narayanan, Patterns 2023); a label window that reaches into the temporal test is a third. What a source does not know
(a filing time, for instance) is "not verifiable", never zero.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.splits import PARTS, TEMPORAL

Check = dict[str, Any]


def check(name: str, value: int | None, limit: int | None, detail: str) -> Check:
    verdict = "not verifiable" if value is None else "reported" if limit is None or value <= limit else "fail"
    if limit is not None and value is not None and value <= limit:
        verdict = "pass"
    return {"check": name, "value": value, "limit": limit, "verdict": verdict, "detail": detail}


def certificate(
    rows: pa.Table, manifests: list[dict[str, Any]], task: str, horizon_days: int, temporal_from: str | None
) -> dict[str, Any]:
    """{"task", "checks": [{"check", "value", "limit", "verdict", "detail"}], "verdict"} from the eligible rows.

    `rows`: visit_id, person_id, index_time, part, text_hash of every stay (part null: not in). `manifests`: of the
    text extracts, for what is known of note times. The verdict is "fail" if any check fails.
    """
    rows = rows.filter(pc.is_valid(rows["part"]))
    checks = [*_between_parts(rows), *_times(rows, manifests, horizon_days, temporal_from)]
    return {
        "task": task,
        "checks": checks,
        "verdict": "fail" if any(c["verdict"] == "fail" for c in checks) else "pass",
    }


def _between_parts(rows: pa.Table) -> Iterator[Check]:
    parts = rows["part"].to_pylist()
    for column, what in (("person_id", "patients"), ("visit_id", "stays"), ("text_hash", "identical texts")):
        held: dict[str, set[Any]] = {part: set() for part in (*PARTS, TEMPORAL)}
        for part, key in zip(parts, rows[column].to_pylist(), strict=True):
            held[part].add(key)
        for one, other in combinations(PARTS, 2):
            shared = len(held[one] & held[other])
            yield check(f"{what} in {one} and {other}", shared, 0, "the parts must not share any")
        if column != "person_id":
            earlier = set().union(*(held[part] for part in PARTS))
            yield check(f"{what} in temporal test and before", len(earlier & held[TEMPORAL]), 0, "none may be shared")
        else:
            seen, all_of = len(held["train"] & held[TEMPORAL]), len(held[TEMPORAL])
            yield check(
                "patients of the temporal test seen in training", seen, None, f"of {all_of}; figures are given for both"
            )


def _times(
    rows: pa.Table, manifests: list[dict[str, Any]], horizon_days: int, temporal_from: str | None
) -> Iterator[Check]:
    counts = [manifest["counts"] for manifest in manifests]
    notes = sum(manifest["rows"] for manifest in manifests)
    untimed = sum(count["null_note_time"] for count in counts)
    # A later note stops `extract`, so what is left to know is how many notes have a time at all.
    yield check(
        "notes filed after the index time",
        None if notes and untimed == notes else 0,
        0,
        f"{untimed} of {notes} notes have no time" if untimed else f"checked on all {notes} notes",
    )
    if temporal_from is None:
        yield check("label windows that reach the temporal test", None, 0, "the split has no temporal_from")
        return
    begins = datetime.fromisoformat(temporal_from)
    earlier = rows.filter(pc.not_equal(rows["part"], TEMPORAL))
    reaching = sum(t + timedelta(days=horizon_days) >= begins for t in earlier["index_time"].to_pylist())
    yield check(
        "label windows that reach the temporal test", reaching, 0, f"{horizon_days} days before {temporal_from}"
    )
    late = rows.filter(pc.equal(rows["part"], TEMPORAL))["index_time"].to_pylist()
    yield check("temporal test rows before its first day", sum(t < begins for t in late), 0, "by index time")
