"""Calibration: do events happen as often as predicted? Fits by weighted Newton, on many weight vectors at once.

The weak forms are two logistic regressions on logit p (Cox 1958, Biometrika 45:562; Van Calster et al. 2016, J Clin
Epidemiol 74:167): the intercept with the slope held at 1 (0 is right in the large) and the slope with a free intercept
(below 1: probabilities too extreme). The strong form smooths the outcome over logit p with a restricted cubic spline
(Harrell 2015, Regression Modeling Strategies, section 2.4; four knots) and averages its distance from the diagonal:
ICI, with its median E50 and 90th centile E90 (Austin & Steyerberg 2019, Stat Med 38:4051). A spline has no random or
iterative neighbourhoods: it is deterministic, takes bootstrap weights as they are, and refits in milliseconds.

Probabilities are clipped to [CLIP, 1 - CLIP] of `lib.metrics` before the logit. A fit that cannot be made (one class,
separation, constant p) does not converge and gives NaN. Weights are (c, n) or (n,) float64; results have c rows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.metrics import CLIP

Array = NDArray[np.float64]

KNOTS = {4: (0.05, 0.35, 0.65, 0.95), 3: (0.10, 0.50, 0.90)}  # Harrell's default quantiles
ITERATIONS = 40
TOLERANCE = 1e-9  # the largest change of any row's linear predictor at convergence
FLAT = 1e-12  # a Hessian with a smaller ratio of eigenvalues has a direction that the data do not determine


def logit(p: Array) -> Array:
    """log(p / (1 - p)) of p clipped to [CLIP, 1 - CLIP]."""
    clipped = np.clip(p, CLIP, 1 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def expit(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def logistic(
    columns: Array,
    y: NDArray[np.bool_],
    weight: Array,
    offset: Array | float = 0.0,
    start: Sequence[float] | Array | None = None,
) -> Array:
    """Maximum likelihood coefficients (c, k) of logit P(y) = offset + coef @ columns for each row of weights.

    `columns` (k, n), `y` (n,), `weight` (c, n) or (n,), `offset` (n,). Newton steps of length log(1 + m)/m, m the
    largest change of a linear predictor, which cannot overshoot (Bach 2010, Electron J Stat 4:384: the logistic loss
    is self-concordant with the third derivative at most m times the second) and become full steps near the end.
    A row that has not converged after ITERATIONS, or whose Hessian is singular (separation, constant column), is NaN.
    """
    weight = np.atleast_2d(weight)
    k, n = columns.shape
    beta = np.tile(np.zeros(k) if start is None else np.asarray(start, np.float64), (len(weight), 1))
    result = np.full((len(weight), k), np.nan)
    rows, cols = np.tril_indices(k)
    products = columns[rows] * columns[cols]  # (k(k+1)/2, n)
    active = np.arange(len(weight))
    eta = np.broadcast_to(offset, (len(weight), n)) + _combine(beta, columns)
    for _ in range(ITERATIONS):
        mu = expit(eta)
        # vecdot takes each pair by itself: a replicate's fit does not depend on its batch.
        gradient = np.vecdot((weight * (y - mu))[:, None, :], columns[None])
        triangle = np.vecdot((weight * (mu * (1 - mu)))[:, None, :], products[None])
        hessian = np.empty((len(active), k, k))
        hessian[:, rows, cols] = hessian[:, cols, rows] = triangle
        eigenvalues = np.linalg.eigvalsh(hessian)
        sound = (eigenvalues[:, 0] > FLAT * eigenvalues[:, -1]) & (eigenvalues[:, -1] > 0)
        step = np.linalg.solve(hessian[sound], gradient[sound][:, :, None])[:, :, 0]
        change = _combine(step, columns)
        most = np.abs(change).max(axis=1, initial=0.0)
        damping = np.divide(np.log1p(most), most, out=np.ones_like(most), where=most > 0)[:, None]
        beta, eta = beta[sound] + damping * step, eta[sound] + damping * change
        active, weight = active[sound], weight[sound]
        done = most < TOLERANCE
        result[active[done]] = beta[done]
        if done.any():
            active, weight, beta, eta = active[~done], weight[~done], beta[~done], eta[~done]
        if not len(active):
            break
    return result


def _combine(coefficients: Array, columns: Array) -> Array:
    """coefficients (c, k) @ columns (k, n), column by column: the same sum for a row whatever c is."""
    total = coefficients[:, :1] * columns[0]
    for j in range(1, len(columns)):
        total += coefficients[:, j : j + 1] * columns[j]
    return total


def intercept(y: NDArray[np.bool_], p: Array, weight: Array) -> Array:
    """(c,) calibration in the large: the intercept of a logistic fit with logit p as offset. 0 is ideal."""
    return logistic(np.ones((1, len(p))), y, weight, logit(p))[:, 0]


def slope(y: NDArray[np.bool_], p: Array, weight: Array) -> Array:
    """(c,) calibration slope: the coefficient of logit p. 1 is ideal, below 1 the probabilities are too extreme."""
    x = logit(p)
    centre = float(x.mean())  # moves the intercept only, and keeps the Hessian well conditioned
    return logistic(np.stack([np.ones_like(x), x - centre]), y, weight, start=(centre, 1.0))[:, 1]


class Smoother:
    """Outcome smoothed over logit p by a restricted cubic spline whose knots come from the full data.

    Four knots; three, or a straight line, where ties leave fewer distinct quantiles.
    """

    def __init__(self, y: NDArray[np.bool_], p: Array) -> None:
        self._y, self._p = y, p
        x = logit(p)
        self._centre, self._width = float(x.mean()), float(np.ptp(x)) or 1.0
        x = self._scaled(p)
        self.knots = np.empty(0)
        for quantiles in KNOTS.values():
            knots = np.quantile(x, quantiles)
            if (np.diff(knots) > 1e-6).all():
                self.knots = knots
                break
        self._columns = self._basis(x)

    def _scaled(self, p: Array) -> Array:
        return (logit(p) - self._centre) / self._width

    def _basis(self, x: Array) -> Array:
        """(k, n): 1, x and the cubic terms, linear beyond the outer knots (Harrell 2015, eq. 2.25)."""
        columns = [np.ones_like(x), x]
        if len(self.knots):
            *inner, before, last = self.knots
            first = self.knots[0]

            def cube(knot: float) -> Array:
                return np.maximum(x - knot, 0) ** 3

            for knot in inner:
                tail = (cube(before) * (last - knot) - cube(last) * (before - knot)) / (last - before)
                columns.append((cube(knot) - tail) / (last - first) ** 2)
        return np.stack(columns)

    def fit(self, weight: Array) -> Array:
        """(c, k) coefficients, NaN where the fit did not converge."""
        start = np.zeros(len(self._columns))
        start[:2] = self._centre, self._width  # the diagonal
        return logistic(self._columns, self._y, weight, start=start)

    def observed(self, coefficients: Array, p: Array) -> Array:
        """(c, len(p)) smoothed probability of the event at predicted p."""
        return expit(_combine(coefficients, self._basis(self._scaled(p))))

    def distances(self, coefficients: Array, weight: Array) -> dict[str, Array]:
        """(c,) each: ici (weighted mean), e50 and e90 (weighted quantiles) of |smoothed - predicted|."""
        weight = np.atleast_2d(weight)
        out = {name: np.full(len(weight), np.nan) for name in ("ici", "e50", "e90")}
        distance = np.abs(expit(_combine(coefficients, self._columns)) - self._p)
        for row in np.flatnonzero(np.isfinite(coefficients).all(axis=1)):
            order = np.argsort(distance[row], kind="stable")
            total = np.cumsum(weight[row, order])
            out["ici"][row] = np.vecdot(weight[row], distance[row]) / total[-1]
            for name, quantile in (("e50", 0.5), ("e90", 0.9)):
                out[name][row] = distance[row, order[np.searchsorted(total, quantile * total[-1])]]
        return out


def groups(y: NDArray[np.bool_], p: Array, count: int, min_cell: int) -> list[float]:
    """Lower edges of up to `count` groups of rising p with equal numbers of rows; the first edge is 0.

    Equal probabilities are never parted, and a group is joined with the next until it holds `min_cell` events and
    non-events, so that no group shows a small cell. ValueError when the whole does not hold them.
    """
    if min(y.sum(), (~y).sum()) < min_cell:
        raise ValueError("too few events or non-events for one group")
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
    edges, start = [0.0], 0
    for cut in (round(len(p) * i / count) for i in range(1, count)):
        cut = int(np.searchsorted(p, p[cut], "left"))  # the first row of the tie
        events = int(y[start:cut].sum())
        if min(events, cut - start - events) >= min_cell:
            edges.append(float(p[cut]))
            start = cut
    rest = int(y[start:].sum())
    if min(rest, len(y) - start - rest) < min_cell:
        edges.pop()
    return edges
