"""The cohort flow on the report's page: steps and parts, then by window, by group, and with against without a note."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lib import wording
from lib.html import table
from lib.summary import Result


def flow(result: Result, min_cell: int) -> str:
    """The section of one task: what is long is folded away."""
    counted = result.flow
    tables = [("window", counted["by_window"])]
    tables += [(_name(name), group["rows"]) for name, group in counted["by_group"].items()]
    folded = [_fold(f"By {name}", _by_value(result, name, rows)) for name, rows in tables if rows]
    apart = [f"{_name(name)} ({group['left_out']})" for name, group in counted["by_group"].items() if group["left_out"]]
    return "\n".join(
        [
            _steps(result),
            *(f'<p class="quiet">{escape(note)}</p>' for note in _notes(result, min_cell)),
            *folded,
            *([f'<p class="quiet">No table by {escape(", ".join(apart))}.</p>'] if apart else []),
            _fold("With and without an eligible note", _compared(counted["notes"])),
        ]
    )


def _steps(result: Result) -> str:
    counted = result.flow
    head = ["Step", "Stays", "Patients", "Notes", *_class_names(result), "Fell out here"]
    rows = []
    for step in counted["steps"]:
        out = "; ".join(f"{wording.reason(d['reason'])} {wording.count(d['stays'])}" for d in step["dropped"])
        rows.append([step["title"], *_counts(result, step), out])
    for name in (name for name in wording.PARTS if name in counted["parts"]):
        opened = name in counted["events_of"]
        rows.append([f"– {wording.part(name)}", *_counts(result, counted["parts"][name], opened), ""])
    return table(head, rows, left=1, also_left=len(head) - 1)


def _notes(result: Result, min_cell: int) -> list[str]:
    out = [told] if (told := wording.opted_out(result.flow)) else []
    if min_cell > 1:
        out.append(f"“{wording.HIDDEN}”: counts below {min_cell}, and counts that would give them away.")
    shut = [wording.part(name) for name in result.flow["parts"] if name not in result.flow["events_of"]]
    if shut:
        out.append(f"Events are those of the opened parts, at every step; not of the {' and the '.join(shut)}.")
    return out


def _class_names(result: Result) -> list[str]:
    return ["Events"] if result.task["kind"] == "binary" else list(result.task["class_names"])


def _classes(result: Result, described: Mapping[str, Any], opened: bool = True) -> list[str]:
    values = [described["events"]] if result.task["kind"] == "binary" else described["classes"]
    return [wording.count(n) if opened else wording.NONE for n in values]


def _counts(result: Result, described: Mapping[str, Any], opened: bool = True) -> list[str]:
    counts = [wording.count(described[name]) for name in ("stays", "patients", "notes")]
    return counts + _classes(result, described, opened)


def _by_value(result: Result, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A row a window or a value; a column a reason, in the order of the steps."""
    dropped = [_reason(cell) for cell in rows[0]["dropped"]]
    head = [name.capitalize(), "Stays", *dropped, "Remain", *_class_names(result)]
    cells = [
        [
            row["value"],
            wording.count(row["stays"]),
            *(wording.count(cell["stays"]) for cell in row["dropped"]),
            wording.count(row["remaining"]),
            *_classes(result, row),
        ]
        for row in rows
    ]
    return table(head, cells, left=1)


def _reason(cell: Mapping[str, Any]) -> str:
    """A reason's heading; those whose totals are hidden share one, of their step or of several."""
    if cell["reason"] is not None:
        return wording.reason(cell["reason"])
    return "other reasons" if cell["step"] is None else f"other reasons ({cell['step']})"


def _compared(notes: Mapping[str, Any]) -> str:
    """Shares of each value, means of each feature, and their standardized differences."""
    sides = ("with", "without")
    head = ["", "", *(f"{side.capitalize()} a note" for side in sides), "Standardized difference"]
    rows = [["stays", "", *(wording.count(notes[side]) for side in sides), ""]]
    for name, values in notes["groups"].items():
        for row in (row for row in values if row["with"] is not None):
            shares = [f"{wording.count(row[side])} ({wording.percent(row[f'share_{side}'], 1)})" for side in sides]
            rows.append([_name(name), row["value"], *shares, wording.number(row["smd"], 2)])
    for name, told in notes["features"].items():
        means = [f"{wording.number(told[side]['mean'], 2)} ({wording.number(told[side]['sd'], 2)})" for side in sides]
        rows.append([_name(name), "mean (SD)", *means, wording.number(told["smd"], 2)])
        if any(told[side]["missing"] != 0 for side in sides):
            rows.append([_name(name), "missing", *(wording.percent(told[side]["missing"], 1) for side in sides), ""])
    return (
        '<p class="quiet">Standardized differences above 0.10 in size say that stays without an eligible note are other'
        " stays: what is found with notes may not hold for them. Values whose counts are hidden are left out.</p>"
        + table(head, rows, left=2)
    )


def _fold(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _name(column: str) -> str:
    return column.replace("_", " ")
