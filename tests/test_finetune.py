"""Finetuning: what it publishes, that it is the same each time, and that being killed changes nothing.

In several processes, on several devices and nodes: `test_finetune_processes.py`.
"""

import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import command
import pickles
import tiny
from lib import shards, stage

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "finetune.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def reference(data, tmp_path_factory):
    """An uninterrupted run that stops early in a later epoch; its folder."""
    out = tmp_path_factory.mktemp("reference")
    assert tiny.run(tiny.settings(), tiny.files(data, out), out / "run.log") == 0, (out / "run.log").read_text()
    return out


def test_what_is_published_loads_and_has_learnt(data, reference):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(reference)
    assert model.config.id2label == {0: "no", 1: "yes"}
    tokenizer = AutoTokenizer.from_pretrained(reference)
    assert tokenizer("w0 w17 [SEP] w194")["input_ids"][:3] == [2, 5, 22]
    assert tokenizer("[SEP]")["input_ids"].count(3) == 1, "a literal [SEP] in a note is text"
    assert tokenizer.model_max_length == tiny.MAX_TOKENS and tokenizer.pad_token_id == 0
    history = shards.read_json(reference / "history.json")
    assert history["best"]["tuning_auroc"] > 0.9
    assert history["processes"] == [{"from_step": 0, "processes": 1}]
    assert history["stopped_early"] and 18 < history["steps"]["taken"] < history["steps"]["planned"] == 48
    scores = [evaluation["tuning_auroc"] for evaluation in history["evaluations"]]
    assert scores.index(max(scores)) == len(scores) - 1 - 3, "stops after 3 evaluations that were no better"
    assert [evaluation["step"] for evaluation in history["evaluations"]][:4] == [3, 6, 9, 12]


def test_manifest_counts_and_holds_no_path(data, reference):
    manifest = shards.read_json(reference / "manifest.json")
    assert (manifest["kind"], manifest["rows"], manifest["persons"]) == ("transformer", 91, 46)
    labels = shards.read_arrow(data / "train.arrow", ["label"])["label"].to_pylist()
    assert manifest["classes"] == {"no": labels.count(0), "yes": labels.count(1)}
    assert set(manifest["files"]) == set(tiny.OUTPUTS) - {"manifest.json"}
    for name, facts in manifest["files"].items():
        assert facts["sha256"] == shards.sha256(reference / name)
    for name, content in tiny.published(reference).items():
        assert str(reference).encode() not in content and b"/tmp" not in content, name


def test_the_best_step_is_published_not_the_last(reference):
    history = shards.read_json(reference / "history.json")
    assert history["best"]["step"] < history["steps"]["taken"]
    assert history["last_weights_sha256"] != shards.sha256(reference / "model.safetensors")
    assert history["best"] == max(history["evaluations"], key=lambda e: e["tuning_auroc"])


