"""Training: loss and tuning AUROC by epoch, the kept checkpoint marked; with several training sizes, AUROC by size.

Loss on training rows is the mean since the last evaluation, on tuning rows that of the evaluation itself: where the
two part, the model learns its training rows by heart. AUROC by size is compare's, on the headline part.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lib import figures, wording
from lib.figures import Series, Sheet

PANEL_HEIGHT = 2.7
Chosen = tuple[Series, int, Mapping[str, Any]]  # how a model is drawn, its seed, its history


def training(
    task: Mapping[str, Any],
    shown: Sequence[Series],
    fits: Sequence[Mapping[str, Any]],
    histories: Sequence[Mapping[str, Any]],
    table: Mapping[str, Any],
    part: str,
) -> Sheet:
    """`histories` of finetune, in the order of `fits`; only those of each model's largest training size are drawn."""
    by_model = {(one.model, one.size): one for one in shown}
    chosen = [
        (by_model[fit["model"], str(fit["size"])], fit["seed"], history)
        for fit, history in zip(fits, histories, strict=True)
        if (fit["model"], str(fit["size"])) in by_model
    ]
    sizes = list(dict.fromkeys(str(row["size"]) for row in table["rows"]))
    panels = [_loss, _auroc] if chosen else []
    columns = len(panels) + (len(sizes) > 1)
    subtitle = "Circles: the checkpoint that was kept. Thin lines: further seeds."
    if len(sizes) > 1:
        subtitle += f" By size: {wording.part(part)}, mean over seeds, 95 % intervals over patients."
    sheet = Sheet(f"{task['title']}: {_summary(chosen)}", subtitle, 0.3 + PANEL_HEIGHT + 1.15)
    if not columns:
        sheet.text(0.72, sheet.top + 1.5, "no training curves: this run finetunes no model", color=figures.MUTED)
        return sheet
    gap = 0.75
    width = (figures.WIDTH - 0.2 - columns * gap) / columns
    for i, draw in enumerate(panels):
        draw(sheet.axes(0.72 + i * (width + gap), 0.3, width, PANEL_HEIGHT), chosen)
    if len(sizes) > 1:
        axes = sheet.axes(0.72 + len(panels) * (width + gap), 0.3, width, PANEL_HEIGHT)
        _by_size(axes, shown, table, sorted(sizes, key=lambda size: (size == "all", len(size), size)))
    drawn = [one for one in shown if len(sizes) > 1 or any(one is c[0] for c in chosen)]
    handles = [figures.handle(one) for one in drawn]
    if chosen:
        handles.append(figures.plain_handle("loss on training rows", figures.MUTED, (0, (1, 1.2)), 1.4))
    sheet.legend(handles, 0.72, 0.3 + PANEL_HEIGHT + 0.6, columns=4)
    return sheet


def _summary(chosen: Sequence[Chosen]) -> str:
    if not chosen:
        return "no model was finetuned"
    one, seed, history = chosen[0]
    best, steps = history["best"], history["steps"]
    metric = "AUROC" if history["metric"] == "auroc" else "loss"
    value = wording.number(best[f"tuning_{history['metric']}"])
    text = f"{one.label} (seed {seed}) is best on the tuning part after {best['step']:,} of {steps['planned']:,} steps"
    return f"{text}, {metric} {value}" + ("; it stopped early" if history["stopped_early"] else "")


def _epochs(history: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    evaluations = history["evaluations"]
    return figures.values([e["epoch"] for e in evaluations]), figures.values([e[name] for e in evaluations])


def _weight(place: int) -> dict[str, float]:
    return {"linewidth": 1.9, "alpha": 1.0} if place == 0 else {"linewidth": 0.8, "alpha": 0.6}


def _places(chosen: Sequence[Chosen]) -> list[int]:
    """0 for a model's first seed, then 1, 2, ..."""
    models = [one.model for one, _, _ in chosen]
    return [models[:i].count(model) for i, model in enumerate(models)]


def _loss(axes: Any, chosen: Sequence[Chosen]) -> None:
    for place, (one, _, history) in zip(_places(chosen), chosen, strict=True):
        dotted = {**_weight(place), "linewidth": 1.4 if place == 0 else 0.7}
        axes.plot(*_epochs(history, "train_loss"), color=one.colour, linestyle=(0, (1, 1.2)), **dotted)
        axes.plot(*_epochs(history, "tuning_loss"), color=one.colour, linestyle=one.dash, **_weight(place))
        if place == 0:
            _mark(axes, one, history, "tuning_loss")
    axes.set_title("Loss (cross-entropy, nats)", loc="left", fontsize=10, weight="bold")
    _by_epoch(axes)


def _auroc(axes: Any, chosen: Sequence[Chosen]) -> None:
    for place, (one, _, history) in zip(_places(chosen), chosen, strict=True):
        axes.plot(*_epochs(history, "tuning_auroc"), color=one.colour, linestyle=one.dash, **_weight(place))
        _mark(axes, one, history, "tuning_auroc")
    axes.set_title("AUROC on the tuning part", loc="left", fontsize=10, weight="bold")
    _by_epoch(axes)


def _by_epoch(axes: Any) -> None:
    axes.set(xlabel="Epoch", xlim=(0, None))
    axes.locator_params(axis="x", integer=True)


def _mark(axes: Any, one: Series, history: Mapping[str, Any], name: str) -> None:
    best = history["best"]
    if best[name] is not None:
        axes.plot([best["epoch"]], [best[name]], "o", color=one.colour, markersize=5, markeredgecolor="white")


def _by_size(axes: Any, shown: Sequence[Series], table: Mapping[str, Any], sizes: Sequence[str]) -> None:
    axes.axhline(0.5, color=figures.FAINT, linewidth=1, zorder=0)
    for i, one in enumerate(shown):
        told = {str(row["size"]): row["auroc"] for row in table["rows"] if row["model"] == one.model}
        x = np.array([k for k, size in enumerate(sizes) if size in told], dtype=float) + 0.05 * (i - len(shown) / 2)
        value, low, high = (
            figures.values([told[size][key] for size in sizes if size in told]) for key in ("value", "low", "high")
        )
        axes.plot(x, value, color=one.colour, linestyle=one.dash, marker="o", markersize=4, linewidth=1.3)
        axes.vlines(x, low, high, color=one.colour, linewidth=1)
    axes.set_xticks(range(len(sizes)), [s if s == "all" else f"{int(s):,}" for s in sizes])
    axes.set_title("AUROC by training size", loc="left", fontsize=10, weight="bold")
    axes.set(xlabel="Training stays", xlim=(-0.4, len(sizes) - 0.6))
