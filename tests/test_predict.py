"""Predictions: their columns and order, who was seen, and that kinds and sizes cannot be mixed up."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import command
import predict
import tiny
from lib import devices, shards
from lib.stage import Job, StageError

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PARTS = ["tuning", "calibration", "test"]


@pytest.fixture(scope="module", params=[False, True], ids=["integer", "text"])
def fitted(request, tmp_path_factory):
    """(data, model folder) of a finetune on 60 of 91 rows, with integer and with text ids."""
    data = tiny.dataset(tmp_path_factory.mktemp("data"), text_ids=request.param)
    out = tmp_path_factory.mktemp("model")
    settings = tiny.settings(epochs=5) | {"size": 60, "seed": 2}
    assert tiny.run(settings, tiny.files(data, out), out / "run.log") == 0, (out / "run.log").read_text()
    return data, out


def _job(data, model, out, **settings):
    known = {"kind": "transformer", "size": 60, "seed": 2, "classes": 2, "batch_size": 16, "cpu_threads": 1}
    files = {
        "model": [model / name for name in tiny.OUTPUTS],
        "parts": [data / f"{part}.arrow" for part in PARTS],
        "train": data / "train.arrow",
        "openings": out / "private" / "openings.jsonl",
        "predictions": [out / f"{part}.parquet" for part in PARTS],
        "manifest": out / "manifest.json",
    }
    return Job(known | settings, files)


@pytest.fixture(scope="module")
def predicted(fitted, tmp_path_factory):
    out = tmp_path_factory.mktemp("predicted")
    predict.main(_job(*fitted, out))
    return out


def _probabilities(path):
    table = shards.read_parquet(path)
    return np.column_stack([table[f"p_{k}"].to_numpy() for k in range(2)])


def test_rows_stay_in_order_and_carry_their_keys(fitted, predicted):
    for part in PARTS:
        source, table = (
            shards.read_arrow(fitted[0] / f"{part}.arrow"),
            shards.read_parquet(predicted / f"{part}.parquet"),
        )
        keys = ["visit_id", "note_id", "person_id", "index_time", "label"]
        assert table.select(keys).equals(source.select(keys))
        assert table.column_names == [*keys[:4], "seen", "label", "p_0", "p_1"]
        assert table.schema.field("p_0").type == pa.float64() and table.schema.field("seen").type == pa.bool_()
    assert shards.read_parquet(predicted / "calibration.parquet").num_rows == 0


def test_probabilities_are_those_of_the_library_one_note_at_a_time(fitted, predicted):
    import torch
    from transformers import AutoModelForSequenceClassification

    data, model = fitted
    p = _probabilities(predicted / "test.parquet")
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-15
    reference = AutoModelForSequenceClassification.from_pretrained(model).eval()
    notes = shards.read_arrow(data / "test.arrow")["input_ids"].to_pylist()
    with torch.inference_mode():
        logits = torch.cat([reference(input_ids=torch.tensor([note])).logits for note in notes])
    assert np.abs(p - logits.double().softmax(1).numpy()).max() < 1e-6
    labels = shards.read_arrow(data / "test.arrow")["label"].to_numpy()
    assert p[labels == 1, 1].mean() > p[labels == 0, 1].mean()


def test_tuning_predictions_have_the_auroc_of_the_models_history(fitted, predicted):
    from sklearn.metrics import roc_auc_score

    labels = shards.read_parquet(predicted / "tuning.parquet")["label"].to_numpy()
    best = shards.read_json(fitted[1] / "history.json")["best"]
    assert roc_auc_score(labels, _probabilities(predicted / "tuning.parquet")[:, 1]) == pytest.approx(
        best["tuning_auroc"], abs=1e-9
    )


def test_seen_is_a_patient_with_a_row_in_this_models_training_set(fitted, predicted):
    from lib import subsets

    train = shards.read_arrow(fitted[0] / "train.arrow")
    persons = train.column("person_id").to_pylist()
    trained = {persons[i] for i in subsets.subset(train.column("note_id"), 60, 2)}
    table = shards.read_parquet(predicted / "test.parquet").to_pydict()
    expected = [person in trained for person in table["person_id"]]
    assert table["seen"] == expected and 0 < sum(expected) < sum(p in set(persons) for p in table["person_id"])


def test_an_opening_of_the_test_is_entered_before_it_is_predicted(fitted, tmp_path):
    job = _job(*fitted, tmp_path / "t" / "m" / "60-2")
    job.neutral["config"] = "abc"
    predict.main(job)
    entered = list(shards.read_json_lines(job.path("openings")))
    assert [{k: one[k] for k in ("task", "model", "seed", "parts", "config")} for one in entered] == [
        {"task": "t", "model": "m", "seed": 2, "parts": ["test"], "config": "abc"}
    ]
    job.files["parts"][-1] = tmp_path / "test.arrow"
    with pytest.raises(FileNotFoundError):
        predict.main(job)
    assert len(list(shards.read_json_lines(job.path("openings")))) == 2
    closed = _job(*fitted, tmp_path / "closed")
    for name in ("parts", "predictions"):
        closed.files[name] = closed.files[name][:2]
    predict.main(closed)
    assert not closed.path("openings").exists()


def test_manifest_and_equal_bytes(fitted, predicted, tmp_path):
    predict.main(_job(*fitted, tmp_path))
    manifest = shards.read_json(predicted / "manifest.json")
    assert manifest["parts"]["tuning.parquet"] == {"rows": 60, "seen": 0} and manifest["rows"] == 110
    for name, facts in manifest["files"].items():
        assert facts["sha256"] == shards.sha256(tmp_path / name)
    assert (tmp_path / "manifest.json").read_bytes() == (predicted / "manifest.json").read_bytes()


def test_another_batch_size_moves_no_probability_by_a_millionth(fitted, predicted, tmp_path):
    predict.main(_job(*fitted, tmp_path, batch_size=7))
    difference = _probabilities(tmp_path / "test.parquet") - _probabilities(predicted / "test.parquet")
    assert np.abs(difference).max() < 1e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "tfidf"}, "the model's manifest tells of another kind than tfidf"),
        ({"size": "all"}, "the model's manifest tells of another size than all"),
        ({"seed": 0}, "the model's manifest tells of another seed than 0"),
        ({"classes": 3}, "the model has 2 classes, the task 3"),
    ],
)
def test_a_model_other_than_asked_for_is_refused(fitted, tmp_path, settings, message):
    with pytest.raises(StageError, match=message):
        predict.main(_job(*fitted, tmp_path, **settings))


def test_it_sees_one_gpu_of_the_machine_and_a_baseline_none(fitted, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    seen = []
    monkeypatch.setattr(predict, "_write", lambda _: seen.append(devices.visible()))
    for kind in ("transformer", "tfidf"):
        predict.main(_job(*fitted, tmp_path, kind=kind))
    assert [len(names) for names in seen] == [1, 0]
    assert devices.visible() == ["0", "1"]


def test_ids_beyond_the_vocabulary_are_refused(fitted, tmp_path):
    data, model = fitted
    table = shards.read_arrow(data / "test.arrow")
    ids = pa.array([[2, 200, 3]] * table.num_rows, pa.list_(pa.uint16()))
    table = table.set_column(table.schema.get_field_index("input_ids"), "input_ids", ids)
    shards.write_arrow(tmp_path / "test.arrow", table.schema, [table])
    job = _job(data, model, tmp_path)
    job.files["parts"][-1] = tmp_path / "test.arrow"
    with pytest.raises(StageError, match="token ids beyond the model's vocabulary, which goes to 199"):
        predict.main(job)


def test_a_baseline_is_predicted_by_its_module_without_torch(fitted, tmp_path):
    """In a process of its own, which would take a second longer to start with torch."""
    import baseline

    draw = np.random.default_rng(0)
    for part in ("train", *PARTS):
        table = shards.read_arrow(fitted[0] / f"{part}.arrow").drop_columns(["input_ids", "truncated"])
        notes = [["no", "yes"][y] + f" note of {draw.integers(9)} words" for y in table["label"].to_pylist()]
        table = table.append_column("text", pa.array(notes, pa.string()))
        shards.write_arrow(tmp_path / f"{part}.arrow", table.schema, [table])
    model = tmp_path / "model"
    names = {"model": "model.json", "weights": "model.safetensors", "manifest": "manifest.json"}
    files = {part: tmp_path / f"{part}.arrow" for part in ("train", "tuning")}
    settings = {"kind": "tfidf", "size": 60, "seed": 2, "task": tiny.settings()["task"], "c_grid": [1.0]}
    settings |= {"tfidf": {"ngrams": [1, 1], "min_patients": 2, "max_terms": 50}, "shuffle_labels": False}
    baseline.main(Job(settings, files | {output: model / name for output, name in names.items()}))

    job = _job(tmp_path, model, tmp_path / "out", kind="tfidf")
    job.files["model"] = [model / name for name in names.values()]
    program = "import sys, json, predict; from lib.stage import Job; predict.main(Job(*json.loads(sys.argv[1])))"
    argument = json.dumps([job.settings, job.files], default=str)
    command = [sys.executable, "-c", f"{program}; sys.exit('torch' in sys.modules)", argument]
    done = subprocess.run(command, env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    table = shards.read_parquet(tmp_path / "out" / "test.parquet")
    assert table.column_names[-4:] == ["seen", "label", "p_0", "p_1"]
    assert ((table["p_1"].to_numpy() > 0.5) == table["label"].to_numpy()).all()


def test_as_a_command(fitted, predicted, tmp_path):
    job = _job(*fitted, tmp_path)
    said = command.run(SCRIPTS / "predict.py", job)
    assert "Warning" not in said and "it/s" not in said
    for path in predicted.glob("*.*"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
