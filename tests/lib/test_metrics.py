"""lib.metrics against scikit-learn (weights, ties), closed forms and invariances."""

import doctest

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from lib import disclosure, metrics
from lib.metrics import Ranking

EXACT = {"rel": 1e-12, "abs": 1e-12}
TIED = np.array([0.0, 0.02, 0.1, 0.25, 0.3, 0.5, 0.5 + 1e-12, 0.9, 1.0])


@st.composite
def rows(draw, both=True):
    """y, p with many ties, and bootstrap-like weights that leave both classes some weight."""
    n = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.random(n) < draw(st.sampled_from([0.1, 0.5, 0.8]))
    p = rng.choice(TIED, n) if draw(st.booleans()) else rng.random(n)
    weight = rng.integers(0, 4, n).astype(float) if draw(st.booleans()) else rng.random(n)
    if both:
        assume(weight[y].sum() > 0 and weight[~y].sum() > 0)
    return y, p, weight


@settings(max_examples=300, deadline=None)
@given(rows())
def test_equal_to_sklearn_with_weights_and_ties(case):
    y, p, w = case
    assert metrics.auroc(y, p, w) == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w), **EXACT)
    assert metrics.average_precision(y, p, w) == pytest.approx(
        sk.average_precision_score(y, p, sample_weight=w), **EXACT
    )
    assert metrics.brier(y, p, w) == pytest.approx(sk.brier_score_loss(y, p, sample_weight=w), **EXACT)
    assert metrics.scaled_brier(y, p, w) == pytest.approx(sk.d2_brier_score(y, p, sample_weight=w), **EXACT)
    inside = np.clip(p, 0.001, 0.999)
    assert metrics.log_loss(y, inside, w) == pytest.approx(sk.log_loss(y, inside, sample_weight=w), **EXACT)


