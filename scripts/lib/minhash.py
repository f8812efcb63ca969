"""Near-duplicates without comparing every pair: MinHash signatures of word shingles, in bands.

A text is the set of its runs of five words; two texts are as similar as these sets: |A & B| / |A | B|, the Jaccard
index. The smallest value of a random hash over a set is the same for two sets with just that probability, so 64 of
them, a text's signature, estimate it (Broder 1997, On the resemblance and containment of documents). Signatures that
agree in all four values of one of 16 bands make a pair worth looking at (Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, ch. 3): at a similarity of .1 that is 2 pairs in 1,000. Of these, pairs whose whole signatures are
likely enough get an exact look. A pair at .8 is missed 6 times in 10,000, a closer one hardly ever.

Hashes are BLAKE2b's and fixed constants': the same on every machine. Memory is 256 bytes a text.
"""

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

WORD = re.compile(r"\w+")
SHINGLE = 5  # words
BANDS, IN_A_BAND = 16, 4
PERMUTATIONS = BANDS * IN_A_BAND
SIMILAR = 0.8
LIKELY = 40  # of 64 values equal: 3.5 standard errors below SIMILAR
NEIGHBOURS = 50  # a text is compared with at most so many of a bucket: a template in every chart is no million pairs
_TOGETHER = 100_000  # pairs whose signatures are compared at a time
_GOLDEN = 0x9E3779B97F4A7C15


def shingles(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of each text's runs of five lower-cased words: `hashes` (n,) uint64 and `starts` (texts + 1,) int64.

    Text i has hashes[starts[i] : starts[i + 1]], repeats included, at least one: of fewer words, all of them.
    """
    words, starts = array("Q"), array("q", [0])
    for text in texts:
        found = WORD.findall(text.lower())
        words.extend(map(_word, found))
        words.extend([0] * (SHINGLE - len(found)))
        starts.append(len(words))
    ids, ends = np.array(words, dtype=np.uint64), np.array(starts, dtype=np.int64)
    owner = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    size = max(len(ids) - SHINGLE + 1, 0)
    hashes = np.zeros(size, np.uint64)
    for i in range(SHINGLE):
        hashes = hashes * np.uint64(_GOLDEN) + ids[i : i + size]
    inside = owner[:size] == owner[len(owner) - size :]
    return _mixed(hashes[inside]), ends - np.arange(len(ends)) * (SHINGLE - 1)


def signatures(hashes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(texts, 64) uint32 from the shingles of as many texts: the least of each of 64 hashes of them."""
    out = np.empty((len(starts) - 1, PERMUTATIONS), np.uint32)
    if len(out):
        for i, (factor, term) in enumerate(zip(_FACTORS, _TERMS, strict=True)):
            out[:, i] = np.minimum.reduceat((hashes * factor + term) >> np.uint64(32), starts[:-1])
    return out


def candidates(signed: np.ndarray) -> tuple[np.ndarray, int]:
    """Pairs of texts that are probably alike, and how many buckets were too large to compare all of.

    `signed` (texts, 64) uint32. The pairs, (n, 2) int64, are in order, the smaller number first. In a bucket of more
    than NEIGHBOURS + 1 texts each is compared with the NEIGHBOURS after it, so pairs may be missing then.
    """
    texts, capped = len(signed), 0
    codes = np.empty(0, np.int64)
    for band in range(BANDS):
        four = signed[:, band * IN_A_BAND : (band + 1) * IN_A_BAND].astype(np.uint64)
        key = _mixed(_mixed(four[:, 0] << np.uint64(32) | four[:, 1]) ^ (four[:, 2] << np.uint64(32) | four[:, 3]))
        order = np.argsort(key, kind="stable")
        key = key[order]
        capped += int(np.sum(np.unique(key, return_counts=True)[1] > NEIGHBOURS + 1))
        found = [code for first, second in _in_buckets(order, key) for code in _likely(signed, first, second)]
        codes = np.unique(np.concatenate([codes, *found]))
    return np.stack([codes // max(texts, 1), codes % max(texts, 1)], axis=1), capped


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Exact similarity of two sets of hashes, each sorted and without repeats (`np.unique`)."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def _in_buckets(order: np.ndarray, key: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Texts of one bucket as two aligned arrays, those that stand 1 apart in it first; `key` is sorted."""
    place = np.arange(len(key))
    for apart in range(1, NEIGHBOURS + 1):
        place = place[place + apart < len(key)]
        place = place[key[place] == key[place + apart]]
        if not len(place):
            return
        yield order[place], order[place + apart]  # a stable sort: the first has the smaller number


def _likely(signed: np.ndarray, first: np.ndarray, second: np.ndarray) -> Iterator[np.ndarray]:
    """The pairs whose signatures agree in LIKELY values, as first * texts + second."""
    for start in range(0, len(first), _TOGETHER):
        one, other = first[start : start + _TOGETHER], second[start : start + _TOGETHER]
        alike = np.count_nonzero(signed[one] == signed[other], axis=1) >= LIKELY
        yield one[alike] * len(signed) + other[alike]


@lru_cache(maxsize=2**18)
def _word(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of a number in every bit of the result (the finalizer of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_FACTORS, _TERMS = np.split(_mixed(np.arange(1, 2 * PERMUTATIONS + 1, dtype=np.uint64) * np.uint64(_GOLDEN)), 2)
_FACTORS |= np.uint64(1)
