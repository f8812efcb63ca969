"""Point metrics of a yes-or-no question, as functions of arrays and weights.

Everything that depends on the order of the probabilities comes from one sort. `Ranking` keeps, by falling probability,
which cluster (patient) each event and each non-event belongs to; for any weights of the clusters two cumulative sums
then give true and false positives at every threshold, and from these AUROC, average precision, ROC and
precision-recall points, net benefit and the operating table. A bootstrap replicate is only another weight vector, so
the metric and its replicates are the same code: weights of shape (c, clusters) give c values at once. Along the last
axis every value is computed by itself, so it does not depend on which replicates share a call.

Shapes: `y` (n,) of 0/1 or bool; `p` (n,) float64 in [0, 1], the probability of the event; `weight` (n,) float64 >= 0 or
None for ones. Results are float64. A metric that is undefined (no events, no non-events, no alerts) is NaN here; the
stages turn it into null with its reason. Ties count one half (AUROC) or are taken together (all others).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

CLIP = 1e-7  # probabilities enter a logarithm no closer to 0 and 1 than this
GRID = 1_000_000  # thresholds are multiples of 1/GRID, so that none is one patient's own probability


def check(y: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.bool_], Array]:
    """`y` as bool and `p` as float64; ValueError unless both are (n,), `y` holds 0/1 and `p` lies within [0, 1]."""
    truth, probability = np.asarray(y), np.asarray(p, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != probability.shape:
        raise ValueError(f"y and p must be of one shape (n,), not {truth.shape} and {probability.shape}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("y holds values other than 0 and 1")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("p holds values outside 0 to 1")
    return truth.astype(bool), probability


def ratio(top: ArrayLike, bottom: ArrayLike) -> Array:
    """top / bottom, NaN where bottom is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, np.float64), np.asarray(bottom, np.float64))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


