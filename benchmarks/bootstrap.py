"""How fast is the patient bootstrap? Ours and scikit-learn on resampled rows, side by side in one process.

54,000 predictions of 36,416 patients (the size of NYUTron's readmission test), about 11 % events, probabilities with
ties. Printed: seconds and memory of ours for AUROC + average precision + Brier and for every O(n) measure of evaluate
(curves and decision table too); seconds a replicate of scikit-learn on a sample of the same draws; their ratio and
the largest difference of any value. The goal (issue 3): 2,000 replicates in under 5 s on one core, under 200 MB.

    python benchmarks/bootstrap.py [--replicates 2000] [--sklearn-replicates 40]
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from lib import bootstrap  # sets the BLAS threads before numpy loads
from lib.metrics import Ranking, ratio

import numpy as np  # isort: skip

ROWS, PATIENTS, SEED = 54_000, 36_416, 7


def simulate():
    """Rows that share patients, and a patient's risk that his rows share."""
    rng = np.random.default_rng(SEED)
    person = np.sort(np.concatenate([np.arange(PATIENTS), rng.integers(PATIENTS, size=ROWS - PATIENTS)]))
    score = -2.5 + 0.7 * rng.normal(size=PATIENTS)[person] + 0.7 * rng.normal(size=ROWS)
    p = np.round(1 / (1 + np.exp(-score)), 4)
    y = rng.random(ROWS) < p
    return y, p, person


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def three_measures(y, p, person):
    """AUROC, average precision and Brier for any weights of the patients."""
    ranking = Ranking(y, p, person)
    rows = np.bincount(person, minlength=PATIENTS).astype(float)
    squares = np.bincount(person, weights=(p - y) ** 2, minlength=PATIENTS)

    def statistic(counts):
        down = ranking.cumulate(counts)
        brier = ratio(np.vecdot(counts, squares), np.vecdot(counts, rows))
        return {"auroc": down.auroc(), "auprc": down.average_precision(), "brier": brier}

    return statistic


def all_rates(y, p, person):
    """Every measure that evaluate takes on each replicate."""
    import pyarrow as pa

    from lib.predictions import Predictions, Question
    from lib.scoring import Scored

    rows = Predictions(pa.table({}), person, PATIENTS, np.zeros(ROWS, bool), y.astype(int), np.column_stack([1 - p, p]))
    return Scored(Question("event", "yes", y, p), rows, 0.1, 10)


def timed(function):
    start = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - start[0], time.process_time() - start[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--sklearn-replicates", type=int, default=40)
    parser.add_argument("--fits", type=int, default=200)
    options = parser.parse_args()
    y, p, person = simulate()
    statistic = three_measures(y, p, person)
    ours, wall, cpu = timed(lambda: bootstrap.replicate(statistic, PATIENTS, ROWS, options.replicates, SEED))
    peak = megabytes()
    scored = all_rates(y, p, person)
    _, rates_wall, rates_cpu = timed(
        lambda: bootstrap.replicate(scored.rates, PATIENTS, ROWS, options.replicates, SEED)
    )
    _, fits_wall, fits_cpu = timed(lambda: bootstrap.replicate(scored.fits, PATIENTS, ROWS, options.fits, SEED))
    peak_all = megabytes()  # before scikit-learn is loaded

    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    def resampled():
        values = []
        for b in range(options.sklearn_replicates):
            rows = np.repeat(
                np.arange(ROWS), bootstrap.draw(PATIENTS, SEED, b)[person]
            )  # the cheapest way to copy rows
            values.append([f(y[rows], p[rows]) for f in (roc_auc_score, average_precision_score, brier_score_loss)])
        return np.array(values)

    theirs, their_wall, their_cpu = timed(resampled)
    mine = np.stack([ours[name] for name in ("auroc", "auprc", "brier")], axis=1)[: len(theirs)]
    a_replicate, their_replicate = cpu / options.replicates, their_cpu / options.sklearn_replicates
    print(
        json.dumps(
            {
                "three measures": {"replicates": options.replicates, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2)},
                "peak_mb": round(peak),
                "scikit-learn on resampled rows": {
                    "replicates": options.sklearn_replicates,
                    "wall_s": round(their_wall, 2),
                    "wall_s_for_as_many_as_ours": round(their_wall / len(theirs) * options.replicates, 1),
                },
                "ratio_cpu_a_replicate": round(their_replicate / a_replicate, 1),
                "largest_difference": float(np.abs(mine - theirs).max()),
                "all O(n) measures": {"wall_s": round(rates_wall, 2), "cpu_s": round(rates_cpu, 2)},
                "calibration fits": {
                    "replicates": options.fits,
                    "wall_s": round(fits_wall, 2),
                    "cpu_s": round(fits_cpu, 2),
                },
                "peak_mb_all": round(peak_all),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
