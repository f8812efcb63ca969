"""What all figures share: their style, which fits they draw and how, the sheet they stand on, and bytes that repeat.

A figure says in its title what it shows, in words and with its number; a second line says on which rows. Colours are
those of Okabe and Ito (2008), told apart by colour-blind readers, and line styles differ too. Text stays text in the
SVG, so that it can be searched and read aloud. Sizes are inches of 96 pixels: a sheet is 900 pixels wide.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib import shards, wording

WIDTH = 9.375
INK, MUTED, FAINT = "#1a1a1a", "#595959", "#d0d0d0"
CONTROL = "#8c8c8c"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (3, 1.5, 1, 1.5)), (0, (1.5, 1.5)))
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a task's title is a dollar
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "notecast",
}


@dataclass(frozen=True)
class Series:
    """One model at its largest training size: `blocks` are its headline parts by seed, the first is drawn boldly."""

    model: str
    kind: str
    size: str
    control: bool
    colour: str
    dash: Any
    seeds: list[int]
    blocks: list[Mapping[str, Any]]

    @property
    def label(self) -> str:
        return f"{self.model} (control)" if self.control else self.model

    def curves(self, question: "Question") -> list[Mapping[str, Any]]:
        """The curves of a question, one a seed that has them; the first seed's come first."""
        found = [question.of(block).get("curves") for block in self.blocks]
        return [curves for curves in found if curves]


@dataclass(frozen=True)
class Question:
    """Where a yes-or-no question stands in a block of evaluate, and what its panel is called."""

    group: str | None
    name: str

    def of(self, block: Mapping[str, Any]) -> Mapping[str, Any]:
        return block if self.group is None else block[self.group][self.name]

    @property
    def title(self) -> str:
        """'> 4-5' is read 'above 4-5'."""
        return f"above {self.name.removeprefix('> ')}" if self.group == "cuts" else self.name


def questions(task: Mapping[str, Any]) -> list[Question]:
    """One panel each: the event; each cut of ordered classes; else each class."""
    names = task["class_names"]
    if task["kind"] == "binary":
        return [Question(None, names[1])]
    if task["ordered"]:
        return [Question("cuts", f"> {name}") for name in names[:-1]]
    return [Question("classes", name) for name in names]


def series(
    fits: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]], part: str, reference: str | None
) -> list[Series]:
    """Each model at its largest training size with all of its seeds: transformers, the reference, others, controls."""
    out: list[Series] = []
    for first in sorted(wording.largest(fits).values(), key=lambda fit: wording.place(fit, reference)):
        model, size = first["model"], first["size"]
        both = zip(fits, metrics, strict=True)
        members = [(fit, metric) for fit, metric in both if (fit["model"], fit["size"]) == (model, size)]
        control, place = bool(first.get("control")), sum(not other.control for other in out)
        colour = CONTROL if control else COLOURS[place % len(COLOURS)]
        dash = DASHES[3] if control else DASHES[place % 3]
        seeds = [fit["seed"] for fit, _ in members]
        blocks = [metric["parts"][part] for _, metric in members]
        out.append(Series(model, first["kind"], str(size), control, colour, dash, seeds, blocks))
    return out


def leading(shown: Sequence[Series]) -> Series:
    """The model that titles speak of: the first transformer, else the first that is no control, else the first."""
    order = [*(s for s in shown if s.kind == "transformer"), *(s for s in shown if not s.control), *shown]
    return order[0]


def reference(shown: Sequence[Series], name: str | None) -> Series | None:
    """The series of the reference model, unless it is the leading one."""
    return next((s for s in shown if s.model == name and s is not leading(shown)), None)


def values(numbers: Sequence[float | None]) -> NDArray[np.float64]:
    """A curve's points as float64, NaN where the file has null."""
    return np.array([np.nan if v is None else v for v in numbers], dtype=np.float64)


def rows_line(block: Mapping[str, Any], part: str, rest: str = "") -> str:
    """'Test part: 2,034 stays of 1,500 patients, 231 events.' and what the figure wants to add."""
    events = block.get("n_events")
    tail = "" if isinstance(events, Mapping) else f", {wording.count(events)} events"
    name = wording.part(part)
    text = f"{name[0].upper()}{name[1:]}: {wording.count(block['n_rows'])} stays of"
    return f"{text} {wording.count(block['n_persons'])} patients{tail}. {rest}".strip()


def seeds_line(shown: Sequence[Series]) -> str:
    """What bold and thin lines are."""
    text = "Bands: 95 % intervals over patients."
    if any(len(s.blocks) > 1 for s in shown):
        text += f" Bold: seed {shown[0].seeds[0]}, thin: further seeds."
    return text


@contextmanager
def styled() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


