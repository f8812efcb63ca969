"""A training's plan, its metrics on the tuning part, and what follows from its history."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import training
from lib.stage import StageError

SETTINGS = {
    "global_batch_size": 32,
    "max_device_batch": 8,
    "epochs": 3,
    "warmup_share": 0.1,
    "evaluations_per_epoch": 2,
}


@pytest.mark.parametrize(
    ("processes", "most", "device_batch", "accumulation"),
    [(1, 8, 8, 4), (2, 8, 8, 2), (4, 8, 8, 1), (8, 8, 4, 1), (1, 12, 8, 4), (2, 5, 4, 4), (1, 100, 32, 1)],
)
def test_the_global_batch_is_kept_however_it_is_shared_out(processes, most, device_batch, accumulation):
    plan = training.plan(SETTINGS | {"max_device_batch": most}, 1000, processes)
    assert (plan.device_batch, plan.accumulation) == (device_batch, accumulation)
    assert plan.device_batch * plan.accumulation * processes == plan.examples_per_step == 32
    assert (plan.steps_per_epoch, plan.steps, plan.warmup_steps) == (32, 96, 10)


def test_processes_that_do_not_divide_the_batch_are_an_error():
    with pytest.raises(StageError, match="32 cannot be divided over 3 processes"):
        training.plan(SETTINGS, 1000, 3)


@given(st.integers(1, 2000), st.integers(1, 7))
def test_evaluations_fall_on_the_parts_of_every_epoch(rows, parts):
    plan = training.plan(SETTINGS | {"evaluations_per_epoch": parts}, rows)
    at = [step for step in range(1, plan.steps + 1) if plan.is_evaluation(step)]
    assert len(at) == 3 * min(parts, plan.steps_per_epoch)
    assert {epoch * plan.steps_per_epoch for epoch in (1, 2, 3)} <= set(at)
    gaps = np.diff([0, *at])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("classes", [2, 5])
def test_metrics_are_scikit_learns(classes):
    from sklearn.metrics import log_loss, roc_auc_score

    draw = np.random.default_rng(classes)
    labels = draw.integers(0, classes, 300)
    logits = np.round(draw.normal(size=(300, classes)) + 0.5 * np.eye(classes)[labels], 1).astype(np.float32)  # ties
    p = training.probabilities(logits)
    found = training.tuning_metrics(logits, labels)
    expected = roc_auc_score(labels, p[:, 1]) if classes == 2 else roc_auc_score(labels, p, multi_class="ovr")
    assert found["auroc"] == pytest.approx(expected, abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(labels, p), abs=1e-12)


def test_a_class_absent_from_tuning_is_left_out():
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(1)
    labels, logits = draw.integers(0, 2, 50) * 2, draw.normal(size=(50, 4))
    p = training.probabilities(logits)
    expected = np.mean([roc_auc_score(labels == k, p[:, k]) for k in (0, 2)])
    assert training.tuning_metrics(logits, labels)["auroc"] == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_said_is_none_and_extremes_stay_finite():
    one_class = training.tuning_metrics(np.zeros((4, 2)), np.ones(4, dtype=int))
    assert one_class == {"log_loss": pytest.approx(math.log(2)), "auroc": None}
    assert training.tuning_metrics(np.array([[np.nan, 0.0]]), np.array([0])) == {"log_loss": None, "auroc": None}
    certain = training.tuning_metrics(np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32), np.array([1, 0]))
    assert certain["auroc"] == 0.0 and 100 < certain["log_loss"] < math.inf


def _history(aurocs, metric="auroc", patience=2):
    history = training.History(metric, patience)
    for i, value in enumerate(aurocs):
        history.add(3 * (i + 1), i / 2, 0.5, {"loss": None if value is None else 1 - value, "auroc": value})
    return history


@pytest.mark.parametrize(
    ("values", "best", "exhausted"),
    [
        ([0.6], 3, False),
        ([0.6, 0.7, 0.65], 6, False),
        ([0.6, 0.7, 0.65, 0.7], 6, True),  # equal is no better
        ([0.6, 0.7, 0.65, 0.71], 12, False),
        ([0.9, 0.1, 0.2], 3, True),
    ],
)
@pytest.mark.parametrize("metric", ["auroc", "loss"])
def test_best_step_and_patience(values, best, exhausted, metric):
    history = _history(values, metric)
    assert history.best()["step"] == best and history.exhausted() is exhausted
    restored = training.History(metric, 2)
    restored.restore(history.state())
    assert restored.best() == history.best() and restored.exhausted() is exhausted
    assert restored.last_step == 3 * len(values)


def test_an_empty_history_has_no_best_and_a_diverged_one_stops():
    history = training.History("auroc", 2)
    assert history.best() is None and not history.exhausted() and history.last_step == 0
    for train_loss, tuning_loss in ((math.nan, 0.5), (math.inf, 0.5), (0.5, None)):
        with pytest.raises(StageError, match=r"diverged by step 3.*learning_rate"):
            history.add(3, 0.5, train_loss, {"loss": tuning_loss, "auroc": 0.5})
