"""The shortest history that still shows a mismatch: what can be left out is left out, all candidates in one go."""

from collections.abc import Callable, Iterable
from typing import Any

Told = dict[str, Any]
Part = tuple[Any, ...]  # the keys and positions that lead to it
Differ = Callable[[list[Told]], list[bool]]

LISTS = ("codes", "claims")
DETAILS = ("moves", "mark", "kind", "department", "to")  # each has a default, or none is needed


def size(told: Told) -> tuple[int, int]:
    """Stays first, then all else that is told."""
    return len(told["stays"]), len(parts(told))


def parts(told: Told) -> list[Part]:
    """What can be left out, the largest first."""
    stays = told["stays"].items()
    found: list[Part] = [("stays", number) for number in reversed(told["stays"])] if len(stays) > 1 else []
    found += [(key,) for key in ("died", "born") if key in told]
    found += [("notes", place) for place in range(len(told["notes"]))]
    found += [("stays", n, key, place) for n, stay in stays for key in LISTS for place in range(len(stay.get(key, ())))]
    return found + [("stays", number, key) for number, stay in stays for key in DETAILS if key in stay]


def without(told: Told, gone: Iterable[Part]) -> Told:
    """The history without these parts; a stay takes its notes with it."""
    gone = set(gone)
    left = {key: value for key, value in told.items() if (key,) not in gone}
    left["stays"] = {n: _lesser(n, stay, gone) for n, stay in told["stays"].items() if ("stays", n) not in gone}
    notes = [note for place, note in enumerate(told["notes"]) if ("notes", place) not in gone]
    left["notes"] = [note for note in notes if note.get("stay") in (None, *left["stays"])]
    return left


def _lesser(number: int, stay: Told, gone: set[Part]) -> Told:
    left = {key: value for key, value in stay.items() if ("stays", number, key) not in gone}
    for key in set(LISTS) & set(left):
        left[key] = [value for place, value in enumerate(left[key]) if ("stays", number, key, place) not in gone]
    return {key: value for key, value in left.items() if value != []}


def shortest(told: Told, differ: Differ) -> Told:
    """`told`, which differs, without all that it can do without. `differ` says of each history whether it differs."""
    while True:
        every = parts(told)
        shown = differ([without(told, [part]) for part in every])
        spare = [part for part, still in zip(every, shown, strict=True) if still]
        if not spare:
            return told
        # Alone each of them can go; together perhaps the first few.
        fewer = [without(told, spare[:count]) for count in range(len(spare), 1, -1)] + [without(told, spare[:1])]
        told = next(history for history, still in zip(fewer, differ(fewer), strict=True) if still)
