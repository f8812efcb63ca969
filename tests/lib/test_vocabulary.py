"""The WordPiece vocabulary: the library's own merges, no rare word, nothing from chance."""

from collections import Counter

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from lib import vocabulary
from lib.stage import StageError

SYLLABLES = ["car", "di", "o", "my", "pa", "thy", "neph", "ro", "tic", "he", "mo", "glo", "bin", "é", "ß", "2", "11"]


def many_words() -> dict[str, int]:
    """Some hundreds of made words with uneven counts and many ties."""
    return {a + b + c: 1 + (i * j * k) % 7 for i, a in enumerate(SYLLABLES, 1) for j, b in enumerate(SYLLABLES, 1)
            for k, c in enumerate(SYLLABLES[:5], 1)}  # fmt: skip


def test_merges_equal_the_librarys_trainer() -> None:
    """The library's trainer with a fixed start (the `##c` pieces as leading special tokens) gives the same ids."""
    words = vocabulary.Words(lowercase=False)
    counts = {word: times for word, times in many_words().items() if words.count(word) == Counter([word])}
    assert len(counts) > 1_000
    alphabet, inner = vocabulary.characters(words, counts, 1_000)
    ours = vocabulary.learn(counts, alphabet, inner, 1_000)

    theirs = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    theirs.normalizer, theirs.pre_tokenizer = words.normalizer, words.pre_tokenizer
    fixed = [*vocabulary.SPECIAL, *(f"##{c}" for c in inner)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=1_000, min_frequency=2, special_tokens=fixed, initial_alphabet=alphabet, show_progress=False
    )
    theirs.train_from_iterator((" ".join([word] * times) for word, times in counts.items()), trainer)
    entries = theirs.get_vocab()
    assert ours == sorted(entries, key=lambda piece: entries[piece])
    assert len(ours) > 500


def test_the_order_of_words_does_not_matter() -> None:
    words = vocabulary.Words()
    counts = {word: times for word, times in many_words().items() if word.isascii()}
    alphabet, inner = vocabulary.characters(words, counts, 400)
    backwards = dict(reversed(counts.items()))
    assert vocabulary.characters(words, backwards, 400) == (alphabet, inner)
    assert vocabulary.learn(backwards, alphabet, inner, 400) == vocabulary.learn(counts, alphabet, inner, 400)


def test_merge_by_hand() -> None:
    counts = {"abab": 3, "ab": 2, "cab": 1}
    pieces = vocabulary.learn(counts, ["a", "b", "c"], ["a", "b"], 14)
    # (a, ##b) 5 times; (##a, ##b) 4; (ab, ##ab) 3; (c, ##ab) once, too seldom.
    assert pieces == [*vocabulary.SPECIAL, "##a", "##b", "a", "b", "c", "ab", "##ab", "abab"]


def test_words_are_those_of_the_library() -> None:
    text = "Naïve  PATIENT's BP:120/80\r\n中文 soft\xadhyphen \x00nul\ta\u0301 [SEP] " + "x" * 101
    words = vocabulary.Words(lowercase=True)
    normalized = normalizers.BertNormalizer(lowercase=True).normalize_str(text)
    expected = [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalized)]
    assert words.count(text) == Counter(word for word in expected if len(word) <= 100)
    assert words.count(text)["naive"] == 1 and words.count(text)["softhyphen"] == 1


def test_a_word_needs_enough_different_patients() -> None:
    counts = vocabulary.PatientCounts(min_patients=3)
    for patient in (1, 1, 1, 1, 2):
        counts.add(patient, {"rare": 5, "pain": 1})
    assert (counts.kept, counts.waiting) == ({}, 2)
    counts.add(3, {"pain": 2})
    counts.add(4, {"pain": 1})
    assert counts.kept == {"pain": 8}, "and all its occurrences count"
    assert counts.waiting == 1


def test_forgetting_undercounts_and_lets_nothing_in() -> None:
    free, tight = vocabulary.PatientCounts(3), vocabulary.PatientCounts(3, max_words=20)
    for patient in range(40):
        seen = {f"only{patient}-{number}": 9 for number in range(15)} | {"pain": 1, f"shared{patient // 4}": 1}
        free.add(patient, seen)
        tight.add(patient, seen)
        assert tight.waiting <= 20
    assert tight.forgotten > 0
    assert tight.kept.items() <= free.kept.items()
    assert tight.kept["pain"] == 40


def test_characters_are_ascii_and_the_most_frequent_others() -> None:
    words = vocabulary.Words(lowercase=True)
    alphabet, inner = vocabulary.characters(words, {"ßa": 5, "øa": 9, "中": 7}, 2 * (2 * 68 + 4))
    assert {"ø", "中"} <= set(alphabet) and "ß" not in alphabet, "room for two more"
    assert set("az09") <= set(inner) and "中" not in inner and "." in alphabet and "." not in inner
    assert "A" not in alphabet
    assert "A" in vocabulary.characters(vocabulary.Words(lowercase=False), {}, 1_000)[0]


def test_a_vocabulary_too_small_for_its_characters_says_so() -> None:
    with pytest.raises(StageError, match="need 8 entries"):
        vocabulary.learn({"ab": 2}, ["a", "b"], ["b"], 7)


def test_a_word_with_an_unknown_character_is_left_out() -> None:
    assert "aø" not in "".join(vocabulary.learn({"aø": 50, "ab": 2}, ["a", "b"], ["b"], 20))
