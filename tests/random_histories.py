"""Random histories of invented patients with a liking for edges: the same minute, the same day, exactly 30 days, 72
hours, 24 hours, 60 days, missing times. And the seeds, settings and ends of data that they are tried with.
"""

import random
from datetime import datetime, timedelta
from typing import Any

from charlson_oracle import NINE, TEN
from history import STILL_IN, minutes
from omop_db import KINDS, PARAMETERS

SEEDS, PEOPLE = (20260611, 20260612), 300
DATA_ENDS = ("2014-04-20", "2014-07-20", "2021-01-01")
ICD10_FROM = datetime(2015, 10, 1)
DEPARTMENTS = ("Medicine",) * 6 + ("Surgery", "Newborn", *PARAMETERS["discharge"]["excluded_departments"])
STATUSES = ("paid",) * 4 + ("pending", "void", *PARAMETERS["admission"]["denied_statuses"])
_COMMON: list[dict[str, Any]] = [
    {},
    {"use_dates": False},
    {"notes_by_time": True},
    {"notes_by_time": True, "use_dates": False},
    {"count_newborns": True},
    {"newborn_departments": []},
    {"newborn_age_days": 30},
    {"window": ["2014-02-10", "2014-03-03 12:00"]},
]
CHOICES = {
    "discharge": [
        *_COMMON,
        {"max_delay_hours": 24},
        {"count_transfers": True},
        {"count_planned": False, "planned_values": ["ELECTIVE"]},
        {"count_planned": True, "planned_values": ["ELECTIVE"]},
        {"readmission_visits": [KINDS[kind] for kind in ("inpatient", "emergency to inpatient", "observation")]},
        {"readmission_by_date": True},
        {"count_against_advice": False},
        {"death_is_negative": False},
        {"excluded_departments": ["Surgery"]},
        {"readmission_horizon_days": 10, "readmission_maturity_days": 25},
        {"count_transfers": True, "count_against_advice": False, "count_newborns": True, "death_is_negative": False}
        | {"readmission_by_date": True, "readmission_visits": [9201, 262, 581385]},
    ],
    "admission": [
        *_COMMON,
        {"max_delay_hours": 48},
        {"denied_statuses": ["final, adverse determination"], "paid_statuses": ["paid", "void"]},
        {"denied_statuses": [], "paid_statuses": []},
        {"icd10_from": "2015-09-01"},
        {"mortality_horizon_days": 3, "mortality_maturity_days": 40},
        {"length_of_stay_days_horizon_days": 10, "length_of_stay_days_maturity_days": 5},
        {"charlson_horizon_days": 40, "charlson_maturity_days": 0},
        {"denial_horizon_days": 30, "denial_maturity_days": 10},
        {"count_newborns": True, "use_dates": False, "max_delay_hours": 12, "mortality_horizon_days": 10}
        | {"charlson_maturity_days": 10, "denial_maturity_days": 20},
    ],
}
Told = dict[str, Any]


def histories(seed: int) -> dict[int, Told]:
    """By person, from 1."""
    draw = random.Random(seed)
    return {person: random_history(draw) for person in range(1, PEOPLE + 1)}


def random_history(draw: random.Random) -> Told:
    """One to five stays with notes, codes and claims, perhaps a death; in 2014, or around the change to ICD-10-CM."""
    now = datetime(*draw.choice(((2014, 1, 1), (2014, 1, 1), (2014, 1, 1), (2015, 8, 10))))
    now += timedelta(days=draw.randrange(60), minutes=draw.randrange(1440))
    told: Told = {"stays": {}, "notes": []}
    if draw.random() < 0.1:
        told["born"] = f"{now - timedelta(days=draw.choice((0, 0, 1, 29, 30))):%Y-%m-%d}"
    spans = []
    for number in range(1, draw.choice((1, 2, 2, 3, 3, 4, 5)) + 1):
        end = now + _length(draw)
        told["stays"][number] = _stay(draw, now, end)
        told["notes"] += [_history(draw, number, now, end) for _ in range(draw.choice((0, 1, 1, 1, 1, 2)))]
        told["notes"] += [_summary(draw, number, end) for _ in range(draw.choice((0, 1, 1, 1, 1, 2)))]
        spans.append((now, end))
        # The next stay: within this one, the same minute, the same day, the next, around day 30, later.
        gap = draw.choice((-1500, 0, 1, 30, 300, 1440, 4000, 20000, 43199, 43200, 43201, 43900, 44640, 90000))
        now = end + timedelta(minutes=gap)
    if draw.random() < 0.25:
        told["died"] = _death(draw, *draw.choice((spans[-1], spans[-1], draw.choice(spans))))
        if told["notes"] and draw.random() < 0.2:
            told["died"] = draw.choice(told["notes"])["filed"]
    return told


