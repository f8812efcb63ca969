"""ROC, precision-recall and decision curves: one panel a question, one line a model, bands for the leading two.

The points come from evaluate's JSON as they are. Other models than the leading one and its reference have no band, so
that bands can be told apart; controls are grey and dotted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lib import figures, wording
from lib.figures import Grid, Question, Series, Sheet

Measure = Mapping[str, Any]


def roc(task: Mapping[str, Any], shown: Sequence[Series], table: Mapping[str, Any], part: str, min_cell: int) -> Sheet:
    """Sensitivity against false positive rate. The title's AUROC is the mean over seeds from compare's table."""
    lead, other = figures.leading(shown), figures.reference(shown, table["reference"])
    told = {(row["model"], str(row["size"])): row["auroc"] for row in table["rows"]}
    mean = "" if task["kind"] == "binary" else "mean of each class against the rest: "
    title = f"{task['title']}: {mean}{_ranks(lead, told)}"
    if other:
        title += f", {_ranks(other, told).replace(' AUROC', '')}"

    def panel(axes: Any, question: Question) -> None:
        axes.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=1, zorder=0)
        for one in _behind_to_front(shown, lead):
            _line(axes, one, question, "roc", "fpr", band=one in (lead, other))
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")

    handles = [figures.handle(one, f"{one.label}\n{wording.estimate(told[one.model, one.size])}") for one in shown]
    handles.append(figures.plain_handle("chance", figures.FAINT, "-", 1))
    labels = ("False positive rate (1 − specificity)", "Sensitivity")
    heading = "AUROC" if task["kind"] == "binary" else "Mean AUROC of the classes"
    return _sheet(title, task, shown, part, min_cell, labels, panel, "auroc", handles, heading)


def _ranks(one: Series, told: Mapping[tuple[str, str], Measure]) -> str:
    auroc = told[one.model, one.size]
    if auroc["value"] is None:
        return f"{one.label} has no AUROC ({auroc['reason']})"
    return f"{one.label} AUROC {wording.estimate(auroc)}"


def precision_recall(
    task: Mapping[str, Any], shown: Sequence[Series], table: Mapping[str, Any], part: str, min_cell: int
) -> Sheet:
    """Precision against recall, with the prevalence, which is what chance reaches."""
    lead, other = figures.leading(shown), figures.reference(shown, table["reference"])
    asked = figures.questions(task)
    top = _highest_precision(shown, asked)

    def panel(axes: Any, question: Question) -> None:
        prevalence = question.of(lead.blocks[0])["prevalence"]
        if prevalence is not None:
            axes.axhline(prevalence, color=figures.MUTED, linestyle=":", linewidth=1.2, zorder=1)
        for one in _behind_to_front(shown, lead):
            _line(axes, one, question, "precision_recall", "recall", band=one in (lead, other))
        axes.set(xlim=(0, 1), ylim=(0, top))

    told = {(row["model"], str(row["size"])): row["auprc"] for row in table["rows"]}
    single = len(asked) == 1
    handles = [
        figures.handle(one, f"{one.label}\n{wording.number(told[one.model, one.size])}" if single else None)
        for one in shown
    ]
    handles.append(figures.plain_handle("chance: the prevalence"))
    title = f"{task['title']}: {_right_alerts(lead, asked)}"
    labels = ("Recall (sensitivity)", "Precision (PPV)")
    return _sheet(title, task, shown, part, min_cell, labels, panel, "auprc", handles, "AUPRC" if single else "")


def _right_alerts(lead: Series, asked: Sequence[Question]) -> str:
    """The curve read at a recall of .8, in words."""
    curves = lead.curves(asked[0])
    if len(asked) > 1 or not curves:
        return f"how many of {lead.label}'s alerts are right"
    curve, block = curves[0]["precision_recall"], asked[0].of(lead.blocks[0])
    precision = float(np.interp(0.8, figures.values(curve["recall"]), figures.values(curve["value"])))
    chance = "" if block["prevalence"] is None else f" (by chance {wording.percent(block['prevalence'])})"
    return f"finding 80 % of the events, {wording.percent(precision)} of {lead.label}'s alerts are right{chance}"


def _highest_precision(shown: Sequence[Series], asked: Sequence[Question]) -> float:
    """The top of the axis: the next tenth above all lines, whatever their bands."""
    tops = [
        np.nanmax(figures.values(curves["precision_recall"]["value"]))
        for one in shown
        for question in asked
        for curves in one.curves(question)
    ]
    return min(1.0, float(np.ceil(max(tops, default=1.0) * 10 + 0.5) / 10))


def utility(
    task: Mapping[str, Any], shown: Sequence[Series], table: Mapping[str, Any], part: str, min_cell: int
) -> Sheet:
    """Net benefit (Vickers and Elkin 2006) against the threshold, beside acting on all and on none."""
    lead, other = figures.leading(shown), figures.reference(shown, table["reference"])
    asked = figures.questions(task)

    def panel(axes: Any, question: Question) -> None:
        curve = lead.curves(question)[0]["net_benefit"]
        at, everyone = figures.values(curve["threshold"]), figures.values(curve["all"])
        axes.plot(at, everyone, color=figures.INK, linewidth=1, zorder=1)
        axes.axhline(0, color=figures.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        for one in _behind_to_front(shown, lead):
            _line(axes, one, question, "net_benefit", "threshold", band=one in (lead, other))
        prevalence = question.of(lead.blocks[0])["prevalence"]
        peaks = [figures.values(c["net_benefit"]["value"]) for one in shown for c in one.curves(question)]
        top = max(1e-3, everyone[0], *(float(np.nanmax(p)) for p in peaks if np.isfinite(p).any()))
        right = at[-1] if prevalence is None else min(at[-1], max(0.1, np.ceil(prevalence * 60) / 20))
        axes.set(xlim=(0, right), ylim=(-0.3 * top, 1.1 * top))

    handles = [figures.handle(one) for one in shown]
    handles.append(figures.plain_handle("act on all", figures.INK, "-", 1))
    handles.append(figures.plain_handle("act on none", figures.INK, (0, (2, 2)), 1))
    labels = ("Threshold of risk to act on", "Net benefit (true positives a stay)")
    title = f"{task['title']}: {_worth(lead, asked)}"
    return _sheet(title, task, shown, part, min_cell, labels, panel, None, handles)


def _worth(lead: Series, asked: Sequence[Question]) -> str:
    better = shown = 0
    for question in asked:
        for curves in lead.curves(question)[:1]:
            curve = curves["net_benefit"]
            value = figures.values(curve["value"])
            known = np.isfinite(value)
            shown += int(known.sum())
            better += int((value > np.fmax(figures.values(curve["all"]), 0))[known].sum())
    if not shown:
        return f"no decision curve for {lead.label}"
    return f"acting on {lead.label}'s risks is worth more than on all or none at {better} of {shown} thresholds"


def _behind_to_front(shown: Sequence[Series], lead: Series) -> list[Series]:
    return [
        *(one for one in shown if one.control),
        *(one for one in shown if not one.control and one is not lead),
        lead,
    ]


def _line(axes: Any, one: Series, question: Question, curve: str, across: str, band: bool) -> None:
    """The first seed boldly, with its band if asked; the others thin."""
    for i, curves in enumerate(one.curves(question)):
        points = curves[curve]
        x = figures.values(points[across])
        if i == 0 and band:
            low, high = figures.values(points["low"]), figures.values(points["high"])
            axes.fill_between(x, low, high, color=one.colour, alpha=0.16, linewidth=0)
        axes.plot(
            x,
            figures.values(points["value"]),
            color=one.colour,
            linestyle=one.dash,
            linewidth=1.9 if i == 0 else 0.8,
            alpha=1 if i == 0 else 0.6,
        )


def _sheet(
    title: str,
    task: Mapping[str, Any],
    shown: Sequence[Series],
    part: str,
    min_cell: int,
    labels: tuple[str, str],
    panel: Callable[[Any, Question], None],
    measure: str | None,
    handles: Sequence[Any],
    heading: str = "",
) -> Sheet:
    """Panels on a grid; above each of several, the measure of the bold lines in their colours."""
    asked, lead = figures.questions(task), figures.leading(shown)
    grid = Grid.of(len(asked))
    sheet = Sheet(title, figures.rows_line(lead.blocks[0], part, figures.seeds_line(shown)), grid.height(handles))
    for i, question in enumerate(asked):
        x, y = grid.corner(i)
        axes = sheet.axes(x, y, grid.panel, grid.panel)
        if lead.curves(question):
            panel(axes, question)
        else:
            figures.refusal(axes, question.of(lead.blocks[0]), min_cell)
        if len(asked) > 1:
            axes.set_title(question.title, loc="left", fontsize=10, weight="bold", pad=18 if measure else 6)
            _numbers(axes, question, shown, measure)
        axes.set_xlabel(labels[0])
        if i % grid.columns == 0:
            axes.set_ylabel(labels[1])
    figures.place_legend(sheet, grid, handles, heading)
    return sheet


def _numbers(axes: Any, question: Question, shown: Sequence[Series], measure: str | None) -> None:
    if measure is None:
        return
    figures.note(axes, measure.upper())
    for place, one in enumerate([one for one in shown if not one.control][:5]):
        value = question.of(one.blocks[0]).get(measure, {}).get("value")
        figures.note(axes, wording.number(value), one.colour, 42 + 32 * place)