class Sheet:
    """A figure with its title, panels in rows and columns, and its legend, all placed in inches from the top left."""

    SIDE = 2.55  # of the legend beside the panels

    def __init__(self, title: str, subtitle: str, height: float) -> None:
        """`height` (inches) is that of everything below the title."""
        from matplotlib.figure import Figure

        self.lines = textwrap.wrap(title, 90), textwrap.wrap(subtitle, 136)
        self.top = 0.28 + 0.235 * len(self.lines[0]) + 0.185 * len(self.lines[1])
        self.height = self.top + height
        self.figure = Figure(figsize=(WIDTH, self.height), facecolor="white")
        y = 0.26
        for line in self.lines[0]:
            self.text(0.15, y, line, size=12, weight="bold")
            y += 0.235
        for line in self.lines[1]:
            self.text(0.15, y - 0.02, line, size=9, color=MUTED)
            y += 0.185

    def text(self, x: float, y: float, text: str, **kwargs: Any) -> None:
        """`text` with its baseline at y inches from the top."""
        self.figure.text(x / WIDTH, 1 - y / self.height, text, **kwargs)

    def axes(self, x: float, y: float, width: float, height: float, **kwargs: Any) -> Any:
        """Axes with their upper left corner at (x, y) inches, y counted from below the title."""
        bottom = 1 - (self.top + y + height) / self.height
        return self.figure.add_axes((x / WIDTH, bottom, width / WIDTH, height / self.height), **kwargs)

    def legend(self, handles: Sequence[Any], x: float, y: float, columns: int = 1, title: str = "") -> None:
        """A legend whose upper left corner is at (x, y) inches, y counted from below the title; it covers no data."""
        box = self.figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(x / WIDTH, 1 - (self.top + y) / self.height),
            ncols=columns,
            frameon=False,
            fontsize=9,
            title=title or None,
            title_fontsize=9,
            handlelength=2.6,
            borderaxespad=0,
            labelspacing=0.7,
            columnspacing=1.6,
        )
        box.set_alignment("left")

    def save(self, path: Path) -> None:
        """Write SVG; the same figure gives the same bytes, without date or version."""
        with shards.atomic(path) as temporary:
            self.figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


@dataclass(frozen=True)
class Grid:
    """Where the panels of a figure stand: beside the legend for one or two columns, above it for three."""

    count: int
    columns: int
    panel: float  # width and height of its axes
    extra: float  # below each panel's axes, for a second axes

    LEFT, GAP, FOOT = 0.82, 0.72, 0.62

    @classmethod
    def of(cls, count: int, extra: float = 0.0) -> "Grid":
        columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
        side = Sheet.SIDE if columns < 3 else 0.0
        return cls(count, columns, min(4.4, (WIDTH - side - 0.2 - columns * cls.GAP) / columns), extra)

    @property
    def head(self) -> float:
        """Above each panel's axes, for its title and numbers; a single panel has neither."""
        return 0.42 if self.count > 1 else 0.15

    @property
    def row_height(self) -> float:
        return self.head + self.panel + self.extra + self.FOOT

    @property
    def rows(self) -> int:
        return -(-self.count // self.columns)

    @property
    def beside(self) -> bool:
        return self.columns < 3

    def height(self, handles: Sequence[Any]) -> float:
        """Inches of panels and legend."""
        lines = 1 + max(one.get_label().count("\n") for one in handles)
        below = 0.0 if self.beside else (0.1 + 0.17 * lines) * -(-len(handles) // 3) + 0.3
        return self.rows * self.row_height + below

    def corner(self, i: int) -> tuple[float, float]:
        """Upper left corner of panel i's axes, in inches from the left and from below the title."""
        column, row = i % self.columns, i // self.columns
        return self.LEFT + column * (self.panel + self.GAP), row * self.row_height + self.head

    def legend_corner(self) -> tuple[float, float]:
        if self.beside:
            return self.LEFT + self.columns * (self.panel + self.GAP) - self.GAP + 0.35, self.head
        return self.LEFT, self.rows * self.row_height + 0.05


def handle(shown: Series, label: str | None = None) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=shown.colour, linestyle=shown.dash, label=label or shown.label)


def plain_handle(label: str, colour: str = MUTED, linestyle: Any = ":", width: float = 1.2) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linestyle=linestyle, linewidth=width, label=label)


def place_legend(sheet: Sheet, grid: Grid, handles: Sequence[Any], title: str = "") -> None:
    sheet.legend(handles, *grid.legend_corner(), columns=1 if grid.beside else 3, title=title)


def note(axes: Any, text: str, colour: str = MUTED, right: float = 0) -> None:
    """Small text on the line above the axes, `right` points from their left end."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(text, (0, 1), (right, 5), fontsize=8.5, color=colour, **place)


def refusal(axes: Any, question: Mapping[str, Any], few: int) -> None:
    """Say in an empty panel why there is no curve."""
    measure = question.get("auroc", {})
    why = measure.get("reason") or f"counts below {few} are not shown"
    text = textwrap.fill(f"no curve: {why}", 24)
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, transform=axes.transAxes)