def _length(draw: random.Random) -> timedelta:
    """Up to 40 days, or around the 60 that the admission cohort looks ahead."""
    if draw.random() < 0.12:
        return timedelta(minutes=draw.choice((4319, 4320, 4321, 86399, 86400, 86401, 87000)))
    return timedelta(days=draw.choice((0, 1, 3, 10, 40)), minutes=draw.randrange(1, 1200))


def _stay(draw: random.Random, start: datetime, end: datetime) -> Told:
    stay: Told = {"in": _told(draw, start), "out": _told(draw, end)}
    if draw.random() < 0.06:
        stay |= {"in": draw.choice((stay["in"], stay["in"][:10])), "out": STILL_IN}
    stay |= {"kind": draw.choice(("inpatient",) * 6 + ("emergency to inpatient", "emergency", "observation"))}
    stay |= {"department": draw.choice(DEPARTMENTS), "to": draw.choice(("home",) * 8 + ("died", "against advice"))}
    stay |= {"history": "none", "summary": "none"}
    if draw.random() < 0.1:
        stay["mark"] = "ELECTIVE"
    if draw.random() < 0.2:
        later = min(start + timedelta(hours=20), end)
        stay["moves"] = [[draw.choice(DEPARTMENTS), minutes(start)], [stay["department"], minutes(later)]]
    codes = [_code(draw, start, end) for _ in range(draw.choice((0, 1, 2, 3)))]
    claims = [_claim(draw, start, end) for _ in range(draw.choice((0, 1, 1, 2)))]
    return stay | ({"codes": codes} if codes else {}) | ({"claims": claims} if claims else {})


def _history(draw: random.Random, number: int, start: datetime, end: datetime) -> Told:
    """Filed before admission, soon after it, around 24 hours, or around the end of the stay."""
    filed = start + timedelta(minutes=draw.choice((-1440, -1, 0, 1, 90, 90, 90, 600, 1439, 1440, 1441, 2500)))
    if draw.random() < 0.1:
        filed = end + timedelta(minutes=draw.choice((-1, 0, 1)))
    return _note(draw, number, "history", filed)


def _summary(draw: random.Random, number: int, end: datetime) -> Told:
    """Filed two days before discharge, at it, soon after it, or around 72 hours."""
    delay = draw.choice((-2880, 0, 0, 0, 1, 600, 1440, 2000, 4319, 4320, 4321))
    return _note(draw, number, "summary", end + timedelta(minutes=delay))


def _note(draw: random.Random, number: int, which: str, filed: datetime) -> Told:
    note = {"stay": number, "class": draw.choice((which,) * 9 + ("progress",)), "filed": _told(draw, filed)}
    if draw.random() < 0.15:
        note["addendum"] = True
    if draw.random() < 0.02:
        note["person"] = 0
    if random.Random(str(note)).random() < 0.06:  # apart from the other draws
        del note["stay"]
    return note


def _code(draw: random.Random, start: datetime, end: datetime) -> list[str]:
    """Dated at discharge, or later, or around day 90 after admission; one in ten is of the other system."""
    dated = draw.choice((end, end, end + timedelta(days=20), start + timedelta(days=draw.choice((89, 90, 91)))))
    system = (TEN, NINE)[(dated < ICD10_FROM) ^ (draw.random() < 0.1)]
    return [draw.choice(list(system)), f"{dated:%Y-%m-%d}"]


def _claim(draw: random.Random, start: datetime, end: datetime) -> list[str]:
    """Submitted after discharge, decided soon, later, never, or around day 180 after admission."""
    submitted = end + timedelta(days=draw.choice((0, 5, 5, 30)))
    edge = start + timedelta(days=draw.choice((178, 179, 180, 181)))
    decided = draw.choice((submitted, submitted + timedelta(days=20), submitted + timedelta(days=20), edge))
    if draw.random() < 0.05:
        submitted = decided = edge
    status = draw.choice(STATUSES)
    never = status == "pending" or draw.random() < 0.05
    return [status, f"{submitted:%Y-%m-%d}", "none" if never else f"{decided:%Y-%m-%d}"]


def _death(draw: random.Random, start: datetime, end: datetime) -> str:
    """Around the end of a stay, in its first hours, or in the weeks after it."""
    if draw.random() < 0.15:
        return f"{end:%Y-%m-%d}"  # the day of discharge, no time
    after = end + timedelta(minutes=draw.choice((-60, 0, 1, 300, 3000, 30000, 43200, 50000)))
    return _told(draw, after if draw.random() < 0.75 else start + timedelta(minutes=draw.choice((0, 89, 90, 91, 3000))))


def _told(draw: random.Random, moment: datetime) -> str:
    """To the minute; one in eight times the warehouse has the date only."""
    return f"{moment:%Y-%m-%d}" if draw.random() < 0.125 else f"{moment:%Y-%m-%d %H:%M}"
