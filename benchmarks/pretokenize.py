"""Notes per second to token ids: the library's full encode-and-truncate beside ours, in turn, with the ids compared.

    python benchmarks/pretokenize.py [--notes 2000] [--words 900] [--max-tokens 512] [--rounds 3] [--texts FILE COLUMN]

Without --texts the notes are drawn: words of a Zipf law over 50,000 made words, an eighth of them numbers that hardly
come twice. `cold` is ours with nothing remembered, as each window's process starts; `warm` a second pass over other
notes of the same kind. Ours is one thread; the library is given one, and then all.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from tokenizers import Tokenizer  # noqa: E402

from lib import shards, tokens, vocabulary  # noqa: E402


def drawn_notes(number: int, words: int, seed: int = 0) -> list[str]:
    """Notes of about `words` words, a line each 15."""
    source = random.Random(seed)
    letters = [
        "ca",
        "di",
        "o",
        "pa",
        "thy",
        "neph",
        "ro",
        "tic",
        "he",
        "mo",
        "glo",
        "bin",
        "st",
        "en",
        "al",
        "um",
        "er",
        "is",
    ]
    known = ["".join(source.choices(letters, k=source.choice([1, 1, 2, 2, 3, 4, 5]))) for _ in range(50_000)]
    weights = [1 / rank for rank in range(1, len(known) + 1)]
    notes = []
    for _ in range(number):
        length = round(source.gauss(words, words / 10))
        drawn = source.choices(known, weights, k=length)
        drawn = [str(source.randrange(10**6)) if source.random() < 0.125 else word for word in drawn]
        notes.append(".\n".join(" ".join(drawn[start : start + 15]) for start in range(0, length, 15)))
    return notes


def trained(notes: list[str], size: int) -> Tokenizer:
    words = vocabulary.Words()
    counts = vocabulary.PatientCounts(min_patients=5)
    for patient, note in enumerate(notes):
        counts.add(patient, words.count(note))
    alphabet, inner = vocabulary.characters(words, counts.kept, size)
    tokenizer = vocabulary.assemble(vocabulary.learn(counts.kept, alphabet, inner, size), words)
    tokenizer.encode_special_tokens = True
    return tokenizer


def library(tokenizer: Tokenizer, max_tokens: int) -> Callable[[list[str]], list[list[int]]]:
    full = Tokenizer.from_str(tokenizer.to_str())
    full.encode_special_tokens = True
    full.enable_truncation(max_tokens)
    step = shards.ROW_GROUP_ROWS
    return lambda notes: [
        encoding.ids
        for start in range(0, len(notes), step)
        for encoding in full.encode_batch(notes[start : start + step])
    ]


def timed(encode: Callable[[list[str]], list[list[int]]], notes: list[str]) -> tuple[float, list[list[int]]]:
    start = time.perf_counter()
    ids = encode(notes)
    return len(notes) / (time.perf_counter() - start), ids


def measure(options: argparse.Namespace) -> dict[str, float]:
    """One round in this process: notes/s each way."""
    if options.texts:
        texts = shards.read_parquet(Path(options.texts[0]), [options.texts[1]])[options.texts[1]].to_pylist()
        notes = [text for text in dict.fromkeys(texts) if text]
        random.Random(0).shuffle(notes)
    else:
        notes = drawn_notes(2 * options.notes, options.words)
    first, second = notes[: len(notes) // 2], notes[len(notes) // 2 :]
    tokenizer = trained(notes, 8_000)
    encoder = tokens.Encoder(tokenizer, options.max_tokens)
    whole = library(tokenizer, options.max_tokens)
    rates = {}
    rates["library"], expected = timed(whole, first)
    rates["ours, cold"], ids = timed(lambda notes: [encoder.read(note)[0] for note in notes], first)
    assert ids == expected
    _, expected = timed(whole, second)
    rates["ours, warm"], ids = timed(lambda notes: [encoder.read(note)[0] for note in notes], second)
    assert ids == expected
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=2_000)
    parser.add_argument("--words", type=int, default=900)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", nargs=2, metavar=("FILE", "COLUMN"), help="a Parquet file of texts instead")
    parser.add_argument("--one", action="store_true", help="one round in this process, as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
        return
    for threads, parallel in (("one thread", "false"), (f"{os.cpu_count()} threads", "true")):
        environment = os.environ | {"TOKENIZERS_PARALLELISM": parallel}
        command = [sys.executable, __file__, *sys.argv[1:], "--one"]
        rounds = [
            json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(options.rounds)
        ]
        print(f"library on {threads}; ids equal")
        for way in rounds[0]:
            ratios = sorted(one[way] / one["library"] for one in rounds)
            rate = statistics.median(one[way] for one in rounds)
            print(f"  {way:<12} {rate:8,.0f} notes/s  {ratios[0]:5.2f} to {ratios[-1]:5.2f} times the library")


if __name__ == "__main__":
    main()
