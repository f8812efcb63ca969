"""What recalibration would bring: fitted on the calibration part, looked at before and after on the others.

Platt scaling (two parameters on logit p) for a binary task, temperature scaling (one on log p) for several classes.
No other number uses it: the report shows whether a site should recalibrate before it uses the probabilities.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib import calibration, metrics
from lib.estimates import min_events, number, too_few
from lib.metrics import CLIP
from lib.predictions import Predictions

Array = NDArray[np.float64]


def platt(y: NDArray[np.bool_], p: Array) -> Array:
    """(intercept, slope) of logit p fitted on these rows (Platt 1999, without label smoothing); NaN without a fit."""
    x = calibration.logit(p)
    return calibration.logistic(np.stack([np.ones_like(x), x]), y, np.ones(len(x)), start=(0.0, 1.0))[0]


def temperature(label: NDArray[np.int64], p: Array) -> float:
    """The factor b > 0 (= 1/T) on log p (n, K) with the highest likelihood; NaN where none is finite.

    Guo et al. 2017 (ICML, temperature scaling); the likelihood is concave in b, found by safeguarded Newton.
    """
    z = np.log(np.clip(p, CLIP, 1.0))
    own = np.mean(z[np.arange(len(z)), label])
    factor = 1.0
    for _ in range(100):
        q = tempered(p, factor)
        mean = (q * z).sum(axis=1)
        gradient = own - mean.mean()
        curvature = ((q * z**2).sum(axis=1) - mean**2).mean()
        if not curvature > 1e-12:
            return float("nan")
        target = factor + gradient / curvature
        target = min(max(target, factor / 2), factor * 2)
        if abs(target - factor) < 1e-10 * factor:
            return float(factor)
        factor = target
    return float("nan")


def tempered(p: Array, factor: float) -> Array:
    """(n, K) probabilities proportional to p ** factor, rows summing to 1; p is clipped to CLIP first."""
    z = factor * np.log(np.clip(p, CLIP, 1.0))
    power = np.exp(z - z.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def recalibrated(
    task: Mapping[str, Any], fitted: Predictions, scored: Mapping[str, Predictions], min_cell: int
) -> dict[str, Any]:
    """{method, fitted_on, parameters, parts: {name: {before, after}}}: point values of the `scored` parts.

    parameters are null with a reason where there is no fit; a part is null where it has too few events to be judged.
    """
    least, binary = min_events(min_cell), task["kind"] == "binary"
    out: dict[str, Any] = {"method": "platt" if binary else "temperature", "fitted_on": "calibration", "parts": {}}
    if not _enough(binary, fitted, least):
        return out | {"parameters": None, "reason": "too few rows, or one class only"}
    line, factor = np.empty(0), 1.0
    if binary:
        line = platt(fitted.label == 1, fitted.p[:, 1])
        parameters = {"intercept": number(line[0]), "slope": number(line[1])}
    else:
        factor = temperature(fitted.label, fitted.p)
        parameters = {"temperature": number(1 / factor)}
    if None in parameters.values():
        return out | {"parameters": None, "reason": "the fit did not converge (separated or constant)"}
    out["parameters"] = parameters
    for name, rows in scored.items():
        out["parts"][name] = None
        if not _enough(binary, rows, least):
            continue
        if binary:
            y, p = rows.label == 1, rows.p[:, 1]
            changed = calibration.expit(line[0] + line[1] * calibration.logit(p))
            out["parts"][name] = {"before": _binary_calibration(y, p), "after": _binary_calibration(y, changed)}
        else:
            before, after = (_class_calibration(rows.label, p) for p in (rows.p, tempered(rows.p, factor)))
            out["parts"][name] = {"before": before, "after": after}
    return out


def _enough(binary: bool, rows: Predictions, least: int) -> bool:
    if binary:
        return too_few(rows.label == 1, least) is None
    return rows.rows >= least and len(np.unique(rows.label)) > 1


def _binary_calibration(y: NDArray[np.bool_], p: Array) -> dict[str, float | None]:
    ones = np.ones((1, len(y)))
    smoother = calibration.Smoother(y, p)
    return {
        "log_loss": number(metrics.log_loss(y, p)),
        "brier_scaled": number(metrics.scaled_brier(y, p)),
        "calibration_intercept": number(calibration.intercept(y, p, ones)[0]),
        "calibration_slope": number(calibration.slope(y, p, ones)[0]),
        "ici": number(smoother.distances(smoother.fit(ones), ones)["ici"][0]),
    }


def _class_calibration(label: NDArray[np.int64], p: Array) -> dict[str, float | None]:
    own = p[np.arange(len(label)), label]
    return {
        "log_loss": number(float(metrics.surprise(np.ones(len(label), bool), own).mean())),
        "brier_scaled": number(metrics.multiclass_brier(label, p)[1]),
    }
