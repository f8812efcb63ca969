"""The pretokenize stage: clean notes to Arrow streams of ids that equal the library's own."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import pretokenize
from lib import shards, stage, vocabulary

VOCABULARY = ("the", "patient", "denies", "chest", "pain", "no", "prior", "history", "of", "diabetes", "metformin")
COLUMNS = ["visit_id", "note_id", "person_id", "index_time", "text_hash", "input_ids", "truncated"]


def notes(number: int) -> list[str]:
    drawn = random.Random(7)
    dirt = ["", " ", "\n", "[SEP]", "中文", "é", "\x00", "a" * 120, "unheard"]
    made = [" ".join(drawn.choices([*VOCABULARY, *dirt], k=drawn.choice([1, 5, 20, 60, 200]))) for _ in range(number)]
    return ["", "\u0301\x01", *made][:number]


def clean_table(texts: Sequence[str | None], key: pa.DataType) -> pa.Table:
    ids = [str(n) if pa.types.is_string(key) else n for n in range(len(texts))]
    times = [datetime(2015, 1, 1) + timedelta(minutes=n) for n in range(len(texts))]
    return pa.table(
        {
            "visit_id": pa.array(ids, key),
            "note_id": pa.array(ids, key),
            "person_id": pa.array(ids[::-1], key),
            "index_time": pa.array(times, pa.timestamp("us")),
            "text": pa.array(texts, pa.string()),
            "text_hash": pa.array([n.to_bytes(16) for n in range(len(texts))], pa.binary(16)),
        }
    )


def run(folder: Path, table: pa.Table, max_tokens: int, tokenizer: Tokenizer, row_group: int = 1_000) -> dict:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    pq.write_table(table, folder / "clean.parquet", row_group_size=row_group)
    files = {"shard": folder / "clean.parquet", "tokenizer": folder / "tokenizer.json"}
    files |= {"tokens": folder / "2015.arrow", "manifest": folder / "2015.json"}
    pretokenize.main(stage.Job({"max_tokens": max_tokens}, files))
    return shards.read_json(folder / "2015.json")


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    words = vocabulary.Words()
    counts = words.count(" ".join(VOCABULARY * 3))
    alphabet, inner = vocabulary.characters(words, counts, 300)
    return vocabulary.assemble(vocabulary.learn(counts, alphabet, inner, 300), words)


@pytest.mark.parametrize("key", [pa.int64(), pa.string()], ids=str)
def test_rows_ids_and_counts(tmp_path: Path, wordpiece: Tokenizer, key: pa.DataType) -> None:
    texts = notes(2_300)
    table = clean_table(texts, key)
    manifest = run(tmp_path, table, 32, wordpiece)
    made = shards.read_arrow(tmp_path / "2015.arrow")
    assert made.schema.names == COLUMNS
    assert made.schema.field("input_ids").type == pa.list_(pa.uint16())
    assert made.select(COLUMNS[:5]).equals(table.select(COLUMNS[:5]))

    library = Tokenizer.from_str(wordpiece.to_str())
    library.encode_special_tokens = True
    full = [encoding.ids for encoding in library.encode_batch(texts)]
    library.enable_truncation(32)
    expected = [encoding.ids for encoding in library.encode_batch(texts)]
    assert made["input_ids"].to_pylist() == expected
    assert made["truncated"].to_pylist() == [len(ids) > 32 for ids in full]

    assert manifest["rows"] == 2_300
    assert manifest["counts"] == {
        "truncated": sum(len(ids) > 32 for ids in full),
        "tokens": sum(map(len, expected)),
        "unknown_tokens": sum(ids.count(1) for ids in expected),
    }
    assert manifest["counts"]["truncated"] > 500 and manifest["counts"]["unknown_tokens"] > 500
    assert manifest["longest"] == 32 and manifest["max_tokens"] == 32
    assert manifest["tokenizer_sha256"] == shards.sha256(tmp_path / "tokenizer.json")
    assert ["input_ids", "list<item: uint16>"] in manifest["schema"]


def test_bytes_do_not_depend_on_how_the_rows_came(tmp_path: Path, wordpiece: Tokenizer) -> None:
    table = clean_table(notes(2_100), pa.int64())
    one, other = run(tmp_path / "a", table, 16, wordpiece), run(tmp_path / "b", table, 16, wordpiece, row_group=37)
    assert one == other
    assert (tmp_path / "a" / "2015.json").read_bytes() == (tmp_path / "b" / "2015.json").read_bytes()


def test_a_large_vocabulary_takes_32_bits(tmp_path: Path) -> None:
    words = {"[UNK]": 0} | {f"w{n}": n for n in range(1, 70_000)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    run(tmp_path, clean_table(["w69999 w3 other"], pa.int64()), 8, tokenizer)
    made = shards.read_arrow(tmp_path / "2015.arrow")
    assert made.schema.field("input_ids").type == pa.list_(pa.uint32())
    assert made["input_ids"].to_pylist() == [[69_999, 3, 0]]


def test_a_window_without_notes(tmp_path: Path, wordpiece: Tokenizer) -> None:
    manifest = run(tmp_path, clean_table([], pa.int64()), 16, wordpiece)
    assert manifest["rows"] == 0 and manifest["counts"]["tokens"] == 0
    made = shards.read_arrow(tmp_path / "2015.arrow")
    assert made.num_rows == 0 and made.schema.names == COLUMNS


def test_datasets_maps_it(tmp_path: Path, wordpiece: Tokenizer) -> None:
    run(tmp_path, clean_table(notes(1_500), pa.int64()), 16, wordpiece)
    from datasets import Dataset

    mapped = Dataset.from_file(str(tmp_path / "2015.arrow"))
    assert mapped.features["input_ids"].feature.dtype == "uint16"
    assert mapped["input_ids"][:] == shards.read_arrow(tmp_path / "2015.arrow")["input_ids"].to_pylist()


def test_null_texts_and_missing_columns_are_refused(tmp_path: Path, wordpiece: Tokenizer) -> None:
    table = clean_table(["pain", None, None], pa.int64())
    with pytest.raises(stage.StageError, match="2 null texts"):
        run(tmp_path, table, 16, wordpiece)
    with pytest.raises(stage.StageError, match="lacks text_hash"):
        run(tmp_path, table.drop_columns(["text_hash"]), 16, wordpiece)
    assert not (tmp_path / "2015.arrow").exists() and not (tmp_path / "2015.json").exists()


def test_as_a_command_and_without_transformers(tmp_path: Path, wordpiece: Tokenizer) -> None:
    """Start-up counts: hundreds of windows, a process each."""
    manifest = run(tmp_path / "here", clean_table(notes(50), pa.int64()), 16, wordpiece)
    folder = tmp_path / "here"
    inputs = ["--shard", str(folder / "clean.parquet"), "--tokenizer", str(folder / "tokenizer.json")]
    outputs = ["--tokens", str(tmp_path / "2015.arrow"), "--manifest", str(tmp_path / "2015.json")]
    settings = ["--settings", json.dumps({"max_tokens": 16}), "--code", "test"]
    command = [sys.executable, "-X", "importtime", str(Path(pretokenize.__file__)), *settings, *inputs, *outputs]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2_000:]
    assert shards.read_json(tmp_path / "2015.json") == manifest
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time")]
    imported = {line.rsplit("|", 1)[-1].strip() for line in lines}
    assert "tokenizers" in imported
    assert not imported & {"transformers", "torch", "datasets"}
