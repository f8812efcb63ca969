"""Words that tell the label: their AUROC is scikit-learn's, and few rows or patients make no word."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lib import revealing

DRAW = np.random.default_rng(3)
ROWS = 600
LABELS = DRAW.integers(0, 3, ROWS)
TEXTS = [
    " ".join(f"w{i}" for i in DRAW.integers(0, 30, 12)) + (" Told." if draw < (0.8 if label == 2 else 0.1) else "")
    for label, draw in zip(LABELS, DRAW.random(ROWS), strict=True)
]
PERSONS = np.arange(ROWS) // 2


def ranked(texts=TEXTS, labels=LABELS, classes=3, persons=PERSONS, min_patients=10):
    return revealing.ranked(lambda: iter(texts), persons, np.asarray(labels), classes, min_patients)


def test_each_class_against_the_rest_and_the_most_telling_word_first() -> None:
    found = ranked()
    assert found[0].word == "told" and found[0].class_index == 2
    assert [term.auroc for term in found] == sorted((term.auroc for term in found), reverse=True)
    for term in found:
        present = [term.word in text.lower().split() or f"{term.word}." in text.lower().split() for text in TEXTS]
        aurocs = [roc_auc_score(k == LABELS, present) for k in range(3)]
        assert term.auroc == pytest.approx(max(max(a, 1 - a) for a in aurocs), abs=1e-12)
        assert term.rows == sum(present)


def test_a_word_that_is_absent_where_it_happens_tells_as_much() -> None:
    labels = LABELS == 2
    by_word = {term.word: term for term in ranked(labels=(~labels).astype(int), classes=2)}
    assert by_word["told"].auroc == ranked(labels=labels.astype(int), classes=2)[0].auroc > 0.75
    assert by_word["told"].class_index == 1 and by_word["told"].share_in_class < by_word["told"].share_elsewhere


@pytest.mark.parametrize(("rows", "found"), [(20, True), (19, False)])
def test_a_word_of_few_rows_is_none(rows: int, found: bool) -> None:
    texts = [text + (" rare" if i < rows else "") for i, text in enumerate(TEXTS)]
    persons = np.arange(ROWS)
    assert ("rare" in [term.word for term in ranked(texts, persons=persons)]) == found


@pytest.mark.parametrize(("people", "found"), [(10, True), (9, False)])
def test_nor_is_one_of_few_patients(people: int, found: bool) -> None:
    texts = [text + (" rare" if i < 40 else "") for i, text in enumerate(TEXTS)]
    persons = np.where(np.arange(ROWS) < 40, np.arange(ROWS) % people, np.arange(ROWS))
    assert ("rare" in [term.word for term in ranked(texts, persons=persons)]) == found


@pytest.mark.parametrize(("positives", "found"), [(30, True), (29, False)])
def test_a_class_of_few_rows_is_not_looked_at(positives: int, found: bool) -> None:
    assert (ranked(labels=(np.arange(ROWS) < positives).astype(int), classes=2) is not None) == found
    assert (ranked(labels=(np.arange(ROWS) >= positives).astype(int), classes=2) is not None) == found


def test_no_rows_tell_nothing() -> None:
    assert ranked([], np.empty(0, np.int64), 2, np.empty(0, np.int64)) is None


def test_the_table_names_the_class(tmp_path: Path) -> None:
    revealing.write(tmp_path / "terms.csv", ranked()[:1], ["a", "b", "c, d"])
    head, line = (tmp_path / "terms.csv").read_text().splitlines()
    assert head == "word,class,auroc,share_in_class,share_elsewhere,rows"
    assert line.startswith('told,"c, d",0.')
