"""From predictions to the numbers of one model: what `results/<name>/evaluate/....json` holds and why.

The order of events is the design: the threshold and the recalibration are fitted on the calibration part and frozen
before another part is looked at; the tuning part, which chose the model, gets a point AUROC and no more. With fewer
than `min_events` events or non-events, or a fit that does not exist, a measure is null with a reason. Intervals are
percentile intervals over patients (`lib.bootstrap`).

What is written is of class aggregate. Counts below `min_cell` and what would give them away are null (`suppressed`
true); curves are read at fixed points and groups hold at least `min_cell` events and non-events; the frozen threshold
is a multiple of 1e-6 and no patient's own probability.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib import bootstrap, metrics, scoring
from lib.disclosure import suppress
from lib.estimates import measure, min_events, no_interval, nothing, number, numbers, too_few
from lib.predictions import Predictions, Question, by_content, questions
from lib.recalibration import recalibrated
from lib.scoring import Overall, Scored

Array = NDArray[np.float64]

OVERALL = ("auroc", "brier", "brier_scaled", "log_loss")
TUNING = ("n_rows", "n_persons", "n_events", "prevalence", "suppressed", "auroc")
SETTINGS = ("replicates", "slope_replicates", "seed", "target_sensitivity", "min_cell")


class Part:
    """One part scored: its questions, their point values and replicates, and the JSON block that tells them."""

    def __init__(
        self, predictions: Predictions, settings: Mapping[str, Any], thresholds: Mapping[str, float | None]
    ) -> None:
        self.rows = predictions
        self.task, self.min_cell = settings["task"], int(settings["min_cell"])
        self.questions = questions(self.task, predictions.label, predictions.p)
        self.refused: dict[str, str] = {}
        self.scored: dict[str, Scored] = {}
        for question in self.questions:
            if why := too_few(question.y, min_events(self.min_cell)):
                self.refused[question.key] = why
            else:
                threshold = thresholds.get(question.key)
                self.scored[question.key] = Scored(question, predictions, threshold, self.min_cell)
        self._classes = [key for key, scored in self.scored.items() if scored.question.group == "classes"]
        self._overall = Overall(predictions) if self._classes else None
        ones = np.ones((1, predictions.persons))
        self.point = {name: value[0] for name, value in (self._rates(ones) | self._fits(ones)).items()}
        self.samples: dict[str, Array] = {}
        replicates = min(int(settings["replicates"]), int(settings["slope_replicates"]))
        self._without = no_interval(predictions.persons, replicates, min_events(self.min_cell))
        if self.scored and not self._without:
            for statistic, setting in ((self._rates, "replicates"), (self._fits, "slope_replicates")):
                self.samples |= bootstrap.replicate(
                    statistic,
                    predictions.persons,
                    predictions.rows,
                    int(settings[setting]),
                    int(settings["seed"]),
                    int(settings["workers"]),
                )

    def _rates(self, counts: Array) -> dict[str, Array]:
        out = {f"{key}/{name}": v for key, scored in self.scored.items() for name, v in scored.rates(counts).items()}
        if self._overall:
            classes = {key: out[f"{key}/auroc"] for key in self._classes}
            out |= {f"overall/{name}": v for name, v in self._overall.rates(counts, classes).items()}
        return out

    def _fits(self, counts: Array) -> dict[str, Array]:
        return {f"{key}/{name}": v for key, scored in self.scored.items() for name, v in scored.fits(counts).items()}

    def _measure(self, name: str, why: str = "undefined on these rows") -> dict[str, Any]:
        return measure(self.point[name], self.samples.get(name), why, self._without)

    def block(self, counts: bool = True, curves: bool = True) -> dict[str, Any]:
        """The JSON of this part. `counts` False hides all counts; `curves` False leaves curves and operating out."""
        label, classes = self.rows.label, self.rows.classes
        shown = suppress(np.bincount(label, minlength=classes).tolist(), self.min_cell)
        if not counts:
            shown = [None] * classes
        hidden = {k for k, count in enumerate(shown) if count is None}
        out: dict[str, Any] = {
            "n_rows": suppress([self.rows.rows], self.min_cell)[0] if counts else None,
            "n_persons": suppress([self.rows.persons], self.min_cell)[0] if counts else None,
            "suppressed": bool(hidden),
        }
        for position, question in enumerate(self.questions):
            if question.group == "cuts":
                # A cut's count is a sum of class counts: with hidden ones on both sides it would part them.
                cut = position - classes
                open_ = counts and {k <= cut for k in hidden} != {True, False}
            else:
                open_ = shown[1 if question.group == "event" else position] is not None
            told = self._question(question, open_, curves and open_)
            if question.group == "event":
                out |= told | {"suppressed": out["suppressed"]}
            else:
                out.setdefault(question.group, {})[question.name] = told
        if self.task["kind"] != "binary":
            names = self.task["class_names"]
            out["n_events"] = dict(zip(names, shown, strict=True))
            out["macro_classes"] = [self.scored[key].question.name for key in self._classes]
            none = (
                f"no class has {min_events(self.min_cell)} rows inside and outside it" if self.rows.rows else "no rows"
            )
            out |= {m: self._measure(f"overall/{m}") if self._classes else nothing(none) for m in OVERALL}
        return out

    def _question(self, question: Question, counts: bool, curves: bool) -> dict[str, Any]:
        key, scored = question.key, self.scored.get(question.key)
        out: dict[str, Any] = {
            "n_events": int(question.y.sum()) if counts else None,
            "prevalence": number(question.y.mean()) if counts and len(question.y) else None,
            "suppressed": not counts,
        }
        if scored is None:
            why = self.refused[key]
            return (
                out | {m: nothing(why) for m in (*scoring.RATES, *scoring.FITS)} | {"operating": None, "curves": None}
            )
        out |= {m: self._measure(f"{key}/{m}") for m in scoring.RATES}
        out |= {
            m: self._measure(f"{key}/{m}", "the fit did not converge (separated or constant)") for m in scoring.FITS
        }
        return out | {
            "operating": self._operating(scored) if curves else None,
            "curves": self._curves(scored) if curves else None,
        }

    def _operating(self, scored: Scored) -> dict[str, Any] | None:
        if scored.threshold is None:
            return None
        key, cells = scored.question.key, scored.confusion(scored.threshold)[0]
        if ((cells > 0) & (cells < self.min_cell)).any():
            table = {m: nothing("suppressed: a cell of the two-by-two table is small") for m in scoring.OPERATING}
        else:
            table = {
                m: self._measure(f"{key}/operating.{m}", "no row is flagged, or all are") for m in scoring.OPERATING
            }
        return {"threshold": scored.threshold} | table

    def _band(self, name: str) -> dict[str, Any]:
        points = self.point[name]
        if (samples := self.samples.get(name)) is None:
            low = high = np.full(len(points), np.nan)
        else:
            low, high, _ = bootstrap.interval(samples)
        return {"value": numbers(points), "low": numbers(low), "high": numbers(high)}

    def _curves(self, scored: Scored) -> dict[str, Any]:
        key = scored.question.key
        rows, mean = scored.group_table()
        events, others = (suppress(side.tolist(), self.min_cell) for side in scored.histogram())
        benefit = self._band(f"{key}/curve.net_benefit")
        tp, fp, fn, tn = scored.confusion(scoring.DECISION).T
        flagged, rest = tp + fp, fn + tn
        small = ((flagged > 0) & (flagged < self.min_cell)) | ((rest > 0) & (rest < self.min_cell))
        return {
            "roc": {"fpr": numbers(scoring.FPR), **self._band(f"{key}/curve.roc")},
            "precision_recall": {"recall": numbers(scoring.RECALL), **self._band(f"{key}/curve.precision")},
            "calibration": {"n": rows.tolist(), "mean": numbers(mean), **self._band(f"{key}/curve.observed")},
            "smooth": {"predicted": numbers(scored.smooth_at), **self._band(f"{key}/curve.smooth")},
            "net_benefit": {
                "threshold": numbers(scoring.DECISION),
                **{side: [None if s else v for s, v in zip(small, vs, strict=True)] for side, vs in benefit.items()},
                "all": numbers(self.point[f"{key}/curve.net_benefit_all"]),
                "none": [0.0] * len(scoring.DECISION),
            },
            "histogram": {
                "edges": numbers(np.arange(scoring.BINS + 1) / scoring.BINS),
                "events": events,
                "others": others,
            },
        }


def choose_thresholds(
    task: Mapping[str, Any], rows: Predictions | None, sensitivity: float, min_cell: int
) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Thresholds by question key, and their JSON: the highest with this sensitivity on the calibration rows."""
    chosen: dict[str, float | None] = {}
    block: dict[str, Any] = {"part": "calibration", "target_sensitivity": sensitivity}
    label, p = (rows.label, rows.p) if rows else (np.empty(0, np.int64), np.empty((0, int(task["classes"]))))
    for question in questions(task, label, p):
        why = too_few(question.y, min_events(min_cell)) if rows else "no calibration part"
        value = None if why else metrics.threshold_for(question.y, question.p, sensitivity)
        chosen[question.key] = value
        told: dict[str, Any] = {"value": value} | ({"reason": why} if why else {})
        if question.group == "event":
            block |= told
        else:
            block.setdefault(question.group, {})[question.name] = told
    return chosen, block


