"""Calibration: how often it happened against how often it was foretold, with the risks' distribution below.

Points are groups of rising risk with intervals over patients; the smooth line is the restricted cubic spline of
evaluate. The panel ends where the risks end, not at 1. Below, the share of each outcome's stays by risk.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lib import figures, wording
from lib.figures import Grid, Question, Series, Sheet

EXTRA = 1.5  # inches below each panel: gap and histogram
HISTOGRAM = 0.75


def calibration(
    task: Mapping[str, Any], shown: Sequence[Series], table: Mapping[str, Any], part: str, min_cell: int
) -> Sheet:
    asked = figures.questions(task)
    lead, other = figures.leading(shown), figures.reference(shown, table["reference"])
    grid = Grid.of(len(asked), EXTRA)
    handles = _handles(lead, other)
    subtitle = figures.rows_line(lead.blocks[0], part, "Points and band: 95 % intervals over patients.")
    sheet = Sheet(f"{task['title']}: {_verdict(lead, asked)}", subtitle, grid.height(handles))
    for i, question in enumerate(asked):
        x, y = grid.corner(i)
        upper = sheet.axes(x, y, grid.panel, grid.panel)
        lower = sheet.axes(x, y + grid.panel + EXTRA - HISTOGRAM, grid.panel, HISTOGRAM)
        block = question.of(lead.blocks[0])
        if i % grid.columns == 0:
            upper.set_ylabel("Observed share")
        if len(asked) > 1:
            upper.set_title(question.title, loc="left", fontsize=10, weight="bold", pad=18)
        if not lead.curves(question):
            figures.refusal(upper, block, min_cell)
            lower.set_axis_off()
            continue
        if len(asked) > 1:
            figures.note(upper, f"slope {wording.estimate(block['calibration_slope'], 2)}", lead.colour)
        end = _panel(upper, question, lead, other)
        _histogram(lower, block, end, lead)
    figures.place_legend(sheet, grid, handles)
    return sheet


def _verdict(lead: Series, asked: Sequence[Question]) -> str:
    block = asked[0].of(lead.blocks[0])
    if len(asked) > 1 or block["oe_ratio"]["value"] is None:
        return f"what {lead.label} foretold and what happened"
    ratio, slope = wording.estimate(block["oe_ratio"], 2), wording.estimate(block["calibration_slope"], 2)
    return f"{ratio} events happened for each that {lead.label} foretold; the calibration slope is {slope}"


def _panel(axes: Any, question: Question, lead: Series, other: Series | None) -> float:
    """Draw one panel; returns where its axes end."""
    curves = lead.curves(question)[0]
    groups, smooth = curves["calibration"], curves["smooth"]
    mean, low, high = (figures.values(groups[key]) for key in ("mean", "low", "high"))
    observed = figures.values(groups["value"])
    reach = [mean, observed, high, figures.values(smooth["predicted"]), figures.values(smooth["value"])]
    end = min(1.0, float(np.ceil(max(np.nanmax(r) for r in reach if np.isfinite(r).any()) * 20 + 0.2) / 20))
    axes.plot([0, end], [0, end], color=figures.FAINT, linewidth=1, zorder=0)
    x = figures.values(smooth["predicted"])
    axes.fill_between(
        x, figures.values(smooth["low"]), figures.values(smooth["high"]), color=lead.colour, alpha=0.16, linewidth=0
    )
    axes.plot(x, figures.values(smooth["value"]), color=lead.colour, linestyle=lead.dash)
    for against in other.curves(question)[:1] if other else []:
        line = against["smooth"]
        axes.plot(
            figures.values(line["predicted"]),
            figures.values(line["value"]),
            color=other.colour if other else None,
            linestyle=other.dash if other else "-",
            linewidth=1.3,
        )
    known = np.isfinite(low) & np.isfinite(high)
    axes.vlines(mean[known], low[known], high[known], color=lead.colour, linewidth=1)
    axes.plot(mean, observed, "o", color=lead.colour, markersize=4.5, markeredgecolor="white", markeredgewidth=0.6)
    axes.set(xlim=(0, end), ylim=(0, end), aspect="equal", xlabel="Predicted risk")
    return end


def _histogram(axes: Any, block: Mapping[str, Any], end: float, lead: Series) -> None:
    """Shares of each outcome's shown stays by bins of risk: events filled, the others as an outline."""
    histogram = block["curves"]["histogram"]
    edges = figures.values(histogram["edges"])
    top = 0.0
    for side, style in (
        ("others", {"color": figures.MUTED, "linewidth": 1.1}),
        ("events", {"color": lead.colour, "alpha": 0.45, "fill": True, "linewidth": 0}),
    ):
        counts = figures.values(histogram[side])
        share = np.nan_to_num(counts / np.nansum(counts)) if np.nansum(counts) else np.zeros(len(counts))
        top = max(top, float(share.max()))
        axes.stairs(share, edges, **style)
    hidden = [i for i, both in enumerate(zip(histogram["events"], histogram["others"], strict=True)) if None in both]
    middle = (edges[:-1] + edges[1:]) / 2
    inside = [i for i in hidden if middle[i] < end]
    axes.plot(
        middle[inside], np.full(len(inside), 0.08 * top), "x", color=figures.MUTED, markersize=4, linestyle="none"
    )
    axes.set(xlim=(0, end), ylim=(0, 1.08 * top or 1), xlabel="Predicted risk")
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
    axes.locator_params(axis="y", nbins=3)
    figures.note(axes, "Share of each outcome's stays")


def _handles(lead: Series, other: Series | None) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=lead.colour, linestyle=lead.dash, marker="o", markersize=4.5, label=lead.label)
    ]
    if other:
        handles.append(figures.handle(other))
    return [
        *handles,
        figures.plain_handle("predicted = observed", figures.FAINT, "-", 1),
        Patch(color=lead.colour, alpha=0.45, linewidth=0, label="risks of events"),
        figures.plain_handle("risks of the others", figures.MUTED, "-", 1.1),
        Line2D([], [], color=figures.MUTED, marker="x", markersize=4, linestyle="none", label="a count is hidden"),
    ]
