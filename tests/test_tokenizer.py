"""The tokenizer stage: trained on training rows only, the same bytes every time, no rare word; or a pretrained one."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import tokenizer
from lib import shards, stage

SETTINGS = {"kind": "wordpiece", "vocab_size": 400, "min_patients": 3, "lowercase": True}
SENTENCES = [
    "Patient denies chest pain and shortness of breath.",
    "No prior history of diabetes; metformin 500 mg daily.",
    "Admitted with fevers, chills and productive cough.",
    "Warfarin resumed, café visit, BP 120/80.",
]


def write_window(folder: Path, name: str, rows: list[tuple], key: pa.DataType, year: int = 2012) -> tuple[Path, Path]:
    """A window's clean and split shards from (visit, person, part, text)."""
    as_key = str if pa.types.is_string(key) else int
    visits, persons = [as_key(row[0]) for row in rows], [as_key(row[1]) for row in rows]
    clean = {"visit_id": pa.array(visits, key), "note_id": pa.array(visits, key), "person_id": pa.array(persons, key)}
    clean |= {"index_time": pa.array([datetime(year, 3, 1)] * len(rows), pa.timestamp("us"))}
    clean |= {"text": pa.array([row[3] for row in rows], pa.string())}
    parts = pa.array([row[2] for row in rows], pa.string())
    split = {"visit_id": clean["visit_id"], "person_id": clean["person_id"], "part": parts, "key_part": parts}
    paths = folder / "clean" / f"{name}.parquet", folder / "split" / f"{name}.parquet"
    for path, columns in zip(paths, (clean, split), strict=True):
        table = pa.table(columns)
        shards.write_parquet(path, table.schema, [table])
    return paths


def corpus(folder: Path, key: pa.DataType = pa.int64()) -> dict[str, list[Path]]:  # noqa: B008
    """Two windows of two cohorts: 12 training patients, others whose words must not be read."""
    rows = [(n, n % 12, "train", " ".join(SENTENCES[: 1 + n % 4])) for n in range(40)]
    rows += [(100 + n, 50 + n, part, "Forbidden words") for n, part in enumerate(["tuning", "test"] * 10)]
    rows += [(200 + n, n % 2, "train", "Signed by Dr Zwqxøbt " * 9) for n in range(8)]  # two patients only
    first = write_window(folder, "discharge/2012", rows, key)
    late = [(300, 3, "temporal_test", "Forbidden future"), (301, 77, "calibration", "Forbidden too")]
    second = write_window(folder, "admission/2013", late, key, 2013)
    return {"clean": [first[0], second[0]], "split": [first[1], second[1]]}


def run(folder: Path, settings: dict, inputs: dict[str, list[Path]]) -> tuple[Tokenizer, dict]:
    made, manifest = folder / "t" / "tokenizer.json", folder / "t" / "manifest.json"
    tokenizer.main(stage.Job(settings, inputs | {"tokenizer": made, "manifest": manifest}))
    return Tokenizer.from_file(str(made)), shards.read_json(manifest)


@pytest.mark.parametrize("key", [pa.int64(), pa.string()], ids=str)
def test_trained_on_training_rows_only(tmp_path: Path, key: pa.DataType) -> None:
    trained, manifest = run(tmp_path, SETTINGS, corpus(tmp_path, key))
    entries = trained.get_vocab()
    assert {"patient", "metformin", "cough", "cafe", "120"} <= set(entries)
    assert not [term for term in entries if "forbid" in term or "future" in term]
    assert manifest["seen"] == {
        "parts": {"train": 48},
        "rows": 48,
        "patients": 12,
        "windows": [
            {"cohort": "discharge", "window": "2012", "rows": 48, "first_index_year": 2012, "last_index_year": 2012},
            {"cohort": "admission", "window": "2013", "rows": 0, "first_index_year": None, "last_index_year": None},
        ],
    }
    assert manifest["files"]["tokenizer.json"]["sha256"] == shards.sha256(tmp_path / "t" / "tokenizer.json")
    assert manifest["vocab_size"] == len(entries) <= 400
    assert manifest["words"]["dropped_few_patients"] == 4, "signed, by, dr and the name"


def test_a_rare_name_is_no_term_and_no_letter(tmp_path: Path) -> None:
    """The name has letters of its own: none of its pieces may be learned from two patients, all from two of two."""
    common, _ = run(tmp_path / "k2", SETTINGS | {"min_patients": 2}, corpus(tmp_path))
    rare, _ = run(tmp_path / "k3", SETTINGS, corpus(tmp_path))
    assert "zwqxøbt" in common.get_vocab() and "ø" in common.get_vocab()
    assert not [term for term in rare.get_vocab() if "ø" in term or "zw" in term or "qx" in term]
    assert "zwqxøbt" not in rare.to_str()
    assert rare.encode("Zwqxøbt", add_special_tokens=False).tokens == ["[UNK]"]


def test_accents_and_case_can_be_kept(tmp_path: Path) -> None:
    trained, _ = run(tmp_path, SETTINGS | {"lowercase": False}, corpus(tmp_path))
    assert {"Patient", "café"} <= set(trained.get_vocab())


