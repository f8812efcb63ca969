"""How a history is read, by all who read one: the notes that it leaves untold, what a date without a time counts as.

The head of `timelines.yaml` explains the words.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

INPATIENT = ("inpatient", "emergency to inpatient")
STILL_IN = "still in"


def has_time(told: Any) -> bool:
    return len(str(told)) > 10


def start(told: Any) -> datetime:
    """A date alone counts from the beginning of its day."""
    return datetime.fromisoformat(str(told))


def end(told: Any) -> datetime:
    """A date alone counts from 23:59:59."""
    return start(told) if has_time(told) else start(told).replace(hour=23, minute=59, second=59)


def minutes(moment: datetime) -> str:
    """A moment as the histories write it: seconds only where there are any."""
    return str(moment).removesuffix(":00")


def kind(stay: dict[str, Any]) -> str:
    return str(stay.get("kind", "inpatient"))


def in_progress(stay: dict[str, Any]) -> bool:
    return bool(stay["out"] == STILL_IN)


def has_times(stay: dict[str, Any]) -> bool:
    """Are admission and discharge known to the minute? Of a stay in progress, the admission."""
    return has_time(stay["in"]) and (in_progress(stay) or has_time(stay["out"]))


def born_there(told: dict[str, Any], stay: dict[str, Any], choices: dict[str, Any]) -> bool:
    """Is the stay a newborn's: by the department that admitted or discharged, or by the age in days at admission?"""
    age = start(stay["in"]).date() - start(told.get("born", "1950-06-15")).date()
    departments = {stay.get("department", "Medicine"), *(name for name, _ in stay.get("moves", ())[:1])}
    return bool(departments & set(choices["newborn_departments"])) or age.days < choices["newborn_age_days"]


def notes(told: dict[str, Any]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Number, text and facts of every note, the untold ones of inpatient stays included, by number."""
    for number, note in enumerate(told.get("notes", ()), 1):
        yield number, f"note {number}{' (addendum)' if note.get('addendum') else ''}", note
    for number, stay in told["stays"].items():
        if kind(stay) not in INPATIENT:
            continue
        default = {"history": _later(stay["in"], 2), "summary": "none" if in_progress(stay) else stay["out"]}
        for position, (which, untold) in enumerate(default.items()):
            filed = stay.get(which, untold)
            if filed != "none":
                note = {"stay": number, "class": which, "filed": filed}
                yield 100 + number * 2 + position, f"{which} {number}", note


def _later(told: Any, hours: int) -> Any:
    return minutes(start(told) + timedelta(hours=hours)) if has_time(told) else told


def eligible(
    told: dict[str, Any], number: int, kind_of_note: str, choices: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Texts and facts of the notes of this kind of this stay, addenda included; without a time only if dates do."""
    for _, text, note in notes(told):
        stay = note["stay"] if "stay" in note else _by_time(told, note, choices) if choices["notes_by_time"] else None
        own = stay == number and note["class"] == kind_of_note and "person" not in note
        if own and (choices["use_dates"] or has_time(note["filed"])):
            yield text, note


def _by_time(told: dict[str, Any], note: dict[str, Any], choices: dict[str, Any]) -> int | None:
    """A summary's stay is the one that ended last, not too long ago; else, as any note's, the one that began last."""
    filed = end(note["filed"])
    begun = {n: stay for n, stay in told["stays"].items() if kind(stay) in INPATIENT and start(stay["in"]) <= filed}
    delay = timedelta(hours=choices["max_delay_hours"])
    if note["class"] == "summary":
        ended = {n: end(stay["out"]) for n, stay in begun.items() if not in_progress(stay)}
        recent = [(ended[n], start(begun[n]["in"]), n) for n in ended if ended[n] <= filed <= ended[n] + delay]
        if recent:
            return max(recent)[-1]
    return max(((start(stay["in"]), n) for n, stay in begun.items()), default=(None, None))[1]
