"""The checks of a certificate: a number, its limit, what follows from them, and which numbers may be shown."""

from typing import Any

from lib import wording
from lib.disclosure import suppress

Check = dict[str, Any]


class Checks:
    """Makes checks. A number that speaks of fewer than `min_cell` rows, or of all but so few, is hidden (None)."""

    def __init__(self, min_cell: int) -> None:
        self._min_cell = min_cell

    @staticmethod
    def number(name: str, value: float | None, limit: float | None, detail: str, exceeds: bool = False) -> Check:
        """Any number; `exceeds` says whether it is beyond its limit."""
        verdict = "reported" if limit is None else "fail" if exceeds else "pass"
        return {"check": name, "value": value, "limit": limit, "verdict": verdict, "detail": detail}

    @staticmethod
    def unknown(name: str, limit: float | None, detail: str) -> Check:
        """What cannot be known from this source is not verifiable, never zero."""
        return {"check": name, "value": None, "limit": limit, "verdict": "not verifiable", "detail": detail}

    def none(self, name: str, value: int, detail: str) -> Check:
        """A count that must be zero; one that is not stops the run, and is told."""
        return self.number(name, value, 0, detail, value > 0)

    def count(self, name: str, value: int, of: int, detail: str = "") -> Check:
        """A count without a limit, among `of`."""
        return self.number(name, self.shown(value, value, of), None, f"of {self.told(of)}{detail}")

    def share(self, name: str, value: int, of: int, limit: float | None, detail: str) -> Check:
        """`value` rows among `of`, as a share; not verifiable where there are no rows."""
        if not of:
            return self.unknown(name, limit, "there are no rows")
        detail = f"{self.told(value, of)} of {self.told(of)}; {detail}"
        exceeds = limit is not None and value / of > limit
        return self.number(name, self.shown(round(value / of, 4), value, of), limit, detail, exceeds)

    def shown(self, value: float, rows: int, of: int | None = None) -> float | None:
        """`value`, which tells how many `rows` there are among `of`, if that may be told."""
        cells = [rows] if of is None else [rows, max(of - rows, 0)]
        return None if suppress(cells, self._min_cell)[0] is None else value

    def told(self, rows: int, of: int | None = None) -> str:
        return wording.HIDDEN if self.shown(rows, rows, of) is None else str(rows)
