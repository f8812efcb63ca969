"""lib.calibration and lib.recalibration: against scikit-learn's unpenalised fits, known truths and impossible fits."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lib import calibration, recalibration
from lib.metrics import log_loss


def simulated(seed=0, n=4000, true_intercept=0.4, true_slope=0.6):
    rng = np.random.default_rng(seed)
    x = rng.normal(-1.5, 1.2, n)
    y = rng.random(n) < calibration.expit(true_intercept + true_slope * x)
    return y, calibration.expit(x)


def unpenalised(x, y, weight):
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=500, solver="newton-cholesky")
    return model.fit(x.reshape(len(y), -1), y, sample_weight=weight)


def test_slope_and_intercept_equal_a_weighted_logistic_regression():
    y, p = simulated()
    weight = np.random.default_rng(1).integers(0, 3, (3, len(y))).astype(float)
    slopes, intercepts = calibration.slope(y, p, weight), calibration.intercept(y, p, weight)
    for row in range(3):
        assert slopes[row] == pytest.approx(unpenalised(calibration.logit(p), y, weight[row]).coef_[0, 0], abs=1e-7)
        shifted = calibration.expit(intercepts[row] + calibration.logit(p))
        assert np.average(shifted - y, weights=weight[row]) == pytest.approx(0, abs=1e-10)  # its score equation


def test_known_truth_is_found():
    y, p = simulated(n=60_000)
    ones = np.ones((1, len(y)))
    assert calibration.slope(y, p, ones)[0] == pytest.approx(0.6, abs=0.03)
    y, p = simulated(n=60_000, true_intercept=0.5, true_slope=1)
    assert calibration.intercept(y, p, ones)[0] == pytest.approx(0.5, abs=0.03)
    assert calibration.slope(y, p, ones)[0] == pytest.approx(1, abs=0.04)


def test_a_fit_does_not_depend_on_its_batch():
    y, p = simulated(n=500)
    weight = np.random.default_rng(2).integers(0, 4, (9, 500)).astype(float)
    smoother = calibration.Smoother(y, p)
    for fit in (lambda w: calibration.slope(y, p, w), lambda w: calibration.intercept(y, p, w), smoother.fit):
        assert (fit(weight) == np.concatenate([fit(weight[i : i + 1]) for i in range(9)])).all()


def test_impossible_fits_are_nan_and_do_not_disturb_their_neighbours():
    y, p = simulated(n=200)
    order = np.argsort(p)
    separated, one_class = np.zeros(200), y.astype(float)
    separated[order[:20]] = ~y[order[:20]]
    separated[order[-20:]] = y[order[-20:]]
    weight = np.stack([np.ones(200), separated, one_class])
    slopes = calibration.slope(y, p, weight)
    assert slopes[0] == calibration.slope(y, p, np.ones(200))[0]
    assert np.isnan(slopes[1:]).all()
    assert np.isnan(calibration.slope(y, np.full(200, 0.3), np.ones(200))).all()
    assert np.isnan(calibration.intercept(y, p, one_class)).all()


def test_probabilities_of_zero_and_one_are_clipped():
    y = np.array([0, 0, 1, 1, 1, 0] * 20, dtype=bool)
    p = np.array([0.0, 0.2, 0.7, 1.0, 0.3, 0.6] * 20)
    assert np.isfinite(calibration.slope(y, p, np.ones(len(y)))).all()
    assert np.isfinite(calibration.logit(p)).all()
    turned = calibration.slope(~y, p, np.ones(len(y)))  # the start, a slope of 1, is on the wrong side of most rows
    assert turned[0] == pytest.approx(-calibration.slope(y, p, np.ones(len(y)))[0], abs=1e-7)


def test_smoother_equals_the_regression_on_its_own_basis_and_is_linear_in_the_tails():
    y, p = simulated(n=3000)
    smoother = calibration.Smoother(y, p)
    assert len(smoother.knots) == 4
    weight = np.random.default_rng(3).integers(0, 3, len(y)).astype(float)
    coefficients = smoother.fit(weight)
    model = unpenalised(smoother._columns[1:].T, y, weight)
    assert smoother.observed(coefficients, p)[0] == pytest.approx(
        model.predict_proba(smoother._columns[1:].T)[:, 1], abs=1e-6
    )
    tail = calibration.expit(np.array([4.0, 5.0, 6.0, 7.0]))
    bends = np.diff(calibration.logit(smoother.observed(coefficients, tail)[0]), 2)
    assert bends == pytest.approx(0, abs=1e-8)


def test_ici_of_a_known_distortion():
    """Calibrated probabilities have ICI near 0; a known curve gives the mean, median and 90 % point of its distance."""
    y, p = simulated(n=60_000, true_intercept=0, true_slope=1)
    ones = np.ones((1, len(y)))
    smoother = calibration.Smoother(y, p)
    assert smoother.distances(smoother.fit(ones), ones)["ici"][0] < 0.006
    y, p = simulated(n=60_000)
    distance = np.abs(calibration.expit(0.4 + 0.6 * calibration.logit(p)) - p)
    smoother = calibration.Smoother(y, p)
    found = smoother.distances(smoother.fit(ones), ones)
    assert found["ici"][0] == pytest.approx(distance.mean(), abs=0.006)
    assert found["e50"][0] == pytest.approx(np.quantile(distance, 0.5), abs=0.01)
    assert found["e90"][0] == pytest.approx(np.quantile(distance, 0.9), abs=0.01)


def test_distances_use_the_weights():
    y, p = simulated(n=300)
    counts = np.random.default_rng(4).integers(0, 3, 300)
    smoother = calibration.Smoother(y, p)
    coefficients = smoother.fit(counts.astype(float))
    found = smoother.distances(coefficients, counts.astype(float))
    each = np.repeat(np.abs(smoother.observed(coefficients, p)[0] - p), counts)
    assert found["ici"][0] == pytest.approx(each.mean(), abs=1e-12)
    assert found["e50"][0] == pytest.approx(np.quantile(each, 0.5, method="inverted_cdf"), abs=1e-12)
    assert found["e90"][0] == pytest.approx(np.quantile(each, 0.9, method="inverted_cdf"), abs=1e-12)


@pytest.mark.parametrize("values", [2, 5, 1000])
def test_ties_leave_fewer_knots(values):
    y, p = simulated(n=400)
    p = np.clip(np.round(p * values) / values, 0.05, 0.95)
    smoother = calibration.Smoother(y, p)
    assert len(smoother.knots) in (0, 3, 4)
    assert np.isfinite(smoother.fit(np.ones(400))).all()


@pytest.mark.parametrize("levels", [4, 30, 10**6])
def test_groups_part_no_tie_and_hold_no_small_cell(levels):
    y, p = simulated(n=2000)
    p = np.floor(p * levels) / levels
    edges = np.array(calibration.groups(y, p, 10, 12))
    assert edges[0] == 0 and (np.diff(edges) > 0).all() and len(edges) <= 10
    group = np.searchsorted(edges, p, "right") - 1
    assert np.bincount(group[y], minlength=len(edges)).min() >= 12
    assert np.bincount(group[~y], minlength=len(edges)).min() >= 12
    with pytest.raises(ValueError, match="too few"):
        calibration.groups(y[:5], p[:5], 10, 12)


def test_platt_and_temperature_undo_a_distortion():
    y, p = simulated(n=40_000)
    assert recalibration.platt(y, p) == pytest.approx([0.4, 0.6], abs=0.05)
    rng = np.random.default_rng(5)
    truth = rng.dirichlet(np.ones(4), 30_000)
    label = (rng.random(30_000)[:, None] > truth.cumsum(axis=1)).sum(axis=1).clip(max=3)
    hot = recalibration.tempered(truth, 2.0)
    assert hot.sum(axis=1) == pytest.approx(1)
    factor = recalibration.temperature(label, hot)
    assert factor == pytest.approx(0.5, abs=0.02)
    own = recalibration.tempered(hot, factor)[np.arange(30_000), label]
    for other in (factor * 0.9, factor * 1.1):  # the maximum of the likelihood
        assert np.log(own).sum() > np.log(recalibration.tempered(hot, other)[np.arange(30_000), label]).sum()
    assert np.isnan(recalibration.temperature(label, np.full((30_000, 4), 0.25)))
    changed = calibration.expit(0.4 + 0.6 * calibration.logit(p))
    assert log_loss(y, changed) < log_loss(y, p)
