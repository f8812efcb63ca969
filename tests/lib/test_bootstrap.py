"""lib.bootstrap: the draws, their independence of batches and workers, equality with resampled rows, coverage."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from lib import bootstrap
from lib.metrics import Ranking, auroc


def clustered(rng, patients, effect=1.2, most=6):
    """Rows that share a patient's outcome and part of his score."""
    person = np.repeat(np.arange(patients), rng.integers(1, most + 1, patients))
    sick = rng.random(patients) < 0.35
    score = effect * sick[person] + rng.normal(size=patients)[person] + 0.4 * rng.normal(size=len(person))
    return sick[person], 1 / (1 + np.exp(-score)), person


def statistic(y, p, person):
    ranking = Ranking(y, p, person)

    def of(counts):
        down = ranking.cumulate(counts)
        return {"auroc": down.auroc(), "auprc": down.average_precision(), "roc": down.roc(np.array([0.1, 0.5]))}

    return of


def test_a_draw_takes_as_many_patients_and_depends_on_seed_and_number_only():
    for b in range(6):
        counts = bootstrap.draw(500, 7, b)
        drawn = np.random.default_rng([7, b]).integers(500, size=500)
        assert counts.tolist() == [int((drawn == i).sum()) for i in range(500)]
    assert (bootstrap.draw(500, 7, 3) != bootstrap.draw(500, 8, 3)).any()
    many = np.stack([bootstrap.draw(400, 1, b) for b in range(300)])
    assert (many.sum(axis=1) == 400).all()
    assert len(np.unique(many, axis=0)) == 300
    assert many.var() == pytest.approx(1, abs=0.02)  # multinomial: 1 - 1/400


def test_each_replicate_is_sklearn_on_resampled_patients():
    y, p, person = clustered(np.random.default_rng(0), 80)
    p = np.round(p, 2)
    values = bootstrap.replicate(statistic(y, p, person), 80, len(y), 50, seed=7)
    for b in range(50):
        rows = np.concatenate([np.flatnonzero(person == i) for i in np.repeat(np.arange(80), bootstrap.draw(80, 7, b))])
        assert values["auroc"][b] == pytest.approx(roc_auc_score(y[rows], p[rows]), abs=1e-12)
        assert values["auprc"][b] == pytest.approx(average_precision_score(y[rows], p[rows]), abs=1e-12)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 1 << 10, 1 << 17])
def test_no_value_depends_on_workers_batches_or_how_many_there_are(monkeypatch, workers, batch):
    y, p, person = clustered(np.random.default_rng(1), 60)
    of = statistic(y, p, person)
    alone = bootstrap.replicate(of, 60, len(y), 37, seed=3)
    monkeypatch.setattr(bootstrap, "BATCH_VALUES", batch)
    again = bootstrap.replicate(of, 60, len(y), 50, seed=3, workers=workers)
    for name, values in alone.items():
        assert (values == again[name][:37]).all()


def test_intervals_leave_out_and_count_what_has_no_value():
    samples = np.arange(100, dtype=float)
    low, high, left_out = bootstrap.interval(samples)
    assert (low, high, left_out) == (pytest.approx(2.475), pytest.approx(96.525), 0)
    samples[[3, 50]] = np.nan
    low, high, left_out = bootstrap.interval(samples)
    assert left_out == 2
    assert (low, high) == pytest.approx(tuple(np.quantile(np.delete(np.arange(100.0), [3, 50]), [0.025, 0.975])))
    samples[:11] = np.nan
    low, high, left_out = bootstrap.interval(samples)
    assert np.isnan(low) and np.isnan(high) and left_out == 12
    assert np.isnan(bootstrap.interval(np.empty(0))[0])
    table = np.column_stack([np.arange(100.0), np.full(100, np.nan)])
    low, high, left_out = bootstrap.interval(table)
    assert left_out.tolist() == [0, 100] and np.isfinite(low[0]) and np.isnan(high[1])


def test_one_class_replicates_are_nan():
    y, p, person = np.array([True, False, False]), np.array([0.9, 0.2, 0.1]), np.arange(3)
    values = bootstrap.replicate(statistic(y, p, person), 3, 3, 200, seed=1)["auroc"]
    drawn = np.stack([bootstrap.draw(3, 1, b) for b in range(200)])
    degenerate = (drawn[:, 0] == 0) | (drawn[:, 0] == 3)
    assert degenerate.any() and (np.isnan(values) == degenerate).all()


def test_nothing_to_replicate():
    assert bootstrap.replicate(lambda counts: {}, 0, 0, 10, seed=1) == {}
    assert bootstrap.replicate(lambda counts: {}, 5, 5, 0, seed=1) == {}


def test_coverage_on_clustered_data_where_the_row_bootstrap_under_covers():
    """80 simulated hospitals of 100 patients with up to 12 rows of one outcome: 95 % intervals hold the true AUROC.

    A true 90 % gives below 64 of 80 with probability .002; rows taken as independent cover about two in three.
    """
    truth = auroc(*clustered(np.random.default_rng(123), 20_000, most=12)[:2])
    covered, covered_by_rows = 0, 0
    for simulation in range(80):
        y, p, person = clustered(np.random.default_rng([5, simulation]), 100, most=12)
        for by_row in (False, True):
            cluster, n = (np.arange(len(y)), len(y)) if by_row else (person, 100)
            values = bootstrap.replicate(statistic(y, p, cluster), n, len(y), 200, seed=simulation)["auroc"]
            low, high, _ = bootstrap.interval(values)
            if by_row:
                covered_by_rows += bool(low <= truth <= high)
            else:
                covered += bool(low <= truth <= high)
    assert covered >= 66
    assert covered_by_rows <= covered - 10