def unseen_countable(rows: Predictions, min_cell: int) -> bool:
    """Whether the counts of unseen patients can stand beside those of all: what is left must hold no small cell."""
    seen, unseen = rows.where(rows.seen), rows.where(~rows.seen)
    cells = [len(np.unique(side.person)) for side in (seen, unseen)]
    cells += [n for side in (seen, unseen) for n in np.bincount(side.label, minlength=rows.classes).tolist()]
    return not any(0 < n < min_cell for n in cells)


def evaluate(parts: Sequence[tuple[str, Predictions]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The whole of evaluate's JSON, from named parts in settings order; the stage's docstring draws it.

    `settings`: task, replicates, slope_replicates, seed, target_sensitivity, min_cell, workers. Parts named tuning and
    calibration have their roles; temporal_test is also scored on patients whom the model has not seen.
    """
    task, min_cell = settings["task"], int(settings["min_cell"])
    parts = [(name, by_content([part])[0]) for name, part in parts]
    rows = dict(parts)
    fitted = rows.get("calibration")
    thresholds, threshold_block = choose_thresholds(task, fitted, float(settings["target_sensitivity"]), min_cell)
    blocks: dict[str, Any] = {}
    for name, part in parts:
        if name == "tuning":
            point_only = {**settings, "replicates": 0, "slope_replicates": 0}
            block = Part(part, point_only, {}).block(curves=False)
            blocks[name] = {key: block[key] for key in TUNING if key in block}
            continue
        blocks[name] = Part(part, settings, thresholds).block()
        if name == "temporal_test":
            unseen = Part(part.where(~part.seen), settings, {})
            blocks["temporal_test_unseen"] = unseen.block(counts=unseen_countable(part, min_cell), curves=False)
    later = {name: part for name, part in parts if name not in ("tuning", "calibration")}
    return {
        "task": dict(task),
        "settings": {key: settings[key] for key in SETTINGS} | {"min_events": min_events(min_cell)},
        "threshold": threshold_block,
        "parts": blocks,
        "recalibration": recalibrated(task, fitted, later, min_cell) if fitted else None,
    }