class Ranking:
    """Rows sorted once by falling probability, ready for any weights of their clusters.

    `cluster` (n,) int64 in 0..clusters-1; None makes every row its own cluster. ValueError as in `check`.
    """

    def __init__(self, y: ArrayLike, p: ArrayLike, cluster: NDArray[np.int64] | None = None) -> None:
        truth, probability = check(y, p)
        order = np.argsort(-probability, kind="stable")
        truth, fall = truth[order], -probability[order]
        member = order if cluster is None else np.asarray(cluster)[order]
        self.events, self.others = member[truth], member[~truth]
        self._fall_events, self._fall_others = fall[truth], fall[~truth]
        # One step for each distinct probability that an event has: between steps sensitivity does not change.
        steps = np.unique(self._fall_events)
        self.events_to = np.searchsorted(self._fall_events, steps, "right")
        self.others_to = np.searchsorted(self._fall_others, steps, "right")
        self.others_before = np.searchsorted(self._fall_others, steps, "left")

    def rows_at(self, threshold: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many events and non-events have p >= threshold: positions in the cumulative sums."""
        fall = -np.asarray(threshold, np.float64)
        return np.searchsorted(self._fall_events, fall, "right"), np.searchsorted(self._fall_others, fall, "right")

    def cumulate(self, counts: Array) -> "Cumulated":
        """Sums over the sorted rows for weights `counts` (c, clusters) float64."""
        return Cumulated(self, _cumulative(counts, self.events), _cumulative(counts, self.others))


def _cumulative(counts: Array, member: NDArray[np.int64]) -> Array:
    total = np.zeros((len(counts), len(member) + 1))
    np.cumsum(np.take(counts, member, axis=1), axis=1, out=total[:, 1:])
    return total


class Cumulated:
    """Weighted true and false positives down the ranking; every method gives one value, or one row, a replicate."""

    def __init__(self, ranking: Ranking, events: Array, others: Array) -> None:
        self._ranking, self._events, self._others = ranking, events, others
        self.positives, self.negatives = events[:, -1], others[:, -1]  # (c,)
        # `take` keeps each replicate's values in one line: they are summed in the same order however many there are.
        self._tp, self._fp = np.take(events, ranking.events_to, axis=1), np.take(others, ranking.others_to, axis=1)

    def auroc(self) -> Array:
        """(c,) area under the ROC curve: Mann-Whitney, ties one half (Hanley & McNeil 1982, Radiology 143:29)."""
        above = (np.take(self._others, self._ranking.others_before, axis=1) + self._fp) / 2
        gain = np.diff(self._tp, axis=1, prepend=0)
        wins = np.vecdot(gain, self.negatives[:, None] - above)
        return ratio(wins, self.positives * self.negatives)

    def average_precision(self) -> Array:
        """(c,) area under the precision-recall steps, without interpolation (as average_precision_score)."""
        gain = np.diff(self._tp, axis=1, prepend=0)
        flagged = self._tp + self._fp
        precision = np.divide(self._tp, flagged, out=np.zeros_like(flagged), where=flagged > 0)
        return ratio(np.vecdot(gain, precision), self.positives)

    def at(self, threshold: ArrayLike) -> tuple[Array, Array]:
        """(c, thresholds) weighted true and false positives when p >= threshold is flagged."""
        events, others = self._ranking.rows_at(np.atleast_1d(threshold))
        return np.take(self._events, events, axis=1), np.take(self._others, others, axis=1)

    def roc(self, fpr: Array) -> Array:
        """(c, len(fpr)) sensitivity at each false positive rate, on straight lines between the ROC curve's corners."""
        c, steps = self._tp.shape
        x, y = np.ones((c, 2 * steps + 1)), np.ones((c, 2 * steps + 1))  # the last corner is (1, 1)
        x[:, :-1:2] = np.take(self._others, self._ranking.others_before, axis=1)  # where a step's tie begins
        x[:, 1::2] = self._fp  # and where it ends
        y[:, :1], y[:, 2:-1:2], y[:, 1::2] = 0, self._tp[:, :-1], self._tp
        x[:, :-1] = ratio(x[:, :-1], self.negatives[:, None])
        y[:, :-1] = ratio(y[:, :-1], self.positives[:, None])
        out = np.full((c, len(fpr)), np.nan)
        for row in np.flatnonzero((self.positives > 0) & (self.negatives > 0)):
            out[row] = np.interp(fpr, x[row], y[row])
        return out

    def precision_at_recall(self, recall: Array) -> Array:
        """(c, len(recall)) precision at the highest threshold that reaches each recall (no interpolation between)."""
        precision = ratio(self._tp, self._tp + self._fp)
        out = np.full((len(precision), len(recall)), np.nan)
        for row, p in enumerate(self.positives):
            if p > 0:
                wanted = recall * p * (1 - 1e-12)  # .07 * 100 is 7.000000000000001
                out[row] = precision[row, np.searchsorted(self._tp[row], wanted, "left")]
        return out

    def net_benefit(self, threshold: Array) -> Array:
        """(c, thresholds) TP/n - FP/n * t/(1-t) (Vickers & Elkin 2006, Med Decis Making 26:565), t < 1."""
        tp, fp = self.at(threshold)
        return ratio(tp - fp * (threshold / (1 - threshold)), (self.positives + self.negatives)[:, None])

    def operating(self, threshold: float) -> dict[str, Array]:
        """(c,) each: sensitivity, specificity, ppv, npv, alerts_per_100 rows, number_needed_to_evaluate = 1/ppv."""
        tp, fp = (side[:, 0] for side in self.at(threshold))
        fn, tn = self.positives - tp, self.negatives - fp
        return {
            "sensitivity": ratio(tp, self.positives),
            "specificity": ratio(tn, self.negatives),
            "ppv": ratio(tp, tp + fp),
            "npv": ratio(tn, tn + fn),
            "alerts_per_100": 100 * ratio(tp + fp, self.positives + self.negatives),
            "number_needed_to_evaluate": ratio(tp + fp, tp),
        }


def _cumulated(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None) -> Cumulated:
    ranking = Ranking(y, p)
    return ranking.cumulate(_weights(weight, len(ranking.events) + len(ranking.others))[None])


def _weights(weight: ArrayLike | None, n: int) -> Array:
    weights = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    if weights.shape != (n,) or not (weights >= 0).all():
        raise ValueError(f"weight must be ({n},) and not negative")
    return weights


def auroc(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Area under the ROC curve; NaN with one class. `Cumulated.auroc` has the source.

    >>> auroc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    return float(_cumulated(y, p, weight).auroc()[0])


def average_precision(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Average precision (AUPRC); read it beside the prevalence, which is what chance reaches. NaN without events."""
    return float(_cumulated(y, p, weight).average_precision()[0])


def brier(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Weighted mean of (p - y)^2 (Brier 1950)."""
    truth, probability = check(y, p)
    return float(np.average((probability - truth) ** 2, weights=_weights(weight, len(truth))))


def scaled_brier(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """1 - Brier / Brier of the prevalence (Steyerberg et al. 2010, Epidemiology 21:128); NaN with one class."""
    truth, _ = check(y, p)
    share = float(np.average(truth.astype(np.float64), weights=_weights(weight, len(truth))))
    return float(1 - ratio(brier(y, p, weight), share * (1 - share)))


def log_loss(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Weighted mean negative log likelihood in nats; p is kept CLIP away from 0 and 1."""
    truth, probability = check(y, p)
    return float(np.average(surprise(truth, probability), weights=_weights(weight, len(truth))))


def surprise(y: NDArray[np.bool_], p: Array) -> Array:
    """(n,) -log of the probability given to what happened, p clipped to [CLIP, 1 - CLIP]."""
    return -np.log(np.clip(np.where(y, p, 1 - p), CLIP, 1 - CLIP))


def oe_ratio(y: ArrayLike, p: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Observed over expected events; 1 is calibrated in the large, NaN where none are expected."""
    truth, probability = check(y, p)
    weights = _weights(weight, len(truth))
    return float(ratio(np.vecdot(weights, truth.astype(float)), np.vecdot(weights, probability)))


def threshold_for(y: ArrayLike, p: ArrayLike, sensitivity: float) -> float:
    """The highest multiple of 1/GRID at which flagging p >= threshold has at least this sensitivity (0 < s <= 1).

    ValueError without events.
    """
    truth, probability = check(y, p)
    events = np.sort(probability[truth])[::-1]
    if not len(events):
        raise ValueError("no events")
    needed = max(1, int(np.ceil(sensitivity * len(events) * (1 - 1e-12))))
    step = int(np.floor(events[needed - 1] * GRID)) + 1
    while step / GRID > events[needed - 1]:  # the product above may have been rounded either way
        step -= 1
    return step / GRID


def multiclass_brier(label: NDArray[np.int64], p: Array, weight: ArrayLike | None = None) -> tuple[float, float]:
    """Brier score summed over classes (0..2) and its scaled form, 1 - Brier / Brier of the class shares.

    `label` (n,) int64 in 0..K-1, `p` (n, K) float64. The scaled form is NaN with one class. Brier 1950, eq. 2.
    """
    weights = _weights(weight, len(label))
    truth = np.eye(p.shape[1])[label]
    score = float(np.average(((p - truth) ** 2).sum(axis=1), weights=weights))
    shares = np.average(truth, axis=0, weights=weights)
    return score, float(1 - ratio(score, 1 - (shares**2).sum()))