def test_the_same_bytes_in_another_folder(data, reference, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    assert tiny.run(tiny.settings(), tiny.files(moved, tmp_path / "out"), tmp_path / "log") == 0
    assert tiny.published(tmp_path / "out") == tiny.published(reference)


KILLS = [
    [("step", 2)],  # before the first checkpoint
    [("step", 8), ("step", 11)],  # second epoch, between two checkpoints; third epoch
    [("evaluate", 4)],
    [("save", 1), ("save", 4), ("save", 1)],  # the same checkpoint is cut off twice
    [("step", 20), ("finish", 1), ("publish", 1)],
]


@pytest.mark.parametrize("kills", KILLS, ids=lambda kills: ",".join(f"{place}{n}" for place, n in kills))
def test_killed_and_resumed_ends_with_the_same_bytes(data, reference, tmp_path, kills):
    """history.json holds the hash of the last step's weights: the best step alone could lie before the kill."""
    files = tiny.files(data, tmp_path / "out")
    for kill in kills:
        assert tiny.run(tiny.settings(), files, tmp_path / "log", kill=kill) == -signal.SIGKILL
        assert not (tmp_path / "out" / "manifest.json").exists()
    assert tiny.run(tiny.settings(), files, tmp_path / "log") == 0
    assert tiny.published(tmp_path / "out") == tiny.published(reference)


def test_killed_from_outside_at_any_moment(data, reference, tmp_path):
    files = tiny.files(data, tmp_path / "out")
    draw = random.Random()  # not seeded: each run of the tests tries other moments
    for step in (6, 15, 27):
        child = tiny.start(tiny.settings(), files, tmp_path / "log")
        while not list((tmp_path / "out").glob(f"work/*/checkpoint-{step}")):
            time.sleep(0.001)
            assert child.is_alive(), (tmp_path / "log").read_text()
        time.sleep(draw.uniform(0, 0.1))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert tiny.run(tiny.settings(), files, tmp_path / "log") == 0
    assert tiny.published(tmp_path / "out") == tiny.published(reference)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_at_the_end_of_the_step_and_publishes_nothing(data, reference, tmp_path, number):
    files = tiny.files(data, tmp_path / "out")
    assert tiny.run(tiny.settings(), files, tmp_path / "log", kill=("step", 11), send=number) == 75
    assert not list((tmp_path / "out").glob("*.json"))
    assert [path.name for path in next((tmp_path / "out" / "work").iterdir()).glob("checkpoint-11")]
    assert tiny.run(tiny.settings(), files, tmp_path / "log") == 0
    assert "going on from checkpoint-11" in (tmp_path / "log").read_text()
    assert tiny.published(tmp_path / "out") == tiny.published(reference)


@pytest.mark.parametrize("damage", ["random_0.json", "optimizer.safetensors", "model.safetensors"])
def test_a_damaged_checkpoint_is_left_for_the_one_before(data, reference, tmp_path, damage):
    """Without the first, the library would resume without a word, into other weights."""
    files = tiny.files(data, tmp_path / "out")
    assert tiny.run(tiny.settings(), files, tmp_path / "log", kill=("step", 14)) == -signal.SIGKILL
    checkpoint = next((tmp_path / "out" / "work").glob("*/checkpoint-12"))
    if damage == "model.safetensors":
        content = bytearray((checkpoint / damage).read_bytes())
        content[-3] ^= 1
        (checkpoint / damage).write_bytes(content)
    else:
        (checkpoint / damage).unlink()
    assert tiny.run(tiny.settings(), files, tmp_path / "log") == 0
    log = (tmp_path / "log").read_text()
    assert f"left checkpoint-12: {damage}" in log and "going on from checkpoint-9" in log
    assert tiny.published(tmp_path / "out") == tiny.published(reference)


def test_a_full_disk_is_told_and_keeps_the_checkpoint_before(data, reference, tmp_path):
    files = tiny.files(data, tmp_path / "out")
    assert tiny.run(tiny.settings(), files, tmp_path / "log", kill=("full", 4)) == 1
    said = (tmp_path / "log").read_text()
    assert "error: checkpoint-12 could not be saved (" in said and "File too large" in said
    assert {path.name for path in (tmp_path / "out" / "work").glob("*/checkpoint-*")} >= {"checkpoint-9"}
    assert not list((tmp_path / "out" / "work").glob("*/checkpoint-12"))
    assert tiny.run(tiny.settings(), files, tmp_path / "log") == 0
    assert "going on from checkpoint-9" in (tmp_path / "log").read_text()
    assert tiny.published(tmp_path / "out") == tiny.published(reference)


def test_checkpoints_are_pruned_and_go_when_finished(data, reference, tmp_path):
    assert not list((reference / "work").glob("*/checkpoint-*"))
    files = tiny.files(data, tmp_path / "out")
    assert tiny.run(tiny.settings(patience=99), files, tmp_path / "log", kill=("step", 35)) == -signal.SIGKILL
    folder = next((tmp_path / "out" / "work").iterdir())
    steps = {int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*")}
    evaluations = shards.read_json(folder / "checkpoint-33" / "history.json")["evaluations"]
    best = max(evaluations, key=lambda e: e["tuning_auroc"])["step"]
    assert steps == {33, 30, best} and best < 30
    assert pickles.found_in(folder) == []


def test_a_finished_training_is_published_again_without_training(data, reference, tmp_path):
    files = tiny.files(data, tmp_path / "out", work=reference / "work")
    assert tiny.run(tiny.settings(), files, tmp_path / "log", kill=("step", 1)) == 0
    assert "nothing to train" in (tmp_path / "log").read_text()
    assert tiny.published(tmp_path / "out") == tiny.published(reference)


def test_other_settings_or_data_never_meet_another_trainings_checkpoints(data, tmp_path):
    """A changed key and a changed row each get a folder of their own, and going back finds the old one."""
    work, log = tmp_path / "work", tmp_path / "log"
    changed = tiny.dataset(tmp_path / "changed", rows=92)
    jobs = [(tiny.settings(), data), (tiny.settings(learning_rate=0.002), data), (tiny.settings(), changed)]
    for i, (settings, folder) in enumerate(jobs):
        files = tiny.files(folder, tmp_path / str(i), work=work)
        assert tiny.run(settings, files, log, kill=("step", 5)) == -signal.SIGKILL
    assert len(list(work.iterdir())) == 3 and "going on" not in log.read_text()
    assert tiny.run(*jobs[0][:1], tiny.files(data, tmp_path / "0", work=work), log, kill=("step", 1)) == -signal.SIGKILL
    assert log.read_text().count("going on from checkpoint-3") == 1


def test_several_classes_a_subset_and_another_seed(tmp_path):
    data = tiny.dataset(tmp_path / "data", rows=200, classes=4, text_ids=True)
    aurocs = []
    for shuffle in (False, True):
        settings = tiny.settings(classes=4, learning_rate=0.005, epochs=8, shuffle_labels=shuffle)
        settings |= {"size": 150, "seed": 3}
        out = tmp_path / str(shuffle)
        assert tiny.run(settings, tiny.files(data, out), out / "run.log") == 0, (out / "run.log").read_text()
        manifest = shards.read_json(out / "manifest.json")
        assert (manifest["rows"], manifest["shuffled_labels"]) == (150, shuffle)
        assert manifest["tuning"]["metric"] == "auroc_ovr_macro"
        aurocs.append(manifest["tuning"]["value"])
    assert aurocs[0] > 0.8 > aurocs[1], "labels permuted: nothing to learn"


def test_starts_from_a_local_folder_with_a_head_of_its_own(reference, tmp_path):
    data = tiny.dataset(tmp_path / "data", rows=60, classes=3)
    settings = tiny.settings(classes=3, epochs=1) | {"model": {"start": {"folder": True}}}
    files = tiny.files(data, tmp_path / "out") | {"start": [p for p in sorted(reference.iterdir()) if p.is_file()]}
    assert tiny.run(settings, files, tmp_path / "log") == 0, (tmp_path / "log").read_text()
    weights = tiny.weights(tmp_path / "out")
    assert weights["classifier.weight"].shape == (3, 32)
    embeddings = "bert.embeddings.word_embeddings.weight"
    assert 0 < np.abs(weights[embeddings] - tiny.weights(reference)[embeddings]).max() < 0.05


def _fails(data, tmp_path, settings, message, **files):
    assert tiny.run(settings, tiny.files(data, tmp_path / "out") | files, tmp_path / "log") == 1
    assert message in (tmp_path / "log").read_text()


def test_errors_say_what_to_do(data, tmp_path):
    _fails(data, tmp_path, tiny.settings() | {"size": 92}, "a training size of 92 of 91 training rows")
    _fails(data, tmp_path, tiny.settings(precision="bf16"), "use auto or fp32")
    _fails(data, tmp_path, tiny.settings(), "no rows in tuning", tuning=data / "calibration.arrow")
    _fails(data, tmp_path, tiny.settings(learning_rate=1e30, gradient_clipping=1e30), "the training diverged")
    task = {"task": {"kind": "bins", "classes": 1, "class_names": ["one"]}}
    _fails(data, tmp_path, tiny.settings() | task, "labels are outside 0..0")
    folder = {"model": {"start": {"folder": True}}}
    _fails(data, tmp_path, tiny.settings() | folder, "no config.json", start=sorted(data.iterdir()))
    hub = {"hub": "nobody/nothing", "revision": "0" * 40}
    _fails(data, tmp_path, tiny.settings() | {"model": {"start": hub}}, "snakemake fetch_models")
    table = shards.read_arrow(data / "train.arrow").drop_columns(["input_ids"])
    shards.write_arrow(tmp_path / "text.arrow", table.schema, [table])
    _fails(data, tmp_path, tiny.settings(), "no column input_ids", train=tmp_path / "text.arrow")


def test_several_visible_devices_without_a_launcher_are_refused(monkeypatch):
    from lib import trainer

    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(stage.StageError, match="2 GPUs are visible"):
        trainer.prepare_device(1)


def test_as_a_command(data, reference, tmp_path):
    files = tiny.files(data, tmp_path / "out", work=tmp_path / "work")
    said = command.run(SCRIPT, stage.Job(tiny.settings(), files, code="abc"))
    assert "tuning AUROC" in said and "Warning" not in said
    expected = tiny.published(reference)
    assert {name: content for name, content in tiny.published(tmp_path / "out").items() if name in expected} == expected
