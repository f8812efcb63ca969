"""How numbers, parts and models are shown to people, in figures, the summary and the page alike.

A number is printed from the file that holds it, rounded and never recomputed, so that each can be found there again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "hidden"  # a small cell, or one that would give a small cell away: so not "fewer than k"
NONE = "–"

PARTS = {
    "train": "training part",
    "tuning": "tuning part",
    "calibration": "calibration part",
    "test": "test part",
    "temporal_test": "temporal test",
}
REASONS = {
    "no_note": "no note",
    "late_note": "note too late",
    "newborn": "newborn",
    "died_in_hospital": "died in hospital",
    "excluded_department": "excluded department",
    "left_against_advice": "left against advice",
    "event_before_index": "event before the prediction",
    "still_in_hospital": "still in hospital",
    "follow_up_incomplete": "follow-up incomplete",
    "uncoded": "no diagnosis codes",
    "no_claim": "no claim",
    "undetermined": "undetermined",
}


def count(value: int | None) -> str:
    """1234 -> '1,234'; None -> 'hidden'."""
    return HIDDEN if value is None else f"{value:,}"


def opted_out(flow: Mapping[str, Any]) -> str:
    """What a flow does not begin with; '' where nobody has opted out."""
    stays = flow["opted_out"]
    return "" if stays == 0 else f"Stays of patients who opted out, left out before: {count(stays)}."


def number(value: float | None, digits: int = 3) -> str:
    """A fixed number of decimals, with a true minus; None -> a dash."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def interval(measure: Mapping[str, Any], digits: int = 3) -> str:
    """'0.690–0.734', or '' where there is none."""
    if measure.get("low") is None or measure.get("high") is None:
        return ""
    separator = "–" if measure["low"] >= 0 else " to "
    return f"{number(measure['low'], digits)}{separator}{number(measure['high'], digits)}"


def estimate(measure: Mapping[str, Any], digits: int = 3) -> str:
    """'0.712 (0.690–0.734)'; a dash where there is no value."""
    bounds = interval(measure, digits)
    return number(measure["value"], digits) + (f" ({bounds})" if bounds else "")


def percent(share: float | None, digits: int = 0) -> str:
    return NONE if share is None else f"{number(100 * share, digits)} %"


def part(name: str) -> str:
    return PARTS.get(name, name.replace("_", " "))


def reason(name: str) -> str:
    """A reason as it is read: the contract's in words, others with their underscores taken out."""
    return REASONS.get(name, name.replace("_", " "))


def place(one: Mapping[str, Any], reference: str | None) -> tuple[bool, bool, bool]:
    """A key to sort models by: transformers, the reference, other baselines, controls. `one`: model, kind, control."""
    return bool(one.get("control")), one["kind"] != "transformer", one["model"] != reference


def largest(fits: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Of each model, in the order given, the first fit or row of its largest training size; "all" is the largest."""
    out: dict[str, Mapping[str, Any]] = {}
    for fit in fits:
        if fit["model"] not in out or _rank(fit["size"]) > _rank(out[fit["model"]]["size"]):
            out[fit["model"]] = fit
    return out


def _rank(size: str | int) -> float:
    return float("inf") if size == "all" else int(size)