def test_loads_with_its_special_tokens(tmp_path: Path) -> None:
    _, manifest = run(tmp_path, SETTINGS, corpus(tmp_path))
    from transformers import PreTrainedTokenizerFast

    path = str(tmp_path / "t" / "tokenizer.json")
    loaded = PreTrainedTokenizerFast(tokenizer_file=path, **manifest["special_tokens"])
    assert [loaded.pad_token_id, loaded.unk_token_id, loaded.cls_token_id, loaded.sep_token_id] == [0, 1, 2, 3]
    assert loaded.mask_token_id == 4 and loaded.vocab_size == manifest["vocab_size"]
    batch = loaded(["Patient denies", "No prior history of diabetes"], padding=True)["input_ids"]
    assert batch[0][0] == 2 and batch[0][-1] == 0 and len(batch[0]) == len(batch[1])
    assert loaded.decode(batch[1], skip_special_tokens=True) == "no prior history of diabetes"


def _command(folder: Path, inputs: dict[str, list[Path]]) -> list[str]:
    command = [sys.executable, str(Path(tokenizer.__file__)), "--settings", json.dumps(SETTINGS), "--code", "test"]
    command += ["--clean", *map(str, inputs["clean"]), "--split", *map(str, inputs["split"])]
    return [*command, "--tokenizer", str(folder / "tokenizer.json"), "--manifest", str(folder / "manifest.json")]


def _in_fresh_processes(folder: Path, times: int) -> set[tuple[str, str]]:
    """Digests of both outputs from trainings in processes with different hash seeds and thread counts."""
    inputs = corpus(folder)
    seen = set()
    for number in range(times):
        one = folder / str(number)
        one.mkdir()
        threads = {"PYTHONHASHSEED": str(number), "RAYON_NUM_THREADS": str(1 + number % 3)}
        result = subprocess.run(_command(one, inputs), env=os.environ | threads, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        seen.add((shards.sha256(one / "tokenizer.json"), shards.sha256(one / "manifest.json")))
    return seen


def test_the_same_bytes_from_four_fresh_processes(tmp_path: Path) -> None:
    assert len(_in_fresh_processes(tmp_path, 4)) == 1


@pytest.mark.slow
def test_the_same_bytes_from_eight_fresh_processes(tmp_path: Path) -> None:
    assert len(_in_fresh_processes(tmp_path, 8)) == 1


@pytest.mark.parametrize("order", ["swapped", "one missing"])
def test_windows_that_do_not_match_are_refused(tmp_path: Path, order: str) -> None:
    inputs = corpus(tmp_path)
    inputs["split"] = inputs["split"][::-1] if order == "swapped" else inputs["split"][:1]
    with pytest.raises(stage.StageError, match="same windows"):
        run(tmp_path, SETTINGS, inputs)


def test_rows_without_a_part_are_refused(tmp_path: Path) -> None:
    inputs = corpus(tmp_path)
    table = shards.read_parquet(inputs["split"][0])
    shards.write_parquet(inputs["split"][0], table.schema, [table.slice(0, 65)])
    with pytest.raises(stage.StageError, match=r"discharge/2012: 3 rows of clean have no part"):
        run(tmp_path, SETTINGS, inputs)


def test_no_word_of_enough_patients_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(stage.StageError, match="48 rows of 12 patients"):
        run(tmp_path, SETTINGS | {"min_patients": 13}, corpus(tmp_path))


NONE: dict[str, list[Path]] = {"clean": [], "split": []}


def pretrained_folder(folder: Path) -> Path:
    """A cased tokenizer as `save_pretrained` leaves it."""
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "<s>", "</s>", "Chest", "chest", "pain", ".", "."]
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(dict.fromkeys(words))}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", eos_token="</s>")
    fast.save_pretrained(folder)
    return folder


def test_a_pretrained_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = pretrained_folder(tmp_path / "model")
    taken, manifest = run(tmp_path, {"kind": "pretrained", "folder": str(folder)}, NONE)
    original = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in ("Chest pain.", "chest  pain, unknown", ""):
        assert taken.encode(text).ids == original.encode(text).ids
    assert manifest["seen"] == "not verifiable"
    assert manifest["special_tokens"] == {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"}
    assert manifest["vocab_size"] == 8


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"hub": "nobody/nothing", "revision": "a" * 40}, r"snakemake fetch_models"),
        ({"hub": "nobody/nothing", "revision": "main"}, "must be a commit"),
        ({"folder": "/no/such/folder"}, "folder is not there"),
    ],
    ids=["not fetched", "a branch", "no folder"],
)
def test_a_missing_pretrained_one_says_how_to_get_it(tmp_path: Path, source: dict, message: str) -> None:
    with pytest.raises(stage.StageError, match=message):
        run(tmp_path, {"kind": "pretrained"} | source, NONE)


def test_an_empty_folder_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(stage.StageError, match="folder model cannot be loaded"):
        run(tmp_path, {"kind": "pretrained", "folder": str(tmp_path / "model")}, NONE)
