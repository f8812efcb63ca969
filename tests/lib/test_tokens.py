"""Ids read piece by piece are those of the library's full encode-and-truncate, on text made to break that."""

import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from lib import tokens, vocabulary
from lib.stage import StageError

PROSE = (
    "The patient denies chest pain. No prior history of h/o diabetes; started on metformin 500 mg daily. "
    "Admitted with shortness of breath, fevers, chills. Don't resume warfarin. BP 120/80, HR 88, O2 sat 97%."
)
NASTY = [
    *("\x00", "\x01", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\xad", "\u2028", "\u200b", "\ufeff"),
    *("\u0301", "e\u0301", "\u0327\u0301", "é", "İ", "ǅ", "ﬁ", "ß", "ς", "\u1100\u1161", "\ufffd", "\ue000", "\u202e"),
    *("中文", "日本 語", "שלום", "مرحبا", "👩‍👩‍👧", "🫀", "[SEP]", "[CLS]", "[sep]", "[ SEP ]", "[PAD]", "[UNK]"),
    *("<mask>", "<s>", "|||IP|||", "##ing", "# #", "don't", "'s", "'", "…", "--", "12.5", "1234567", "a" * 101),
    *("b" * 100, "ﷺ" * 30, "   ", "\u3000", "ſ", "patient", "chest", "Pain", "x"),
]
SPACES = [" ", " ", " ", "  ", "\t", "\n", "\r\n", "\r", "\xa0", "", "\x1c", "\u0301 ", " \u0301", "\x00 ", ". "]
texts = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(NASTY), st.sampled_from(PROSE.split()), st.text(max_size=8)), st.sampled_from(SPACES)
    ),
    max_size=60,
).map(lambda pairs: "".join(word + space for word, space in pairs))


def wordpiece(lowercase: bool) -> Tokenizer:
    words = vocabulary.Words(lowercase)
    counts = words.count(PROSE * 3 + " 中文 é ing")
    alphabet, inner = vocabulary.characters(words, counts, 600)
    return vocabulary.assemble(vocabulary.learn(counts, alphabet, inner, 600), words)


