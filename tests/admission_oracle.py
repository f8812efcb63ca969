"""What the admission cohort means, once more: a slow reading of the cohorts' contract that knows nothing of the query.

It reads histories as `timelines.yaml` writes them, one patient at a time, and answers as `expect` does there.
"""

from datetime import datetime, timedelta
from typing import Any

import charlson_oracle
from history import INPATIENT, born_there, eligible, end, has_times, in_progress, kind, minutes, start


def expected(told: dict[str, Any], known_until: datetime, choices: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Index time, texts, and four labels or reasons by stay; `choices` are parameters, clocks and the window."""
    return {number: _row(told, number, known_until, choices) for number in told["stays"]}


def _row(told: dict[str, Any], number: int, known_until: datetime, choices: dict[str, Any]) -> dict[str, Any]:
    stay = told["stays"][number]
    index, reason = _index(told, number, choices)
    first, last = map(start, choices["window"])
    if kind(stay) not in INPATIENT or not first <= (index or start(stay["in"])) < last:
        return {"admission": "no row", "admission_texts": []}
    row: dict[str, Any] = {"admission": "none", "admission_texts": []}
    if index is not None:
        row = {"admission": minutes(index), "admission_texts": _texts(told, number, index, choices)}
    for name, label in LABELS.items():
        row[name] = reason or _outcome(told, number, index, name, label, known_until, choices)
    return row


def _outcome(
    told: dict[str, Any], number: int, index: Any, name: str, label: Any, known_until: datetime, choices: dict[str, Any]
) -> Any:
    """The label, or the first reason of the list that applies to a stay that has an index time."""
    stay = told["stays"][number]
    horizon = timedelta(days=choices[f"{name}_horizon_days"])
    known = index + horizon + timedelta(days=choices[f"{name}_maturity_days"])
    if born_there(told, stay, choices) and not choices["count_newborns"]:
        return "newborn"
    left = _left(told, stay, known_until)
    if name != "denial" and (left is None or left > start(stay["in"]) + horizon):
        return "still_in_hospital"
    if known > known_until:
        return "follow_up_incomplete"
    found = label(told, stay, known, choices)
    if found in ("uncoded", "no_claim"):
        return found
    return found if choices["use_dates"] or has_times(stay) else "undetermined"


def _index(told: dict[str, Any], number: int, choices: dict[str, Any]) -> tuple[datetime | None, str | None]:
    """When the prediction is made, or why it is not: no history filed in hospital, or too late to be of use."""
    stay = told["stays"][number]
    admitted = start(stay["in"])
    filed = [end(note["filed"]) for _, note in _eligible(told, number, choices) if not note.get("addendum")]
    if not filed:
        return None, "no_note"
    first = min(filed)
    too_late = first > admitted + timedelta(hours=choices["max_delay_hours"])
    has_left = not in_progress(stay) and first > end(stay["out"])
    dies_there = stay.get("to") == "died" and not in_progress(stay)
    has_died = ("died" in told and end(told["died"]) <= first) or (dies_there and end(stay["out"]) <= first)
    return (None, "late_note") if too_late or has_left or has_died else (first, None)


def _left(told: dict[str, Any], stay: dict[str, Any], known_until: datetime) -> datetime | None:
    """The discharge, or the death of a patient whose stay was never closed; None while the data know of neither."""
    last = told.get("died") if in_progress(stay) else stay["out"]
    return None if last is None or end(last) > known_until else end(last)


def _eligible(told: dict[str, Any], number: int, choices: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Texts and facts of the histories of this stay that were filed during it, addenda included."""
    admitted = start(told["stays"][number]["in"])
    filed = eligible(told, number, "history", choices)
    return [(text, note) for text, note in filed if end(note["filed"]) >= admitted]


def _texts(told: dict[str, Any], number: int, index: datetime, choices: dict[str, Any]) -> list[str]:
    return [text for text, note in _eligible(told, number, choices) if end(note["filed"]) <= index]


def _mortality(told: dict[str, Any], stay: dict[str, Any], known: datetime, choices: dict[str, Any]) -> int:
    """A death on the day of discharge, without a time, was in hospital; so is one in a stay that was never closed."""
    dies_there = in_progress(stay) or stay.get("to") == "died"
    return int(dies_there or ("died" in told and start(told["died"]) <= end(stay["out"])))


def _days(told: dict[str, Any], stay: dict[str, Any], known: datetime, choices: dict[str, Any]) -> int:
    last = told["died"] if in_progress(stay) else stay["out"]
    return (start(last).date() - start(stay["in"]).date()).days


def _charlson(told: dict[str, Any], stay: dict[str, Any], known: datetime, choices: dict[str, Any]) -> Any:
    dated = [code if isinstance(code, list) else [code, str(stay["out"])[:10]] for code in stay.get("codes", ())]
    arrived = [(code, day) for code, day in dated if end(day) <= known]
    return charlson_oracle.points(arrived, choices["icd10_from"]) if arrived else "uncoded"


def _denial(told: dict[str, Any], stay: dict[str, Any], known: datetime, choices: dict[str, Any]) -> Any:
    """Any initial rejection is positive; a claim that is not decided by then is as good as pending."""
    claims = [claim for claim in stay.get("claims", ()) if end(claim[1]) <= known]
    if not claims:
        return "no_claim"
    decided = [status for status, _, day in claims if day != "none" and end(day) <= known]
    if any(status in choices["denied_statuses"] for status in decided):
        return 1
    paid = [status for status in decided if status in choices["paid_statuses"]]
    return 0 if len(paid) == len(claims) else "undetermined"


LABELS = {"mortality": _mortality, "length_of_stay_days": _days, "charlson": _charlson, "denial": _denial}
