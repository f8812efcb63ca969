from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import baseline
import command
from lib import baselines, shards, stage

SCRIPT = Path(baseline.__file__)
TASK = {"kind": "binary", "classes": 2, "class_names": ["stayed", "returned"]}
TFIDF = {"ngrams": [1, 2], "min_patients": 2, "max_terms": 500}
SETTINGS = {"kind": "tfidf", "task": TASK, "size": "all", "seed": 0, "tfidf": TFIDF, "c_grid": [0.1, 1]}


def dataset(path: Path, rows: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    texts = [f"patient {' '.join(rng.choice(['fever', 'cough', 'pain'], 3))} {'dyspnea' * k} unique{seed}x{i}"
             for i, k in enumerate(label)]  # fmt: skip
    ids = [f"n{i:04}" for i in range(rows)]
    table = pa.table(
        {"visit_id": ids, "note_id": ids, "person_id": ids, "label": label, "text": texts, "feature_age": 50.0 + label}
    )
    with shards.ArrowWriter(path, table.schema, compression="zstd") as writer:
        writer.write(table)
    return path


def job(folder: Path, settings: dict, name: str) -> stage.Job:
    parts = {part: folder / f"{part}.arrow" for part in ("train", "tuning")}
    for seed, path in enumerate(parts.values()):
        dataset(path, 80, seed)
    outputs = {"model": "model.json", "weights": "model.safetensors", "manifest": "manifest.json"}
    return stage.Job(settings, parts | {key: folder / name / file for key, file in outputs.items()})


@pytest.mark.parametrize("kind", ["tfidf", "structured"])
def test_a_run_on_the_command_line_gives_the_same_bytes(tmp_path, kind):
    settings = SETTINGS | {"kind": kind}
    direct, other = job(tmp_path, settings, "direct"), job(tmp_path, settings, "command")
    baseline.main(direct)
    command.run(SCRIPT, other)
    for name in ("model", "weights", "manifest"):
        assert direct.path(name).read_bytes() == other.path(name).read_bytes()
    tuning = shards.read_arrow(tmp_path / "tuning.arrow")
    p, label = baselines.predict(tmp_path / "command", tuning)[:, 1], tuning["label"].to_numpy()
    assert p[label == 1].min() > p[label == 0].max()


def test_the_manifest_says_what_is_there_and_no_term(tmp_path):
    direct = job(tmp_path, SETTINGS, "direct")
    baseline.main(direct)
    manifest = shards.read_json(direct.path("manifest"))
    assert manifest["kind"] == "tfidf"
    assert (manifest["rows"], manifest["persons"]) == (80, 80)
    assert manifest["terms"] == len(shards.read_json(direct.path("model"))["terms"])
    assert manifest["C"] in (0.1, 1)
    assert manifest["files"]["model.safetensors"]["sha256"] == shards.sha256(direct.path("weights"))
    assert "dyspnea" not in direct.path("manifest").read_text()
    assert "unique" not in direct.path("model").read_text()  # held by one person only


def test_a_failure_names_the_task_and_the_part(tmp_path):
    folder = tmp_path / "readmission" / "text"
    failing = job(folder, SETTINGS, "direct")
    empty = shards.read_arrow(dataset(folder / "tuning.arrow", 80, 1)).slice(0, 0)
    with shards.ArrowWriter(folder / "tuning.arrow", empty.schema) as writer:
        writer.write(empty)
    with pytest.raises(stage.StageError, match="readmission/text: the tuning part has no rows"):
        baseline.main(failing)
    assert not failing.path("manifest").exists()