def byte_level(add_prefix_space: bool, normalizer: normalizers.Normalizer | None) -> Tokenizer:
    """As GPT-2, RoBERTa and ModernBERT: the mask takes the space before it, runs of spaces are tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator([PROSE] * 3, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", special_tokens=[(token, tokenizer.token_to_id(token)) for token in special]
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.add_tokens([AddedToken("  ", normalized=False), AddedToken("|||IP|||", normalized=False)])
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator([PROSE] * 3, trainer)
    return tokenizer


TOKENIZERS = {
    "wordpiece, lower case": wordpiece(True),
    "wordpiece, cased": wordpiece(False),
    "byte-level": byte_level(False, None),
    "byte-level, prefix space, NFC": byte_level(True, normalizers.NFC()),
    "unigram": unigram(),
}


def fresh(name: str) -> Tokenizer:
    """A copy: truncation is a state of the object."""
    tokenizer = Tokenizer.from_str(TOKENIZERS[name].to_str())
    tokenizer.encode_special_tokens = True
    return tokenizer


def reference(name: str, text: str, max_tokens: int) -> tuple[list[int], bool]:
    tokenizer = fresh(name)
    longer = len(tokenizer.encode(text).ids) > max_tokens
    tokenizer.enable_truncation(max_tokens, direction="right")
    return tokenizer.encode(text).ids, longer


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are shared
@given(text=texts, max_tokens=st.integers(3, 40))
def test_ids_equal_the_full_encode(name: str, text: str, max_tokens: int) -> None:
    encoder = tokens.Encoder(fresh(name), max_tokens)
    assert encoder.read(text) == reference(name, text, max_tokens)
    assert encoder.read(text) == reference(name, text, max_tokens), "read again, from what it remembers"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_equal_on_prose_at_every_length(name: str) -> None:
    text = " ".join([PROSE] * 8)
    everything = len(fresh(name).encode(text).ids)
    for max_tokens in (3, 4, 10, 57, 200, everything - 1, everything, everything + 1, 5_000):
        assert tokens.Encoder(fresh(name), max_tokens).read(text) == reference(name, text, max_tokens)


def test_truncated_is_told_without_reading_everything() -> None:
    encoder = tokens.Encoder(fresh("wordpiece, lower case"), 12)
    ten = "pain " * 10
    assert encoder.read(ten)[1] is False
    assert encoder.read(ten + " \x00 \u0301 \n" * 500)[1] is False, "what follows are no tokens"
    assert encoder.read(ten + "\x00 " * 500 + "x")[1] is True, "one more, far behind"


def test_only_the_needed_part_is_encoded() -> None:
    encoder = tokens.Encoder(fresh("wordpiece, lower case"), 16)
    encoded: list[str] = []
    whole = encoder._memo._compute

    def spied(piece: str) -> list[int]:
        encoded.append(piece)
        return whole(piece)

    encoder._memo._compute = spied
    encoder.read(" ".join(f"word{number}" for number in range(10_000)))
    assert 0 < len(encoded) < 60


@pytest.mark.parametrize(
    ("name", "cut"),
    [("wordpiece, cased", True), ("byte-level", True), ("unigram", False)],
    ids=lambda value: str(value),
)
def test_a_text_is_cut_only_where_that_is_proven(name: str, cut: bool) -> None:
    assert (tokens.cuts(json.loads(TOKENIZERS[name].to_str())) is not None) is cut


@pytest.mark.parametrize(
    "token",
    [
        AddedToken("chest pain"),
        AddedToken("<x>", lstrip=True),
        AddedToken("<x>", rstrip=True),
        AddedToken("<x>", single_word=True),
        AddedToken("文"),
        AddedToken(" "),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["wordpiece, lower case", "byte-level"])
def test_added_tokens_that_look_around_them_forbid_cuts(name: str, token: AddedToken) -> None:
    tokenizer = fresh(name)
    tokenizer.add_tokens([token])
    assert tokens.cuts(json.loads(tokenizer.to_str())) is None


def test_dropout_and_foreign_patterns_forbid_cuts() -> None:
    description = json.loads(TOKENIZERS["byte-level"].to_str())
    description["model"]["dropout"] = 0.1
    assert tokens.cuts(description) is None
    description = json.loads(TOKENIZERS["byte-level"].to_str())
    description["pre_tokenizer"]["use_regex"] = False
    assert tokens.cuts(description) is None
    description = json.loads(TOKENIZERS["wordpiece, cased"].to_str())
    description["pre_tokenizer"] = {"type": "Whitespace"}
    assert tokens.cuts(description) is None


def test_a_literal_special_token_is_plain_text(tmp_path) -> None:
    TOKENIZERS["wordpiece, lower case"].save(str(tmp_path / "tokenizer.json"))
    tokenizer = tokens.load(tmp_path / "tokenizer.json")
    ids, _ = tokens.Encoder(tokenizer, 40).read("pain [SEP] pain")
    assert [tokenizer.id_to_token(i) for i in ids].count("[SEP]") == 1
    assert tokenizer.id_to_token(ids[2]) == "["


@pytest.mark.parametrize(("max_tokens", "fits"), [(2, False), (3, True)])
def test_max_tokens_leaves_room_for_text(max_tokens: int, fits: bool) -> None:
    if fits:
        assert len(tokens.Encoder(fresh("wordpiece, cased"), max_tokens).read("chest pain")[0]) == 3
    else:
        with pytest.raises(StageError, match="at least 3"):
            tokens.Encoder(fresh("wordpiece, cased"), max_tokens)


def test_the_memo_is_bounded() -> None:
    memo = tokens.Memo(len, pieces=10)
    assert [memo["x" * n] for n in range(1, 40)] == list(range(1, 40))
    assert len(memo) <= 10
    assert memo["y" * 1_000] == 1_000 and "y" * 1_000 not in memo


@pytest.mark.parametrize(("entries", "expected"), [(65_536, pa.uint16()), (65_537, pa.uint32())])
def test_the_smallest_integer_that_holds_the_vocabulary(entries: int, expected: pa.DataType) -> None:
    words = {f"w{number}": number for number in range(entries - 1)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.add_special_tokens(["<s>"])
    assert tokens.vocabulary_entries(tokenizer) == entries
    assert tokens.id_type(tokenizer) == expected


def test_a_broken_file_is_named(tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(StageError, match=r"tokenizer\.json"):
        tokens.load(tmp_path / "tokenizer.json")


def test_a_loaded_tokenizer_neither_truncates_nor_pads(tmp_path) -> None:
    tokenizer = fresh("wordpiece, cased")
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = tokens.load(tmp_path / "tokenizer.json")
    assert loaded.truncation is None and loaded.padding is None
    assert len(loaded.encode("pain " * 20).ids) == 22