@settings(max_examples=150, deadline=None)
@given(rows(), st.floats(0.001, 0.999))
def test_operating_table_and_net_benefit_equal_to_the_confusion_matrix(case, threshold):
    y, p, w = case
    tn, fp, fn, tp = sk.confusion_matrix(y, p >= threshold, sample_weight=w, labels=[False, True]).ravel()
    down = Ranking(y, p).cumulate(w[None])
    table = {name: float(value[0]) for name, value in down.operating(threshold).items()}
    assert table["sensitivity"] == pytest.approx(tp / (tp + fn), **EXACT)
    assert table["specificity"] == pytest.approx(tn / (tn + fp), **EXACT)
    assert table["alerts_per_100"] == pytest.approx(100 * (tp + fp) / w.sum(), **EXACT)
    for name, top, bottom in (("ppv", tp, tp + fp), ("npv", tn, tn + fn), ("number_needed_to_evaluate", tp + fp, tp)):
        if bottom > 1e-9:
            assert table[name] == pytest.approx(top / bottom, abs=1e-9)
        elif bottom == 0:
            assert np.isnan(table[name])
    benefit = down.net_benefit(np.array([threshold]))[0, 0]
    assert benefit == pytest.approx(tp / w.sum() - fp / w.sum() * threshold / (1 - threshold), rel=1e-9, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(rows())
def test_roc_and_precision_recall_points_lie_on_sklearns_curves(case):
    y, p, w = case
    down = Ranking(y, p).cumulate(w[None])
    fpr, tpr, _ = sk.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    grid = np.arange(101) / 100 + 1e-7  # off the corners, where the side is a matter of rounding
    grid = grid[np.abs(grid[:, None] - fpr[None]).min(axis=1) > 1e-8]
    grid = grid[grid <= 1]
    assert down.roc(grid)[0] == pytest.approx(np.interp(grid, fpr, tpr), abs=1e-9)
    precision, recall, _ = sk.precision_recall_curve(y, p, sample_weight=w)
    wanted = np.arange(1, 101) / 100
    found = down.precision_at_recall(wanted)[0]
    for r, value in zip(wanted, found, strict=True):
        highest = np.flatnonzero(recall[:-1] >= r * (1 - 1e-12))[-1]  # sklearn lists rising thresholds
        assert value == pytest.approx(precision[highest], abs=1e-9)


def test_roc_corners():
    """A perfect ranking reaches 1 at once; one tie of everything is the diagonal."""
    grid = np.array([0.0, 0.25, 1.0])
    perfect = Ranking([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1]).cumulate(np.ones((1, 4)))
    assert perfect.roc(grid)[0].tolist() == [1.0, 1.0, 1.0]
    tied = Ranking([1, 1, 0, 0], [0.5] * 4).cumulate(np.ones((1, 4)))
    assert tied.roc(grid)[0].tolist() == [0.0, 0.25, 1.0]
    worst = Ranking([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1]).cumulate(np.ones((1, 4)))
    assert worst.roc(grid)[0].tolist() == [0.0, 0.0, 1.0]


@settings(max_examples=100, deadline=None)
@given(rows())
def test_invariances(case):
    y, p, w = case
    p = np.round(p, 3)  # so that the transforms below cannot create or break ties
    value = metrics.auroc(y, p, w)
    assert metrics.auroc(y, (1 + p) / 3, w) == pytest.approx(value, **EXACT)
    assert metrics.auroc(y, p**2 / 2 + p / 2, w) == pytest.approx(value, **EXACT)
    assert metrics.auroc(~y, p, w) == pytest.approx(1 - value, **EXACT)
    turned = np.random.default_rng(0).permutation(len(y))
    assert metrics.auroc(y[turned], p[turned], w[turned]) == pytest.approx(value, **EXACT)
    assert metrics.average_precision(y[turned], p[turned], w[turned]) == pytest.approx(
        metrics.average_precision(y, p, w), **EXACT
    )


@settings(max_examples=60, deadline=None)
@given(rows(both=False))
def test_whole_weights_are_repeated_rows(case):
    y, p, _ = case
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    again = np.repeat(np.arange(len(y)), counts)
    assume(0 < y[again].sum() < len(again))
    for metric in (metrics.auroc, metrics.average_precision, metrics.scaled_brier, metrics.log_loss, metrics.oe_ratio):
        assert metric(y, p, counts) == pytest.approx(metric(y[again], p[again]), **EXACT)


def test_closed_forms():
    y, p = [0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8]
    assert metrics.auroc(y, p) == 0.875
    assert metrics.average_precision(y, p) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert metrics.scaled_brier([0, 0, 1, 1], [0.5] * 4) == 0
    assert metrics.scaled_brier([0, 0, 1, 1], [0, 0, 1, 1]) == 1
    assert metrics.oe_ratio([0, 1, 1], [0.5, 0.5, 0.5]) == pytest.approx(4 / 3)
    assert metrics.log_loss([1], [0.0]) == pytest.approx(-np.log(metrics.CLIP))


def test_undefined_is_nan_and_wrong_input_an_error():
    assert np.isnan(metrics.auroc([1, 1], [0.2, 0.3]))
    assert np.isnan(metrics.auroc([0, 0], [0.2, 0.3]))
    assert np.isnan(metrics.average_precision([0, 0], [0.2, 0.3]))
    assert np.isnan(metrics.scaled_brier([1, 1], [0.2, 0.3]))
    wrong = {
        "one shape": ([0, 1], [0.1]),
        "other than 0 and 1": ([0, 2], [0.1, 0.2]),
        "outside 0 to 1": ([0, 1], [0.1, 1.2]),
        "p holds": ([0, 1], [0.1, np.nan]),
    }
    for message, (y, p) in wrong.items():
        with pytest.raises(ValueError, match=message):
            metrics.auroc(y, p)
    with pytest.raises(ValueError, match="weight"):
        metrics.auroc([0, 1], [0.1, 0.2], [1.0, -1.0])


@settings(max_examples=200, deadline=None)
@given(rows(), st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_threshold_is_the_highest_on_its_grid(case, target):
    y, p, _ = case
    assume(y.any())
    threshold = metrics.threshold_for(y, p, target)
    assert round(threshold * metrics.GRID) / metrics.GRID == threshold
    assert (p[y] >= threshold).mean() >= target - 1e-12
    assert (p[y] >= threshold + 1 / metrics.GRID).mean() < target
    with pytest.raises(ValueError, match="events"):
        metrics.threshold_for(np.zeros(3, bool), np.ones(3), 0.8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 5))
def test_multiclass_brier(seed, classes):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), 30)
    label = rng.integers(classes, size=30)
    score, scaled = metrics.multiclass_brier(label, p)
    assert score == pytest.approx(
        sk.brier_score_loss(label, p, labels=list(range(classes)), scale_by_half=False), **EXACT
    )
    if len(np.unique(label)) == classes:
        assert scaled == pytest.approx(sk.d2_brier_score(label, p, labels=list(range(classes))), **EXACT)
    assert metrics.multiclass_brier(np.zeros(4, int), p[:4])[1] != metrics.multiclass_brier(label, p)[1]
    assert np.isnan(metrics.multiclass_brier(np.zeros(4, int), p[:4])[1])


@pytest.mark.parametrize("module", [metrics, disclosure])
def test_examples_in_docstrings(module):
    tried = doctest.testmod(module)
    assert tried.attempted and not tried.failed
