"""A WordPiece vocabulary learned from word counts: the same bytes every time, and no term that few patients share.

The library's trainer walks hash maps in an order that changes from process to process, so eight trainings give eight
id maps. This one learns the same merges (most frequent pair first, the lowest ids among equals) from a sorted start,
in plain Python, from counts: neither its time nor its memory grows with the texts, only with their different words.

A word counts only if `min_patients` different patients have it: a rare name adds neither a term nor a letter.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from lib.stage import StageError
from lib.tokens import Memo, split_whitespace

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SPECIAL_TOKENS = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK}
LONGEST_WORD = 100  # characters; WordPiece reads longer words as [UNK]
MAX_WORDS = 1_000_000  # words held while still short of patients, about 350 MB
_ASCII = [chr(code) for code in range(0x21, 0x7F)]


class Words:
    """Texts to words as BERT reads them: cleaned, lower case without accents if so asked, punctuation apart."""

    def __init__(self, lowercase: bool = True) -> None:
        # Accents go with case, as in BERT.
        self.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        self.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._memo = Memo(self._words)

    def count(self, text: str) -> Counter[str]:
        counts: Counter[str] = Counter()
        for piece, times in Counter(split_whitespace(text)).items():
            for word in self._memo[piece]:
                counts[word] += times
        return counts

    def _words(self, piece: str) -> list[str]:
        words = self.pre_tokenizer.pre_tokenize_str(self.normalizer.normalize_str(piece))
        return [word for word, _ in words if len(word) <= LONGEST_WORD]

    def stands_alone(self, character: str) -> bool:
        """Whether the character is always a word of its own (punctuation, CJK), or none at all."""
        return self._words(f"a{character}a") != [f"a{character}a"]


class PatientCounts:
    """How often each word occurs, kept only for words of at least `min_patients` different patients.

    A word waits, with the patients seen so far, until it has enough. When more than `max_words` wait, the half with
    the fewest patients and occurrences is forgotten: then a word may be undercounted and left out, never let in.
    """

    def __init__(self, min_patients: int, max_words: int = MAX_WORDS) -> None:
        self.kept: dict[str, int] = {}
        self.forgotten = 0
        self._min_patients = min_patients
        self._max_words = max_words
        self._waiting: dict[str, tuple[int, tuple[Hashable, ...]]] = {}

    @property
    def waiting(self) -> int:
        """Words that too few patients have."""
        return len(self._waiting)

    def add(self, patient: Hashable, counts: Mapping[str, int]) -> None:
        for word, times in counts.items():
            if word in self.kept:
                self.kept[word] += times
                continue
            before, patients = self._waiting.get(word, (0, ()))
            if patient not in patients:
                patients = (*patients, patient)  # few: a tuple takes a quarter of a set's memory
            if len(patients) >= self._min_patients:
                self.kept[word] = before + times
                self._waiting.pop(word, None)
            else:
                self._waiting[word] = (before + times, patients)
        if len(self._waiting) > self._max_words:
            self._forget()

    def _forget(self) -> None:
        order = sorted(self._waiting.items(), key=lambda item: (-len(item[1][1]), -item[1][0], item[0]))
        self.forgotten += len(order) - self._max_words // 2
        self._waiting = dict(order[: self._max_words // 2])


def characters(words: Words, counts: Mapping[str, int], size: int) -> tuple[list[str], list[str]]:
    """The sorted characters of the vocabulary, and those of them that occur inside words.

    All of printable ASCII (public, so that any ASCII word can be read), then the others of `counts` by frequency, as
    long as they take no more than half of `size` entries.
    """
    seen: Counter[str] = Counter()
    for word, times in counts.items():
        for character in word:
            seen[character] += times
    ours = [c for c in _ASCII if words.normalizer.normalize_str(c) == c]
    others = sorted(set(seen) - set(ours), key=lambda c: (-seen[c], c))
    room = max(0, (size // 2 - 2 * len(ours)) // 2)
    alphabet = sorted([*ours, *others[:room]])
    return alphabet, [c for c in alphabet if not words.stands_alone(c)]


def learn(counts: Mapping[str, int], alphabet: list[str], inner: list[str], size: int, least: int = 2) -> list[str]:
    """At most `size` pieces in the order of their ids: special tokens, `##c`, characters, merges.

    Byte-pair encoding as in the library's WordPieceTrainer: the pair that occurs most often (at least `least` times)
    becomes a piece, among equals the one with the lowest ids, until the vocabulary is full. Words with a character
    outside the alphabet are left out. Raises StageError where `size` cannot hold the characters.
    """
    pieces = [*SPECIAL, *(f"##{c}" for c in inner), *alphabet]
    if len(pieces) > size:
        raise StageError(f"vocab_size is {size}, and the characters alone need {len(pieces)} entries; raise it")
    ids = {piece: position for position, piece in enumerate(pieces)}
    spelled = {word: [word[:1], *(f"##{c}" for c in word[1:])] for word in counts}
    readable = {word: [ids[s] for s in spelling] for word, spelling in spelled.items() if ids.keys() >= set(spelling)}
    merges = _Pairs(list(readable.values()), [counts[word] for word in readable])
    while len(pieces) < size and (pair := merges.most_frequent(least)):
        piece = pieces[pair[0]] + pieces[pair[1]].removeprefix("##")
        merged = ids.setdefault(piece, len(pieces))
        if merged == len(pieces):
            pieces.append(piece)
        merges.merge(pair, merged)
    return pieces


class _Pairs:
    """Adjacent pairs of ids over all words, how often each occurs, and in which words."""

    def __init__(self, words: list[list[int]], times: list[int]) -> None:
        self._words, self._times = words, times
        self._count: Counter[tuple[int, int]] = Counter()
        self._where: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for position, word in enumerate(words):
            self._count_in(position, word, times[position])
        self._queue = [(-count, pair) for pair, count in self._count.items()]
        heapq.heapify(self._queue)

    def most_frequent(self, least: int) -> tuple[int, int] | None:
        while self._queue:
            negative, pair = heapq.heappop(self._queue)
            if self._count[pair] != -negative:  # an old entry: the count has changed since
                if self._count[pair] > 0:
                    heapq.heappush(self._queue, (-self._count[pair], pair))
                continue
            return pair if -negative >= least else None
        return None

    def merge(self, pair: tuple[int, int], merged: int) -> None:
        grown: set[tuple[int, int]] = set()
        for position in self._where.pop(pair):
            word, times = self._words[position], self._times[position]
            joined = _join(word, pair, merged)
            self._count_in(position, word, -times)
            self._count_in(position, joined, times)
            self._words[position] = joined
            grown.update(p for p in pairwise(joined) if merged in p)
        for changed in grown:
            heapq.heappush(self._queue, (-self._count[changed], changed))

    def _count_in(self, position: int, word: list[int], times: int) -> None:
        for pair in pairwise(word):
            self._count[pair] += times
            if times > 0:
                self._where[pair].add(position)


def _join(word: list[int], pair: tuple[int, int], merged: int) -> list[int]:
    """The word with each occurrence of the pair, from the left, made one."""
    joined: list[int] = []
    position = 0
    while position < len(word):
        found = tuple(word[position : position + 2]) == pair
        joined.append(merged if found else word[position])
        position += 2 if found else 1
    return joined


def assemble(pieces: Iterable[str], words: Words) -> Tokenizer:
    """A BERT-like tokenizer over these pieces: [CLS] text [SEP], ids in the order given."""
    vocabulary = {piece: position for position, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNK, max_input_chars_per_word=LONGEST_WORD))
    tokenizer.normalizer = words.normalizer
    tokenizer.pre_tokenizer = words.pre_tokenizer
    tokenizer.post_processor = processors.BertProcessing((SEP, vocabulary[SEP]), (CLS, vocabulary[CLS]))
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer
