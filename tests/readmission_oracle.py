"""What readmission means, once more: a slow reading of the cohorts' contract that knows nothing of the queries.

It reads histories as `timelines.yaml` writes them, one patient at a time, and `random_history` invents such histories
with a liking for edges: the same minute, the same day, exactly 30 days, 72 hours, missing times.
"""

import random
from datetime import datetime, timedelta
from typing import Any

EXCLUDED = ("Rehabilitation", "Dialysis", "Palliative care")
HORIZON = timedelta(days=30)


def expected(told: dict[str, Any], known_until: datetime, choices: dict[str, Any]) -> dict[int, Any]:
    """Label (0, 1) or reason by stay, for stays that are rows of the discharge cohort."""
    rows = {}
    for number, stay in told["stays"].items():
        if stay["kind"] in ("inpatient", "emergency to inpatient") and stay["out"] != "still in":
            rows[number] = _outcome(told, number, known_until, choices)
    return rows


def _outcome(told: dict[str, Any], number: int, known_until: datetime, choices: dict[str, Any]) -> Any:
    stay = told["stays"][number]
    discharge = _end(stay["out"])
    filed = [n for n in told["notes"] if n.get("stay") == number and n["class"] == "summary" and "addendum" not in n]
    if not choices["use_dates"]:
        filed = [n for n in filed if _has_time(n["filed"])]
    if not filed:
        return "no_note"
    first = min(_end(n["filed"]) for n in filed)
    if first - discharge > timedelta(hours=72):
        return "late_note"
    index = max(discharge, first)
    born_here = _start(stay["in"]).date() == _start(told["born"]).date() or stay["department"] == "Newborn"
    if born_here and not choices["count_newborns"]:
        return "newborn"
    death = told.get("died")
    if death is not None and _end(death) > known_until:
        death = None
    if stay["to"] == "died" or (death is not None and _start(death) <= discharge):
        return "died_in_hospital"
    if stay["department"] in EXCLUDED:
        return "excluded_department"
    if stay["to"] == "against advice" and not choices["count_against_advice"]:
        return "left_against_advice"
    events = _readmissions(told, number, known_until, choices)
    if any(event <= index for event in events) or (death is not None and _end(death) <= index):
        return "event_before_index"
    for other in _inpatient(told, number):
        began_before = _start(other["in"]).date() < discharge.date()
        if began_before and (other["out"] == "still in" or _end(other["out"]) > discharge):
            return "still_in_hospital"
    horizon = discharge + HORIZON
    if choices["readmission_by_date"]:
        horizon = horizon.replace(hour=23, minute=59, second=59)
    if max(index + HORIZON, horizon) > known_until:
        return "follow_up_incomplete"
    readmitted = any(index < event <= horizon for event in events)
    if not readmitted and death is not None and _end(death) <= horizon and not choices["death_is_negative"]:
        return "undetermined"
    if not choices["use_dates"] and not (_has_time(stay["in"]) and _has_time(stay["out"])):
        return "undetermined"
    return int(readmitted)


def _readmissions(told: dict[str, Any], number: int, known_until: datetime, choices: dict[str, Any]) -> list[datetime]:
    """When later stays begin. One on the day of discharge is a transfer: it counts only if transfers do."""
    discharge = _end(told["stays"][number]["out"])
    kinds = ["inpatient", "emergency to inpatient"] + (["observation"] if choices["observation"] else [])
    events = []
    for other_number, other in told["stays"].items():
        start = _start(other["in"])
        if other_number == number or other["kind"] not in kinds or start > known_until:
            continue
        if other["out"] != "still in" and _end(other["out"]) <= discharge:
            continue
        if start.date() > discharge.date() or (start.date() == discharge.date() and choices["count_transfers"]):
            events.append(max(start, discharge))
    return events


def _inpatient(told: dict[str, Any], number: int) -> list[dict[str, Any]]:
    kinds = ("inpatient", "emergency to inpatient")
    return [stay for n, stay in told["stays"].items() if n != number and stay["kind"] in kinds]


def _has_time(told: str) -> bool:
    return len(told) > 10


def _start(told: str) -> datetime:
    return datetime.fromisoformat(told)


def _end(told: str) -> datetime:
    moment = datetime.fromisoformat(told)
    return moment if _has_time(told) else moment.replace(hour=23, minute=59, second=59)


def random_history(draw: random.Random) -> dict[str, Any]:
    """One to five stays, with their notes, perhaps a death, in 2014."""
    now = datetime(2014, 1, 1) + timedelta(days=draw.randrange(60), minutes=draw.randrange(1440))
    stays: dict[int, Any] = {}
    notes: list[dict[str, Any]] = []
    told: dict[str, Any] = {"born": "1950-06-15", "stays": stays, "notes": notes}
    if draw.random() < 0.05:
        told["born"] = str(now.date())
    for number in range(1, draw.choice((1, 2, 2, 3, 3, 4, 5)) + 1):
        end = now + timedelta(days=draw.choice((0, 1, 3, 10, 40)), minutes=draw.randrange(1, 1200))
        stays[number] = {
            "in": _told(draw, now),
            "out": "still in" if draw.random() < 0.03 else _told(draw, end),
            "kind": draw.choice(("inpatient",) * 6 + ("emergency to inpatient", "emergency", "observation")),
            "department": draw.choice(("Medicine",) * 6 + ("Surgery", "Newborn", *EXCLUDED)),
            "to": draw.choice(("home",) * 8 + ("died", "against advice")),
            "history": "none",
            "summary": "none",
        }
        for _ in range(draw.choice((0, 1, 1, 1, 1, 2))):
            delay = draw.choice((-2880, 0, 0, 0, 1, 600, 2000, 4319, 4320, 4321))
            note = {"stay": number, "class": draw.choice(("summary",) * 9 + ("progress",))}
            note["filed"] = _told(draw, end + timedelta(minutes=delay))
            if draw.random() < 0.15:
                note |= {"addendum": True}
            notes.append(note)
        # The next stay: within this one, the same minute, the same day, the next, around day 30, later.
        gap = draw.choice((-1500, 0, 1, 30, 300, 1440, 4000, 20000, 43199, 43200, 43201, 43900, 44640, 90000))
        now = end + timedelta(minutes=gap)
    if draw.random() < 0.2:
        death = end + timedelta(minutes=draw.choice((-60, 0, 1, 300, 3000, 30000, 43200, 50000)))
        told["died"] = _told(draw, death)
    return told


def _told(draw: random.Random, moment: datetime) -> str:
    """To the minute; one in eight times the warehouse has the date only."""
    return f"{moment:%Y-%m-%d}" if draw.random() < 0.125 else f"{moment:%Y-%m-%d %H:%M}"
