"""Every measure of a question on the rows of one part, for any weights of its patients.

The measures come in two kinds. `rates` are sums over rows and cost one pass: they are taken on every bootstrap
replicate. `fits` (calibration intercept and slope, the smoothed curve and its distances) are refitted by Newton and
taken on fewer. With weights of one both give the point values, so that a value and its interval come from one place.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lib import calibration
from lib.metrics import Ranking, ratio, surprise
from lib.predictions import Predictions, Question

Array = NDArray[np.float64]

RATES = ("auroc", "auprc", "brier_scaled", "log_loss", "oe_ratio")
FITS = ("calibration_intercept", "calibration_slope", "ici", "e50", "e90")
OPERATING = ("sensitivity", "specificity", "ppv", "npv", "alerts_per_100", "number_needed_to_evaluate")
FPR = np.arange(101) / 100
RECALL = np.arange(1, 101) / 100
DECISION = np.arange(1, 51) / 100  # thresholds of the decision curve
GROUPS = 10
BINS = 20  # of the risk distribution, each .05 wide


def by_person(predictions: Predictions, values: Array) -> Array:
    """(n,) values of rows summed to (persons,)."""
    return np.bincount(predictions.person, weights=values, minlength=predictions.persons).astype(np.float64)


class Scored:
    """One question on the rows of one part. `threshold` is the frozen one, None when there is none.

    The question must have at least `min_cell` events and non-events (see `lib.evaluation`).
    """

    def __init__(self, question: Question, predictions: Predictions, threshold: float | None, min_cell: int) -> None:
        self.question, self.threshold = question, threshold
        y, p = question.y, question.p
        self._person = predictions.person
        self.ranking = Ranking(y, p, predictions.person)
        sums = (np.ones(len(y)), p, (p - y) ** 2, surprise(y, p))
        self._rows, self._expected, self._squares, self._surprise = (by_person(predictions, s) for s in sums)
        self.edges = np.asarray(calibration.groups(y, p, GROUPS, max(1, min_cell)))
        self._smoother = calibration.Smoother(y, p)
        low, high = np.quantile(p, (0.01, 0.99))
        steps = np.arange(np.ceil(low * 100), np.floor(high * 100) + 1) / 100
        self.smooth_at = steps[(steps > 0) & (steps < 1)]  # where there are data, in whole percents

    def rates(self, counts: Array) -> dict[str, Array]:
        """counts (c, persons) -> RATES and operating.* (c,); curve.roc, curve.precision, curve.net_benefit,
        curve.net_benefit_all, curve.observed (calibration groups) (c, points)."""
        down = self.ranking.cumulate(counts)
        rows = np.vecdot(counts, self._rows)
        share = ratio(down.positives, rows)
        out = {
            "auroc": down.auroc(),
            "auprc": down.average_precision(),
            "brier_scaled": 1 - ratio(np.vecdot(counts, self._squares), rows * share * (1 - share)),
            "log_loss": ratio(np.vecdot(counts, self._surprise), rows),
            "oe_ratio": ratio(down.positives, np.vecdot(counts, self._expected)),
            "curve.roc": down.roc(FPR),
            "curve.precision": down.precision_at_recall(RECALL),
            "curve.net_benefit": down.net_benefit(DECISION),
            "curve.net_benefit_all": share[:, None] - (1 - share)[:, None] * (DECISION / (1 - DECISION)),
        }
        events, others = down.at(self.edges)  # at or above each lower edge: differences are the groups
        events = events - np.append(events[:, 1:], np.zeros((len(events), 1)), axis=1)
        others = others - np.append(others[:, 1:], np.zeros((len(others), 1)), axis=1)
        out["curve.observed"] = ratio(events, events + others)
        if self.threshold is not None:
            out |= {f"operating.{name}": value for name, value in down.operating(self.threshold).items()}
        return out

    def fits(self, counts: Array) -> dict[str, Array]:
        """counts (c, persons) -> FITS (c,) and curve.smooth (c, len(smooth_at)); NaN where a fit did not converge."""
        weight = np.take(counts, self._person, axis=1)
        y, p = self.question.y, self.question.p
        coefficients = self._smoother.fit(weight)
        return {
            "calibration_intercept": calibration.intercept(y, p, weight),
            "calibration_slope": calibration.slope(y, p, weight),
            **self._smoother.distances(coefficients, weight),
            "curve.smooth": self._smoother.observed(coefficients, self.smooth_at),
        }

    def group_table(self) -> tuple[NDArray[np.int64], Array]:
        """Rows and mean probability of each calibration group, both (groups,)."""
        group = np.searchsorted(self.edges, self.question.p, "right") - 1
        rows = np.bincount(group, minlength=len(self.edges))
        return rows, np.bincount(group, weights=self.question.p, minlength=len(self.edges)) / rows

    def histogram(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Events and non-events in BINS equal bins of p, both (BINS,)."""
        place = np.minimum((self.question.p * BINS).astype(np.int64), BINS - 1)
        return tuple(np.bincount(place[side], minlength=BINS) for side in (self.question.y, ~self.question.y))  # type: ignore[return-value]

    def confusion(self, threshold: float | Array) -> NDArray[np.int64]:
        """(thresholds, 4) true and false positives, false and true negatives when p >= threshold is flagged."""
        events, others = self.ranking.rows_at(np.atleast_1d(threshold))
        return np.stack([events, others, len(self.ranking.events) - events, len(self.ranking.others) - others], axis=1)


class Overall:
    """Measures of a task with several classes as a whole, from the same draws as those of its questions."""

    def __init__(self, predictions: Predictions) -> None:
        truth = np.eye(predictions.classes)[predictions.label]
        own = predictions.p[np.arange(predictions.rows), predictions.label]
        self._shares = [by_person(predictions, truth[:, k]) for k in range(predictions.classes)]
        self._squares = by_person(predictions, ((predictions.p - truth) ** 2).sum(axis=1))
        self._surprise = by_person(predictions, surprise(np.ones(predictions.rows, bool), own))

    def rates(self, counts: Array, classes: Mapping[str, Array]) -> dict[str, Array]:
        """counts (c, persons) and the AUROC (c,) of each scored class -> auroc (their mean), brier, brier_scaled and
        log_loss (c,). Brier is summed over classes (0..2); scaled against the class shares."""
        totals = np.stack([np.vecdot(counts, share) for share in self._shares])
        rows = totals.sum(axis=0)
        score = ratio(np.vecdot(counts, self._squares), rows)
        return {
            "auroc": np.mean(list(classes.values()), axis=0),
            "brier": score,
            "brier_scaled": 1 - ratio(score, 1 - (ratio(totals, rows) ** 2).sum(axis=0)),
            "log_loss": ratio(np.vecdot(counts, self._surprise), rows),
        }
