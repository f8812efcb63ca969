"""What readmission means, once more: a slow reading of the cohorts' contract that knows nothing of the queries.

It reads histories as `timelines.yaml` writes them, one patient at a time, and answers as `expect` does there.
"""

from datetime import datetime, timedelta
from typing import Any

from history import INPATIENT, born_there, eligible, end, has_times, in_progress, kind, minutes, start
from omop_db import KINDS


def expected(told: dict[str, Any], known_until: datetime, choices: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Index time, texts, and the label or reason by stay; `choices` are parameters, clocks and the window."""
    return {number: _row(told, number, known_until, choices) for number in told["stays"]}


def _row(told: dict[str, Any], number: int, known_until: datetime, choices: dict[str, Any]) -> dict[str, Any]:
    stay = told["stays"][number]
    first, last = map(start, choices["window"])
    if kind(stay) not in INPATIENT or in_progress(stay):
        return {"discharge": "no row", "discharge_texts": []}
    index, reason = _index(told, number, choices)
    if not first <= (index or end(stay["out"])) < last:
        return {"discharge": "no row", "discharge_texts": []}
    if index is None:
        return {"discharge": "none", "discharge_texts": [], "readmission": reason}
    texts = [text for text, note in _eligible(told, number, choices) if end(note["filed"]) <= index]
    outcome = _outcome(told, number, index, known_until, choices)
    return {"discharge": minutes(index), "discharge_texts": texts, "readmission": outcome}


def _eligible(told: dict[str, Any], number: int, choices: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Texts and facts of this stay's summaries, addenda included."""
    return list(eligible(told, number, "summary", choices))


def _index(told: dict[str, Any], number: int, choices: dict[str, Any]) -> tuple[datetime | None, str | None]:
    """When the prediction is made, or why it is not."""
    discharge = end(told["stays"][number]["out"])
    filed = [end(note["filed"]) for _, note in _eligible(told, number, choices) if not note.get("addendum")]
    if not filed:
        return None, "no_note"
    if min(filed) - discharge > timedelta(hours=choices["max_delay_hours"]):
        return None, "late_note"
    return max(discharge, min(filed)), None


def _outcome(told: dict[str, Any], number: int, index: datetime, known_until: datetime, choices: dict[str, Any]) -> Any:
    """The label, or the first reason of the list that applies to a stay that has an index time."""
    stay = told["stays"][number]
    discharge, death = end(stay["out"]), told.get("died")
    days = timedelta(days=choices["readmission_horizon_days"])
    horizon = discharge + days
    if choices["readmission_by_date"]:
        horizon = horizon.replace(hour=23, minute=59, second=59)
    known = max(index + days, horizon) + timedelta(days=choices["readmission_maturity_days"])
    died = None if death is None or end(death) > known_until else end(death)
    department = stay.get("department", "Medicine")
    if born_there(told, stay, choices) and not choices["count_newborns"]:
        return "newborn"
    if stay.get("to") == "died" or (died is not None and start(death) <= discharge):
        return "died_in_hospital"
    if department in choices["excluded_departments"]:
        return "excluded_department"
    if stay.get("to") == "against advice" and not choices["count_against_advice"]:
        return "left_against_advice"
    events = _readmissions(told, number, known_until, choices)
    if any(event <= index for event in events) or (died is not None and died <= index):
        return "event_before_index"
    if _lies_in_another(told, number, discharge):
        return "still_in_hospital"
    if known > known_until:
        return "follow_up_incomplete"
    readmitted = any(index < event <= horizon for event in events)
    if not readmitted and died is not None and died <= horizon and not choices["death_is_negative"]:
        return "undetermined"
    return int(readmitted) if choices["use_dates"] or has_times(stay) else "undetermined"


def _readmissions(told: dict[str, Any], number: int, known_until: datetime, choices: dict[str, Any]) -> list[datetime]:
    """When later stays begin. One on the day of discharge is a transfer: it counts only if transfers do."""
    discharge = end(told["stays"][number]["out"])
    events = []
    for other_number, other in told["stays"].items():
        begins = start(other["in"])
        counts = KINDS[kind(other)] in choices["readmission_visits"] and (
            choices["count_planned"] or other.get("mark") not in choices["planned_values"]
        )
        if other_number == number or not counts or begins > known_until:
            continue
        if not in_progress(other) and end(other["out"]) <= discharge:
            continue
        if begins.date() > discharge.date() or (begins.date() == discharge.date() and choices["count_transfers"]):
            events.append(max(begins, discharge))
    return events


def _lies_in_another(told: dict[str, Any], number: int, discharge: datetime) -> bool:
    """Does another stay, begun on an earlier day, go on at this discharge?"""
    others = [stay for n, stay in told["stays"].items() if n != number and kind(stay) in INPATIENT]
    began = [stay for stay in others if start(stay["in"]).date() < discharge.date()]
    return any(in_progress(stay) or end(stay["out"]) > discharge for stay in began)
