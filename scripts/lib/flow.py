"""The cohort flow of a task: from all stays down to the parts, what fell out at each step and why (TRIPOD+AI 20a).

It starts at stays, with a note or without, never increases, and adds up: the stays dropped at a step and those that
remain are those before it. Stays of patients who opted out are left out before, and counted apart. Small cells and
their complements are hidden.
"""

from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import REASONS
from lib.disclosure import suppress
from lib.eligibility import STEPS
from lib.splits import PARTS, TEMPORAL
from lib.stage import StageError

TITLES = {
    "stays": "Stays in the cohort's windows",
    "note": "with an eligible note",
    "text": "with a text of their own",
    "label": "with a known label",
    "gap": "clear of the temporal test",
}


def count(rows: pa.Table, classes: int) -> dict[str, Any]:
    """Patients, stays and labelled stays by class. `rows` has person_id and label (null where unknown)."""
    labels = rows["label"]
    by_class = [pc.sum(pc.equal(labels, k)).as_py() or 0 for k in range(classes)]
    return {"patients": pc.count_distinct(rows["person_id"]).as_py(), "stays": rows.num_rows, "classes": by_class}


def cohort_flow(rows: pa.Table, task: str, classes: int, min_cell: int, opted_out: int) -> dict[str, Any]:
    """The flow as JSON: `steps` (step, title, patients, stays, classes, events, dropped), `parts` and `opted_out`.

    `rows` is the eligibility table; `opted_out` counts the stays that never left the warehouse. `events` counts label 1
    of a binary task, else it is null. A hidden cell is null.
    """
    steps = [{"step": "stays", "title": TITLES["stays"], **count(rows, classes), "dropped": []}]
    remaining = rows
    for step in STEPS:
        fallen = remaining.filter(pc.equal(remaining["step"], step))
        reasons = fallen["reason"].value_counts().to_pylist()
        if unknown := sum(r["counts"] for r in reasons if step in ("note", "label") and r["values"] not in REASONS):
            raise StageError(
                f"{unknown} stays fell out at step {step} for an unknown reason; decide on eligibility again"
            )
        dropped = sorted(({"reason": r["values"], "stays": r["counts"]} for r in reasons), key=lambda d: d["reason"])
        remaining = remaining.filter(pc.fill_null(pc.not_equal(remaining["step"], step), True))
        steps.append({"step": step, "title": TITLES[step], **count(remaining, classes), "dropped": dropped})
    _check(steps)
    names = sorted(part for part in rows["part"].unique().to_pylist() if part)
    if unknown := len(set(names) - {*PARTS, TEMPORAL}):
        raise StageError(f"{unknown} of {len(names)} parts are unknown; decide on eligibility again")
    parts = {part: count(rows.filter(pc.equal(rows["part"], part)), classes) for part in names}
    if sum(part["stays"] for part in parts.values()) != steps[-1]["stays"]:
        raise AssertionError("the parts do not add up to the last step")
    for described in (*steps, *parts.values()):
        _publish(described, min_cell)
    left_out = suppress([opted_out], min_cell)[0]
    return {"task": task, "unit": "stays", "opted_out": left_out, "steps": steps, "parts": parts}


def _check(steps: list[dict[str, Any]]) -> None:
    for before, after in pairwise(steps):
        if before["stays"] - sum(d["stays"] for d in after["dropped"]) != after["stays"]:
            raise AssertionError(f"step {after['step']} does not add up")


def _publish(described: dict[str, Any], min_cell: int) -> None:
    """Hide small cells in place; `events` is what a binary task calls its positives."""
    stays = described["stays"]
    if "dropped" in described:
        shown = suppress([stays, *(d["stays"] for d in described["dropped"])], min_cell)
        described["stays"] = shown[0]
        for cell, value in zip(described["dropped"], shown[1:], strict=True):
            cell["stays"] = value
    else:
        described["stays"] = suppress([stays], min_cell)[0]
    described["patients"] = suppress([described["patients"]], min_cell)[0]
    described["classes"] = suppress(described["classes"], min_cell)
    described["events"] = described["classes"][1] if len(described["classes"]) == 2 else None
