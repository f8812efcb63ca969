"""Near-duplicates are found whatever their order, unlike texts are not, and a template makes no million pairs."""

from itertools import pairwise

import numpy as np
import pytest

from lib import minhash

DRAW = np.random.default_rng(5)
WORDS = [f"w{i}" for i in range(3000)]


def text(words: int = 150) -> list[str]:
    return [WORDS[i] for i in DRAW.integers(0, len(WORDS), words)]


def naive(one: str, other: str) -> float:
    sets = []
    for words in (one.lower().split(), other.lower().split()):
        sets.append({tuple(words[i : i + 5]) for i in range(max(len(words) - 4, 1))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def exact(one: str, other: str) -> float:
    hashes, starts = minhash.shingles([one, other])
    return minhash.jaccard(*(np.unique(hashes[a:b]) for a, b in pairwise(starts)))


def pairs(texts: list[str]) -> tuple[set[tuple[str, str]], int]:
    found, capped = minhash.candidates(minhash.signatures(*minhash.shingles(texts)))
    assert (found[:, 0] < found[:, 1]).all()
    return {tuple(sorted((texts[a], texts[b]))) for a, b in found.tolist()}, capped


def changed(words: list[str], places: int) -> str:
    """The text with so many runs of its shingles broken, in one place each."""
    words = list(words)
    for place in DRAW.choice(np.arange(10, len(words) - 10, 6), places, replace=False):
        words[place] = "changed"
    return " ".join(words)


@pytest.mark.parametrize("places", [0, 1, 2, 3, 10])
def test_similarity_is_that_of_the_sets_of_five_words(places: int) -> None:
    words = text()
    one, other = " ".join(words), changed(words, places)
    assert exact(one, other.upper()) == pytest.approx(naive(one, other), abs=1e-12)


def test_texts_shorter_than_a_shingle_are_one() -> None:
    assert exact("a b", "A, b.") == 1
    assert exact("a b", "a b c") == 0
    assert exact("", "") == 1 and exact("", "a") == 0


def test_signatures_estimate_similarity() -> None:
    words = text(400)
    texts = [" ".join(words), *(changed(words, n) for n in (5, 15, 40))]
    signed = minhash.signatures(*minhash.shingles(texts))
    for i in range(1, 4):
        estimate = np.mean(signed[0] == signed[i])
        true = naive(texts[0], texts[i])
        assert abs(estimate - true) < 4 * np.sqrt(true * (1 - true) / minhash.PERMUTATIONS)


def test_every_similar_pair_is_found_and_hardly_an_unlike_one() -> None:
    bases = [text() for _ in range(300)]
    texts = [" ".join(words) for words in bases] + [changed(words, 3) for words in bases]
    found, capped = pairs(texts)
    alike = {tuple(sorted((a, b))) for a, b in zip(texts[:300], texts[300:], strict=True) if naive(a, b) >= 0.8}
    assert len(alike) > 290 and capped == 0
    assert alike <= found and len(found) <= 301


def test_the_pairs_do_not_depend_on_the_order_or_on_the_batch() -> None:
    bases = [text() for _ in range(40)]
    texts = [" ".join(words) for words in bases] + [changed(words, 2) for words in bases]
    assert pairs(texts)[0] == pairs([texts[i] for i in DRAW.permutation(len(texts))])[0]
    whole = minhash.signatures(*minhash.shingles(texts))
    pieces = [minhash.signatures(*minhash.shingles(texts[i : i + 7])) for i in range(0, len(texts), 7)]
    assert (whole == np.concatenate(pieces)).all()


def test_a_template_in_every_chart_is_compared_in_part_and_said_to_be() -> None:
    words = text()
    texts = [" ".join([*words, str(i)]) for i in range(400)]
    found, capped = minhash.candidates(minhash.signatures(*minhash.shingles(texts)))
    assert 0 < capped <= minhash.BANDS
    assert len(found) <= 400 * minhash.NEIGHBOURS * 2 < 400 * 399 / 2
    assert len(np.unique(found)) == 400, "each is seen to have a near-duplicate"


def test_no_texts_and_one() -> None:
    for texts in ([], ["alone"]):
        found, capped = minhash.candidates(minhash.signatures(*minhash.shingles(texts)))
        assert found.shape == (0, 2) and capped == 0
