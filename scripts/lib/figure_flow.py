"""The cohort flow (TRIPOD+AI 20a): boxes from all stays down to the parts, what fell out at each step beside it."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from lib import figures, wording
from lib.figures import Sheet

LEFT, WIDTH = 0.15, 4.3  # of the boxes, inches
SIDE, SIDE_WIDTH = 5.05, 4.15
LINE, PAD, GAP = 0.185, 0.12, 0.26


def flow(task: Mapping[str, Any], counted: Mapping[str, Any], min_cell: int) -> Sheet:
    steps, parts = counted["steps"], counted["parts"]
    heights = [_height(step) for step in steps]
    names = [name for name in wording.PARTS if name in parts]
    shut = {name for name in names if name not in counted["events_of"]}
    part_lines = {name: _part_lines(task, parts[name], name in shut) for name in names}
    parts_height = 2 * PAD + LINE * (1 + max(map(len, part_lines.values()), default=0))
    open_parts = [{k: v for k, v in part.items() if k != "classes" or name not in shut} for name, part in parts.items()]
    hidden = min_cell > 1 and _any_hidden([steps, open_parts, counted["opted_out"]])
    subtitle = "Patients, stays, notes and events at each step, and what fell out."
    if left_out := wording.opted_out(counted):
        subtitle += f" {left_out}"
    if shut:
        subtitle += " Events are those of the opened parts."
    if hidden:
        subtitle += f" “{wording.HIDDEN}”: counts below {min_cell}, and counts that would give them away."
    total = sum(heights) + GAP * len(steps) + 0.2 + parts_height + 0.25
    sheet = Sheet(f"{task['title']}: {_summary(steps)}", subtitle, total)
    y = sheet.top + 0.1
    for i, (step, height) in enumerate(zip(steps, heights, strict=True)):
        _box(sheet, LEFT, y, WIDTH, height, [step["title"], *_counts(step, task)])
        if step["dropped"]:
            _box(sheet, SIDE, y, SIDE_WIDTH, height, _dropped(step), face="#f6f1ea", bold=False)
            _line(sheet, LEFT + WIDTH / 2, y - GAP / 2, SIDE + 0.4, y - GAP / 2)
            _arrow(sheet, SIDE + 0.4, y - GAP / 2, SIDE + 0.4, y)
        y += height
        if i < len(steps) - 1:
            _arrow(sheet, LEFT + WIDTH / 2, y, LEFT + WIDTH / 2, y + GAP)
            y += GAP
    _parts(sheet, names, part_lines, y, parts_height)
    return sheet


def _summary(steps: Sequence[Mapping[str, Any]]) -> str:
    first, last = steps[0]["stays"], steps[-1]["stays"]
    if not first or last is None:
        return f"{wording.count(last)} of {wording.count(first)} stays enter the task"
    return f"{last:,} of {first:,} stays ({wording.percent(last / first)}) enter the task"


def _counts(described: Mapping[str, Any], task: Mapping[str, Any]) -> list[str]:
    stays, patients, notes = (wording.count(described[name]) for name in ("stays", "patients", "notes"))
    events = [f"{wording.count(described['events'])} events"] if task["kind"] == "binary" else []
    return [f"{stays} stays · {patients} patients · {notes} notes", *events]


def _dropped(step: Mapping[str, Any]) -> list[str]:
    return [f"{wording.reason(cell['reason'])}: {wording.count(cell['stays'])}" for cell in step["dropped"]]


def _height(step: Mapping[str, Any]) -> float:
    return 2 * PAD + LINE * max(3, len(step["dropped"]))


def _part_lines(task: Mapping[str, Any], part: Mapping[str, Any], shut: bool) -> list[str]:
    lines = [f"{wording.count(part[name])} {name}" for name in ("stays", "patients", "notes")]
    if shut:
        return [*lines, "events not opened"]
    if task["kind"] == "binary":
        return [*lines, f"{wording.count(part['events'])} events"]
    return [
        *lines,
        *(f"{name}: {wording.count(n)}" for name, n in zip(task["class_names"], part["classes"], strict=True)),
    ]


def _parts(sheet: Sheet, names: Sequence[str], lines: Mapping[str, Sequence[str]], y: float, height: float) -> None:
    """The parts in a row under the last box, each hung from one line."""
    if not names:
        return
    gap = 0.12
    width = (figures.WIDTH - 0.3 - gap * (len(names) - 1)) / len(names)
    rail, top = y + 0.14, y + 0.14 + 0.22
    middles = [LEFT + i * (width + gap) + width / 2 for i in range(len(names))]
    _line(sheet, LEFT + WIDTH / 2, y, LEFT + WIDTH / 2, rail)
    _line(sheet, min(middles[0], LEFT + WIDTH / 2), rail, max(middles[-1], LEFT + WIDTH / 2), rail)
    for middle, name in zip(middles, names, strict=True):
        _arrow(sheet, middle, rail, middle, top)
        title = textwrap.shorten(wording.part(name), 22)
        _box(sheet, middle - width / 2, top, width, height, [title[0].upper() + title[1:], *lines[name]], "#e9f1f7")


def _any_hidden(value: Any) -> bool:
    """Whether a count is null; `events` of a task with several classes is null by design, and so does not count."""
    if isinstance(value, Mapping):
        return any(_any_hidden(v) for key, v in value.items() if key != "events")
    if isinstance(value, list):
        return any(_any_hidden(v) for v in value)
    return value is None


def _box(
    sheet: Sheet,
    x: float,
    y: float,
    width: float,
    height: float,
    lines: Sequence[str],
    face: str = "white",
    bold: bool = True,
) -> None:
    from matplotlib.patches import Rectangle

    sheet.figure.add_artist(
        Rectangle(
            (x / figures.WIDTH, 1 - (y + height) / sheet.height),
            width / figures.WIDTH,
            height / sheet.height,
            facecolor=face,
            edgecolor=figures.MUTED,
            linewidth=0.8,
        )
    )
    first = y + PAD + 0.135 + (height - 2 * PAD - LINE * len(lines)) / 2
    for i, line in enumerate(lines):
        weight = "bold" if bold and i == 0 else "normal"
        sheet.text(x + 0.12, first + i * LINE, line, size=9, weight=weight)


def _line(sheet: Sheet, x0: float, y0: float, x1: float, y1: float) -> None:
    from matplotlib.lines import Line2D

    xs, ys = [x0 / figures.WIDTH, x1 / figures.WIDTH], [1 - y0 / sheet.height, 1 - y1 / sheet.height]
    sheet.figure.add_artist(Line2D(xs, ys, color=figures.MUTED, linewidth=0.9))


def _arrow(sheet: Sheet, x0: float, y0: float, x1: float, y1: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    start = (x0 / figures.WIDTH, 1 - y0 / sheet.height)
    end = (x1 / figures.WIDTH, 1 - y1 / sheet.height)
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=8, color=figures.MUTED, linewidth=0.9, shrinkA=0, shrinkB=0,
        transform=sheet.figure.transFigure,
    )  # fmt: skip
    sheet.figure.add_artist(arrow)
