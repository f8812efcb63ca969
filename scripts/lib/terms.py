"""TF-IDF whose vocabulary is held by people, not by notes.

A term (1 to 3 adjacent words) enters the vocabulary only if notes of at least `min_patients` distinct training
persons hold it, so that a name that one chart repeats never becomes a column. Words are numbered once; an n-gram is
then one integer, and counting is sorting integers: 8,000 notes of 150 words with their pairs take under 2 s on one
core. A pair can be held by `min_patients` persons only if each of its words is, so rare words are dropped before
pairs are formed. Words are `\\w\\w+` of the lower-cased text; weights are sublinear tf x smoothed idf, rows of length
one: the formulas of scikit-learn's TfidfVectorizer(sublinear_tf=True), to which a test compares them.
"""

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np

WORD = re.compile(r"\w\w+")
BLOCK_WORDS = 2_000_000  # words counted together: bounds the memory of the sort


@dataclass
class Notes:
    """Numbered words: `ids` (words,) and `starts` (notes + 1,), int64; note i is ids[starts[i] : starts[i + 1]]."""

    ids: np.ndarray
    starts: np.ndarray

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of whole notes of about BLOCK_WORDS words."""
        first, count = 0, len(self.starts) - 1
        while first < count:
            last = int(np.searchsorted(self.starts, self.starts[first] + BLOCK_WORDS, side="right")) - 1
            last = min(max(last, first + 1), count)
            yield first, last
            first = last

    def part(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """The words of notes first..last-1 and the note (counted from `first`) of each."""
        starts = self.starts[first : last + 1]
        return self.ids[starts[0] : starts[-1]], np.repeat(np.arange(last - first), np.diff(starts))


@dataclass
class Vocabulary:
    """Terms in code-point order, and the integers by which n-grams of numbered words find their column."""

    terms: list[str]
    words: dict[str, int]  # any word of any term; an unknown word is numbered len(words)
    codes: dict[int, tuple[np.ndarray, np.ndarray]]  # n -> sorted codes, their columns

    @classmethod
    def of(cls, terms: Iterable[str]) -> "Vocabulary":
        ordered = sorted(terms)
        words = {word: i for i, word in enumerate(sorted({word for term in ordered for word in term.split(" ")}))}
        by_length: dict[int, list[tuple[int, int]]] = {}
        for column, term in enumerate(ordered):
            parts = term.split(" ")
            by_length.setdefault(len(parts), []).append((_code([words[w] for w in parts], len(words)), column))
        codes = {}
        for length, pairs in by_length.items():
            pairs.sort()
            both = np.array(pairs, dtype=np.int64)
            codes[length] = (both[:, 0], both[:, 1])
        return cls(ordered, words, codes)


def number(texts: Iterable[str], words: dict[str, int], grow: bool = False) -> Notes:
    """The notes as word numbers; an unknown word is added to `words` if `grow`, else numbered len(words)."""
    ids, starts = array("q"), array("q", [0])
    unknown = len(words)
    for text in texts:
        found = WORD.findall(text.lower())
        if grow:
            ids.extend([words.setdefault(word, len(words)) for word in found])
        else:
            ids.extend(map(words.get, found, repeat(unknown)))
        starts.append(len(ids))
    return Notes(np.array(ids, dtype=np.int64), np.array(starts, dtype=np.int64))


def learn(
    texts: Iterable[str], persons: np.ndarray, ngrams: tuple[int, int], min_patients: int, max_terms: int
) -> Vocabulary:
    """The terms that notes of at least `min_patients` distinct persons hold.

    `persons` (notes,) int64 numbers each note's person. Of more than `max_terms`, those held by most persons stay,
    ties in the terms' code-point order.
    """
    numbers: dict[str, int] = {}
    notes = number(texts, numbers, grow=True)
    notes, persons = _by_person(notes, persons)
    held = _persons_per_ngram(notes, persons, 1, len(numbers))
    kept = sorted(word for word, i in numbers.items() if held.get(i, 0) >= min_patients)
    renumber = np.full(len(numbers), len(kept), dtype=np.int64)
    for i, word in enumerate(kept):
        renumber[numbers[word]] = i
    notes = Notes(renumber[notes.ids], notes.starts)
    found: list[tuple[int, str]] = []
    for n in range(ngrams[0], ngrams[1] + 1):
        if len(kept) ** n >= 2**63:
            raise OverflowError(f"{len(kept)} words make too many {n}-grams")
        for code, people in _persons_per_ngram(notes, persons, n, len(kept)).items():
            if people >= min_patients:
                found.append((-people, " ".join(kept[i] for i in _digits(code, n, len(kept)))))
    found.sort()
    return Vocabulary.of(term for _, term in found[:max_terms])


def counts(vocabulary: Vocabulary, notes: Notes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(note, column, count) of every term in every note, three int64 arrays sorted by (note, column)."""
    width = max(len(vocabulary.terms), 1)
    cells, tallies = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first, last in notes.blocks():
        hits = []
        for n, (known, columns) in vocabulary.codes.items():
            codes, owners = _ngrams(*notes.part(first, last), n, len(vocabulary.words))
            at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
            same = known[at] == codes
            hits.append((owners[same] + first) * width + columns[at[same]])
        cell, tally = np.unique(np.concatenate(hits), return_counts=True) if hits else (cells[0], cells[0])
        cells.append(cell)
        tallies.append(tally)
    cell = np.concatenate(cells)
    return cell // width, cell % width, np.concatenate(tallies)


