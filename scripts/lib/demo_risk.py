"""The demo's known risks: each label's probability as a function of what a note states, and of age, alone.

Because a label is drawn from its probability here after the note's facts are fixed, and whatever else happens to
the stay is drawn apart from it, these are the Bayes risks given the note: no model can rank better on average.
The form follows the recipe of a severity that acts only through what is written down.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lib.demo_facts import CHRONIC, HIERARCHY, INSURERS, STATED_ABSENT, STATED_PRESENT

MIDNIGHTS = ((0, 2), (3, 3), (4, 5), (6, 28))  # first and last length of each class; 28: none outlasts its horizon
CHARLSON_FROM = (0, 1, 3, 5, 8)  # first index of each class: 0, 1-2, 3-4, 5-7, > 7
CLASSES = {"readmission": 2, "mortality": 2, "length_of_stay": 4, "comorbidity": 5, "denial": 2}

_READMISSION = (-2.4, 0.15, (1.5, 1.6, 1.4, 1.5, 0.9, -1.6, -1.7))  # intercept, per 10 years above 65, needs
_MORTALITY = (-3.6, 0.3, (2.0, 1.9, 1.3, 2.0, 0.0, 0.0, -1.5, -1.2))  # ..., findings
_LENGTH = (0.0, 0.1, (2.2, 1.8, 1.0, -0.8, 2.6, 3.2, -3.0, -1.6))
_LENGTH_CUTS = (-0.8, 0.6, 1.9)
_DENIED = {  # by insurer: both papers, no authorization, no necessity statement, neither
    "Medicare": (0.03, 0.14, 0.10, 0.50),
    "Medicaid": (0.04, 0.40, 0.25, 0.80),
    "commercial HMO": (0.05, 0.65, 0.35, 0.92),
    "commercial PPO": (0.03, 0.35, 0.25, 0.85),
    "self-pay": (0.02, 0.05, 0.05, 0.10),
}


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def _score(model: tuple[float, float, tuple[float, ...]], present: Sequence[int], age: int) -> float:
    intercept, by_age, effects = model
    return intercept + by_age * (age - 65) / 10 + sum(e for e, x in zip(effects, present, strict=True) if x)


def prevalence(base: float, slope: float, severity: float) -> float:
    """Probability of a concept at a severity (standard normal units)."""
    return _logistic(base + slope * severity)


def readmission(needs: Sequence[int], age: int) -> float:
    """Probability that another inpatient stay starts within 30 days; `needs` is 0 or 1 for each of `NEEDS`."""
    return _logistic(_score(_READMISSION, needs, age))


def mortality(findings: Sequence[int], age: int) -> float:
    """Probability of death in hospital; `findings` is 0 or 1 for each of `FINDINGS`."""
    return _logistic(_score(_MORTALITY, findings, age))


def length_of_stay(findings: Sequence[int], age: int) -> tuple[float, ...]:
    """Probabilities of the classes of `MIDNIGHTS`: cut points on a logistic latent (proportional odds)."""
    score = _score(_LENGTH, findings, age)
    below = [0.0, *(_logistic(cut - score) for cut in _LENGTH_CUTS), 1.0]
    return tuple(high - low for low, high in pairwise(below))


def denial(insurer: int, papers: Sequence[int]) -> float:
    """Probability that the claim is rejected at first; `papers` is 0 or 1 for each of `PAPERS`."""
    authorization, necessity = papers
    return _DENIED[INSURERS[insurer]][(1 - authorization) + 2 * (1 - necessity)]


def chronic_prevalence(age: int) -> list[float]:
    """Probability at an age of each condition of `CHRONIC`, independent of one another."""
    return [_logistic(c.odds + c.by_age * (age - 65) / 10) for c in CHRONIC]


def chronic_posterior(age: int, stated: Sequence[int | None], balanced: bool) -> list[float]:
    """Probability of each condition given the note.

    `stated` holds 1 or 0 where the note says present or absent, None where it is silent. Silence is evidence too:
    present conditions are stated with probability STATED_PRESENT, absent ones with STATED_ABSENT[balanced].
    """
    posterior, absent_share = [], STATED_ABSENT[balanced]
    for q, s in zip(chronic_prevalence(age), stated, strict=True):
        silent = q * (1 - STATED_PRESENT)
        posterior.append(float(s) if s is not None else silent / (silent + (1 - q) * (1 - absent_share)))
    return posterior


def charlson(present: Sequence[int]) -> int:
    """Charlson's index of conditions (0 or 1 for each of `CHRONIC`): original weights, hierarchies, no age points."""
    has = {c.key: bool(p) for c, p in zip(CHRONIC, present, strict=True)}
    mild = {low for low, grave in HIERARCHY if has[grave]}
    return sum(c.points for c in CHRONIC if has[c.key] and c.key not in mild)


def charlson_class(index: int) -> int:
    return sum(index >= first for first in CHARLSON_FROM) - 1


def charlson_classes(posterior: np.ndarray) -> np.ndarray:
    """Class probabilities, float64 (notes, 5), of independent conditions with probabilities (notes, 17).

    Exact: the distribution of the index is the convolution over single conditions and over pairs of the hierarchy.
    """
    key = [c.key for c in CHRONIC]
    points = [c.points for c in CHRONIC]
    pairs = [(key.index(low), key.index(grave)) for low, grave in HIERARCHY]
    paired = {i for pair in pairs for i in pair}
    # Each group: (points, probability of them); what remains is the probability of none.
    groups = [[(points[i], posterior[:, i])] for i in range(len(key)) if i not in paired]
    for low, grave in pairs:
        mild_alone = posterior[:, low] * (1 - posterior[:, grave])
        groups.append([(points[grave], posterior[:, grave]), (points[low], mild_alone)])
    index = np.zeros((len(posterior), sum(points) + 1))
    index[:, 0] = 1.0
    for group in groups:
        before = index
        index = before * (1 - np.sum([p for _, p in group], axis=0))[:, None]
        for shift, p in group:
            index[:, shift:] += before[:, : before.shape[1] - shift] * p[:, None]
    return np.stack([part.sum(axis=1) for part in np.split(index, CHARLSON_FROM[1:], axis=1)], axis=1)
