"""Ids of the first `max_tokens` of a note: the library's full encode-and-truncate, without encoding it all.

Some tokenizers read a text piece by piece: cut it at the right places, encode each piece alone, and the ids put
together are those of the whole. Then a text need only be read until `max_tokens` are full, and a piece seen before is
looked up instead of encoded (2 to 5 times the library's notes/s on one thread, benchmarks/pretokenize.py). Which places
are right follows from the tokenizer's own description; where that gives no proof, the whole text is encoded.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tokenizers import Tokenizer

from lib.stage import StageError

CHARACTERS_PER_TOKEN = 6  # how far ahead a text is cut; a short result reads on, so it decides speed only
MEMO_PIECES = 200_000  # about 60 MB
MEMO_LENGTH = 64  # longer pieces hardly come twice


class Memo(dict):
    """What `compute` makes of a piece, remembered for short pieces; emptied when full, so that memory is bounded."""

    def __init__(self, compute: Callable[[str], Any], pieces: int = MEMO_PIECES) -> None:
        super().__init__()
        self._compute = compute
        self._pieces = pieces

    def __missing__(self, piece: str) -> Any:
        value = self._compute(piece)
        if len(piece) <= MEMO_LENGTH:
            if len(self) >= self._pieces:
                self.clear()
            self[piece] = value
        return value


def split_whitespace(text: str) -> list[str]:
    """Pieces between space, tab, CR and LF (some empty). No other whitespace: BERT's normalizer drops some of it."""
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ").split(" ")


@dataclass(frozen=True)
class Cuts:
    """Where a tokenizer's texts may be cut: `boundary` finds the next place, `split` cuts at all of them."""

    boundary: re.Pattern[str]
    split: Callable[[str], list[str]]


_WHITESPACE = Cuts(re.compile(r"[ \t\r\n]"), split_whitespace)
_BETWEEN_WORDS = re.compile(r"(?<=[A-Za-z])(?= [A-Za-z])")
_WORDS = Cuts(_BETWEEN_WORDS, _BETWEEN_WORDS.split)


def cuts(description: dict[str, Any]) -> Cuts | None:
    """Where texts may be cut for the tokenizer that a tokenizer.json describes; None: nowhere that is proven.

    WordPiece behind BERT's normalizer and pre-tokenizer: at space, tab, CR, LF. The normalizer keeps these (as a
    space), nothing composes or reorders across them, and the pre-tokenizer ends a word there. BPE behind GPT-2's
    byte-level pattern: before a single space between two ASCII letters, where the pattern always begins a new match
    (` ?\\p{L}+`), whatever stands around. Added tokens must not reach across such a place.
    """
    kind = {name: (description.get(name) or {}).get("type") for name in ("model", "normalizer", "pre_tokenizer")}
    added = description.get("added_tokens") or []
    if kind == {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}:
        return _WHITESPACE if all(_local(token) for token in added) else None
    if kind["model"] == "BPE" and kind["normalizer"] in (None, "NFC") and kind["pre_tokenizer"] == "ByteLevel":
        patterned = description["pre_tokenizer"].get("use_regex", True)
        drawn = description["model"].get("dropout")
        if patterned and not drawn and all(_local(token) or _wide(token) for token in added):
            return _WORDS
    return None


def _local(token: dict[str, Any]) -> bool:
    """Whether an added token holds no whitespace and is found by looking at itself alone."""
    alone = token["special"] or not (token["lstrip"] or token["rstrip"] or token["single_word"])
    # Special tokens are read as plain text here, so their flags do not matter. CJK would be given spaces by BERT.
    return alone and token["content"].isascii() and not re.search(r"\s", token["content"])


def _wide(token: dict[str, Any]) -> bool:
    """Whether an added token is a run of whitespace (code tokenizers have them): a single space is no part of it."""
    return len(token["content"]) > 1 and token["content"].isspace() and not (token["lstrip"] or token["rstrip"])


def load(path: Path) -> Tokenizer:
    """A tokenizer.json that neither truncates nor pads, and reads a literal "[SEP]" in a note as plain text."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare Exception
        raise StageError(f"{Path(path).name} is no tokenizer of the tokenizers library; build it again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def vocabulary_entries(tokenizer: Tokenizer) -> int:
    """One more than the largest id, added tokens counted: the rows that an embedding table needs."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1


def id_type(tokenizer: Tokenizer) -> pa.DataType:
    """uint16 for up to 65,536 entries, else uint32."""
    return pa.uint16() if vocabulary_entries(tokenizer) <= 2**16 else pa.uint32()


class Encoder:
    """Texts to the ids of their first `max_tokens` tokens, the tokenizer's own special tokens among them.

    `read(text)` returns (ids, truncated): the ids that `tokenizer.encode` gives with right truncation to
    `max_tokens`, and whether the whole text has more. Raises StageError where `max_tokens` leaves no room for text.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        description = json.loads(tokenizer.to_str())
        self._cuts = cuts(description)
        #: The id of the unknown token, None where the tokenizer has none.
        self.unknown = tokenizer.token_to_id(description["model"].get("unk_token") or "")
        self._memo = Memo(self._encode)
        self._before, self._after = self._frame()
        self._room = max_tokens - len(self._before) - len(self._after)
        if self._room < 1:
            frame = len(self._before) + len(self._after)
            raise StageError(
                f"max_tokens is {max_tokens}, of which {frame} are special tokens; give at least {frame + 1}"
            )

    def read(self, text: str) -> tuple[list[int], bool]:
        ids = self._prefix(text)
        truncated = len(ids) > self._room
        return [*self._before, *ids[: self._room], *self._after], truncated

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _prefix(self, text: str) -> list[int]:
        """All ids of the text, or more than there is room for of its first."""
        if self._cuts is None:
            return self._encode(text)
        ids: list[int] = []
        for part in self._parts(text, self._cuts):
            for piece in self._cuts.split(part):
                ids += self._memo[piece]
            if len(ids) > self._room:
                break
        return ids

    def _parts(self, text: str, where: Cuts) -> Iterator[str]:
        """The text in parts that end at a place to cut, each about as long as `max_tokens` need."""
        start, step = 0, self._room * CHARACTERS_PER_TOKEN
        while start + step < len(text):
            found = where.boundary.search(text, start + step)
            if found is None:
                break
            yield text[start : found.start()]
            start = found.start()
        yield text[start:]

    def _frame(self) -> tuple[list[int], list[int]]:
        """The special tokens that the post-processor puts before and after a text."""
        bare = self._encode("a")
        framed = self._tokenizer.encode("a").ids
        for start in range(len(framed) - len(bare) + 1):
            before, after = framed[:start], framed[start + len(bare) :]
            if bare and framed[start : start + len(bare)] == bare:
                return before, after
        raise StageError("this tokenizer does not frame a text with special tokens before and after it; use another")