def inverse_document_frequency(columns: np.ndarray, notes: int, terms: int) -> np.ndarray:
    """ln((1 + notes) / (1 + notes with the term)) + 1, (terms,) float64; `columns` holds one entry a (note, term)."""
    return np.log((1 + notes) / (1 + np.bincount(columns, minlength=terms))) + 1


def weights(rows: np.ndarray, columns: np.ndarray, tallies: np.ndarray, idf: np.ndarray) -> np.ndarray:
    """(1 + ln count) x idf, scaled so that each note's squares sum to one; float64, aligned with `rows`.

    Every sum runs over one note in column order, so a note's weights do not depend on the notes beside it.
    """
    raw = (1 + np.log(tallies)) * idf[columns]
    return raw / np.sqrt(np.bincount(rows, weights=raw * raw))[rows] if len(rows) else raw


def _by_person(notes: Notes, persons: np.ndarray) -> tuple[Notes, np.ndarray]:
    """The same notes with each person's together, so that a person is counted in one place."""
    order = np.argsort(persons, kind="stable")
    lengths = np.diff(notes.starts)
    starts = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64)
    inside = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths[order])
    return Notes(notes.ids[np.repeat(notes.starts[order], lengths[order]) + inside], starts), persons[order]


def _persons_per_ngram(notes: Notes, persons: np.ndarray, n: int, words: int) -> dict[int, int]:
    """Distinct persons by n-gram code; a person whose notes span two blocks is told by the last seen person."""
    codes, tallies = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    carried, last_person = np.empty(0, np.int64), -1
    for first, last in notes.blocks():
        code, owner = _ngrams(*notes.part(first, last), n, words)
        person = persons[first:last][owner]
        order = np.lexsort((code, person))
        code, person = code[order], person[order]
        new = np.ones(len(code), dtype=bool)
        new[1:] = (code[1:] != code[:-1]) | (person[1:] != person[:-1])
        code, person = code[new], person[new]
        again = (person == last_person) & np.isin(code, carried)
        ends = persons[last - 1]
        here = code[person == ends]
        carried = np.union1d(carried, here) if ends == last_person else here
        last_person = ends
        codes.append(code[~again])
        tallies.append(np.ones(len(codes[-1]), np.int64))
        if sum(map(len, codes[1:])) > max(len(codes[0]), BLOCK_WORDS):
            codes[:], tallies[:] = _merge(codes, tallies)
    (code,), (tally,) = _merge(codes, tallies)
    return dict(zip(code.tolist(), tally.tolist(), strict=True))


def _merge(codes: list[np.ndarray], tallies: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    distinct, at = np.unique(np.concatenate(codes), return_inverse=True)
    return [distinct], [np.bincount(at, weights=np.concatenate(tallies), minlength=len(distinct)).astype(np.int64)]


def _ngrams(ids: np.ndarray, owners: np.ndarray, n: int, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and notes of the n-grams that lie in one note and hold no unknown word (number `words`)."""
    size = max(len(ids) - n + 1, 0)
    code, fits = np.zeros(size, np.int64), np.ones(size, dtype=bool)
    for i in range(n):
        piece = ids[i : i + size]
        code = code * words + piece
        fits &= piece < words
    fits &= owners[:size] == owners[n - 1 : n - 1 + size]
    return code[fits], owners[:size][fits]


def _code(numbers: list[int], words: int) -> int:
    code = 0
    for i in numbers:
        code = code * words + i
    return code


def _digits(code: int, n: int, words: int) -> list[int]:
    digits = []
    for _ in range(n):
        code, digit = divmod(code, words)
        digits.append(digit)
    return digits[::-1]
