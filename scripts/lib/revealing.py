"""Words that tell the label: how well the presence of each single word in a training text ranks the rows.

A note written after the outcome says it ("expired", "readmitted since"), and a model then reads what it is to predict.
Presence is a test with two results, so its AUROC is 0.5 + (tpr - fpr) / 2: the area under the two segments through
(fpr, tpr). A word that tells by its absence counts as much. No model is fitted and no other part is read.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib import shards, terms

MIN_ROWS = 20  # training rows with the word
MIN_CLASS_ROWS = 30  # of a class, and of the rest: of hundreds of words, chance would find one that tells fewer
MAX_WORDS = 1_000_000


@dataclass(frozen=True)
class Term:
    """A word and the class that it tells best: its AUROC, its share in that class and elsewhere, its rows."""

    word: str
    class_index: int
    auroc: float
    share_in_class: float
    share_elsewhere: float
    rows: int


def ranked(
    texts: Callable[[], Iterable[str]], persons: np.ndarray, labels: np.ndarray, classes: int, min_patients: int
) -> list[Term] | None:
    """Every word of at least MIN_ROWS rows and `min_patients` patients, the most telling first.

    `texts` is called twice and yields the training rows' texts each time; `persons`, `labels` (rows,) int64 are aligned
    with them. Of two classes the second counts, of more each against the rest. None if no class has MIN_CLASS_ROWS.
    """
    of_class = np.bincount(labels, minlength=classes)
    large = np.minimum(of_class, len(labels) - of_class) >= MIN_CLASS_ROWS
    large[0] &= classes > 2
    if not large.any():
        return None
    vocabulary = terms.learn(texts(), persons, (1, 1), max(min_patients, 1), MAX_WORDS)
    row, column, _ = terms.counts(vocabulary, terms.number(texts(), vocabulary.words))
    cells = np.bincount(column * classes + labels[row], minlength=len(vocabulary.terms) * classes)
    held = cells.reshape(-1, classes)
    rows = held.sum(axis=1)
    inside = held[:, large] / of_class[large]
    elsewhere = (rows[:, None] - held[:, large]) / (len(labels) - of_class[large])
    best = np.argmax(np.abs(inside - elsewhere), axis=1)
    found = [
        Term(word, int(np.flatnonzero(large)[k]), 0.5 + abs(float(a[k] - b[k])) / 2, float(a[k]), float(b[k]), int(n))
        for word, k, a, b, n in zip(vocabulary.terms, best, inside, elsewhere, rows, strict=True)
        if n >= MIN_ROWS
    ]
    return sorted(found, key=lambda term: (-term.auroc, term.word))


def write(path: Path, found: Sequence[Term], class_names: Sequence[str]) -> None:
    """A table for the eyes of those who may read texts."""
    with shards.atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["word", "class", "auroc", "share_in_class", "share_elsewhere", "rows"])
        for term in found:
            numbers = (f"{value:.4f}" for value in (term.auroc, term.share_in_class, term.share_elsewhere))
            table.writerow([term.word, class_names[term.class_index], *numbers, term.rows])
