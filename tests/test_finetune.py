"""Finetuning: what it publishes, that it is the same each time, and that being killed changes nothing."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
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


def test_two_processes_never_train_in_one_folder(data, tmp_path):
    files = tiny.files(data, tmp_path / "out")
    first = tiny.start(tiny.settings(), files, tmp_path / "first", kill=("step", 3), send=signal.SIGSTOP)
    while not list((tmp_path / "out").glob("work/*/lock")):
        time.sleep(0.05)
    assert tiny.run(tiny.settings(), files, tmp_path / "second") == 1
    assert "another process is training" in (tmp_path / "second").read_text()
    first.kill()
    first.join()


def _weights(out):
    from safetensors.numpy import load_file

    return load_file(out / "model.safetensors")


def _largest_difference(one, other):
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


@pytest.fixture(scope="module")
def whole_batch(tmp_path_factory):
    """Dropout off, 16 examples at once, 40 steps with a short last batch, one evaluation: (settings, data, folder)."""
    data = tiny.dataset(tmp_path_factory.mktemp("long"), rows=39 * 16 + 3)
    out = tmp_path_factory.mktemp("whole")
    settings = tiny.settings(dropout=0.0, learning_rate=0.001, epochs=1, evaluations_per_epoch=1)
    assert tiny.run(settings, tiny.files(data, out), out / "run.log") == 0
    assert shards.read_json(out / "history.json")["best"]["step"] == 40
    return settings, data, out


@pytest.mark.parametrize("device_batch", [8, 5])
def test_accumulation_does_not_change_the_result(whole_batch, tmp_path, device_batch):
    settings, data, out = whole_batch
    settings = settings | {"training": settings["training"] | {"max_device_batch": device_batch}}
    assert tiny.run(settings, tiny.files(data, tmp_path / "out"), tmp_path / "log") == 0
    assert f"= {8 if device_batch == 8 else 4} x " in (tmp_path / "log").read_text()
    assert _largest_difference(_weights(out), _weights(tmp_path / "out")) < 1e-5
    losses = [
        [e["train_loss"] for e in shards.read_json(o / "history.json")["evaluations"]] for o in (out, tmp_path / "out")
    ]
    assert np.allclose(*losses, atol=1e-5)


def _two_processes(settings, data, folder, port):
    files = tiny.files(data, folder / "out")
    launcher = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    children = [
        tiny.start(settings, files, folder / f"log{r}", environment=launcher | {"RANK": str(r), "LOCAL_RANK": str(r)})
        for r in range(2)
    ]
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0], (folder / "log0").read_text()


@pytest.mark.parametrize("device_batch", [16, 4])
def test_two_processes_do_not_change_the_result(whole_batch, tmp_path, device_batch):
    settings, data, out = whole_batch
    settings = settings | {"training": settings["training"] | {"max_device_batch": device_batch}}
    _two_processes(settings, data, tmp_path, 29500 + device_batch)
    assert _largest_difference(_weights(out), _weights(tmp_path / "out")) < 1e-5
    one, two = (shards.read_json(o / "history.json")["evaluations"] for o in (out, tmp_path / "out"))
    for a, b in zip(one, two, strict=True):
        assert all(abs(a[k] - b[k]) < 1e-5 for k in ("train_loss", "tuning_loss", "tuning_auroc"))


def test_with_dropout_two_processes_differ_no_more_than_another_seed(tmp_path):
    data = tiny.dataset(tmp_path / "data", rows=300)

    def best(out):
        return [shards.read_json(out / "history.json")["best"][f"tuning_{name}"] for name in ("loss", "auroc")]

    seeds = []
    for seed in range(4):
        settings = tiny.settings(dropout=0.1, epochs=4, patience=40) | {"seed": seed}
        files = tiny.files(data, tmp_path / str(seed))
        assert tiny.run(settings, files, tmp_path / "log") == 0, (tmp_path / "log").read_text()
        seeds.append(best(tmp_path / str(seed)))
    _two_processes(settings, data, tmp_path, 29530)
    for value, others in zip(best(tmp_path / "out"), zip(*seeds, strict=True), strict=True):
        noise = max(others) - min(others)
        assert min(others) - noise < value < max(others) + noise, (value, others)


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_another_number_of_processes_goes_on_and_is_recorded(whole_batch, tmp_path, numbers):
    settings, data, out = whole_batch
    settings = settings | {"training": settings["training"] | {"evaluations_per_epoch": 4}}
    files, log = tiny.files(data, tmp_path / "out"), tmp_path / "log"
    for processes, send in zip(numbers, (signal.SIGTERM, None), strict=True):
        given = {"CUDA_VISIBLE_DEVICES": ",".join("01"[:processes]), "NOTECAST_GPUS": str(processes)}
        assert launched(settings, files, log, send, **given) == (75 if send else 0), log.read_text()
    history = shards.read_json(files["history"])
    assert [entry["processes"] for entry in history["processes"]] == list(numbers)
    assert f"made by {numbers[0]} processes; {numbers[1]} go on" in log.read_text()
    assert _largest_difference(_weights(out), _weights(tmp_path / "out")) < 1e-5


def launched(settings, files, log, stop=None, **given) -> int:
    """The stage as the workflow calls it, two made-up GPUs its own; `stop`: a signal once it trains."""
    words = [sys.executable, str(SCRIPT), "--settings", json.dumps(settings), "--code", "c"]
    for name, path in files.items():
        words += [f"--{name}", *([str(path)] if not isinstance(path, list) else map(str, path))]
    own = {"CUDA_VISIBLE_DEVICES": "0,1", "NOTECAST_GPUS": "2", "NOTECAST_LOG": str(log), "OMP_NUM_THREADS": "1"}
    environment = (
        {name: value for name, value in os.environ.items() if name not in ("SLURM_JOB_ID", "WORLD_SIZE")} | own | given
    )
    with open(log.with_suffix(".private"), "w") as private:
        process = subprocess.Popen(words, env=environment, stdout=private, stderr=private)
    while stop and process.poll() is None and not list(files["work"].glob("*/checkpoint-*")):
        time.sleep(0.05)
    if stop:
        process.send_signal(stop)
    return process.wait(timeout=240)


def test_on_two_devices_a_launcher_starts_two_processes(whole_batch, tmp_path):
    settings, data, out = whole_batch
    log = tmp_path / "run.log"
    assert launched(settings, tiny.files(data, tmp_path / "out"), log) == 0, log.read_text()
    assert "one process on each of 2 GPUs of 1 nodes" in log.read_text() and "= 8 x 1 x 2" in log.read_text()
    assert _largest_difference(_weights(out), _weights(tmp_path / "out")) < 1e-5


def test_on_two_nodes_srun_starts_a_launcher_on_each(whole_batch, tmp_path):
    """The nodes are two of one machine: srun is made up, and starts what it is given as often as there are nodes."""
    (tmp_path / "bin").mkdir()
    body = 'while [ "${1#--}" != "$1" ]; do shift; done\n"$@" & one=$!\n"$@" & two=$!\nwait $one && wait $two\n'
    (tmp_path / "bin" / "srun").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{body}')
    (tmp_path / "bin" / "squeue").write_text("#!/bin/sh\necho 2\n")
    for name in ("srun", "squeue"):
        (tmp_path / "bin" / name).chmod(0o755)
    settings, data, out = whole_batch
    log, path = tmp_path / "run.log", f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    job = {"SLURM_JOB_ID": "77", "CUDA_VISIBLE_DEVICES": "0", "PATH": path}
    assert launched(settings, tiny.files(data, tmp_path / "out"), log, **job) == 0, log.read_text()
    assert "--nodes=2 --ntasks=2 --ntasks-per-node=1" in (tmp_path / "asked").read_text()
    assert "= 8 x 1 x 2" in log.read_text()
    assert _largest_difference(_weights(out), _weights(tmp_path / "out")) < 1e-5


def test_a_signal_reaches_both_and_the_next_attempt_goes_on(tmp_path):
    data = tiny.dataset(tmp_path / "data", rows=300)
    settings = tiny.settings(dropout=0.0, learning_rate=0.001, epochs=8, patience=40)
    files, log = tiny.files(data, tmp_path / "out"), tmp_path / "run.log"
    assert launched(settings, files, log, signal.SIGUSR1) == 75, log.read_text()
    assert "SIGTERM: saved at the end of the step; run again to go on from there" in log.read_text()
    assert not files["manifest"].exists()
    assert launched(settings, files, log) == 0, log.read_text()
    assert "going on from checkpoint-" in log.read_text()
    assert shards.read_json(files["history"])["steps"]["taken"] == 8 * 19


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
    weights = _weights(tmp_path / "out")
    assert weights["classifier.weight"].shape == (3, 32)
    drift = np.abs(
        weights["bert.embeddings.word_embeddings.weight"]
        - _weights(reference)["bert.embeddings.word_embeddings.weight"]
    )
    assert 0 < drift.max() < 0.05


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
    _fails(
        data,
        tmp_path,
        tiny.settings() | {"model": {"start": {"folder": True}}},
        "no config.json",
        start=sorted(data.iterdir()),
    )
    hub = {"hub": "nobody/nothing", "revision": "0" * 40}
    _fails(data, tmp_path, tiny.settings() | {"model": {"start": hub}}, "snakemake fetch_models")
    table = shards.read_arrow(data / "train.arrow").drop_columns(["input_ids"])
    shards.write_arrow(tmp_path / "text.arrow", table.schema, [table])
    _fails(data, tmp_path, tiny.settings(), "no column input_ids", train=tmp_path / "text.arrow")


def test_several_visible_devices_without_a_launcher_are_refused(monkeypatch):
    import torch

    from lib import trainer
    from lib.stage import StageError

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(StageError, match="2 GPUs are visible"):
        trainer.prepare_device(1)


def test_as_a_command(data, reference, tmp_path):
    files = tiny.files(data, tmp_path / "out", work=tmp_path / "work")
    said = command.run(SCRIPT, stage.Job(tiny.settings(), files, code="abc"))
    assert "tuning AUROC" in said and "Warning" not in said
    expected = tiny.published(reference)
    assert {name: content for name, content in tiny.published(tmp_path / "out").items() if name in expected} == expected


def test_a_job_saves_before_its_time_is_over_and_goes_back_into_the_queue(tmp_path):
    (tmp_path / "bin").mkdir()
    soon = "from datetime import datetime, timedelta; print((datetime.now() + timedelta(seconds=8)).isoformat()[:19])"
    scripts = {"squeue": f'{sys.executable} -c "{soon}"', "scontrol": f'echo "$@" >> {tmp_path}/told; kill $PPID'}
    for name, body in scripts.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    data = tiny.dataset(tmp_path / "data", rows=600)
    settings = tiny.settings(dropout=0.0, learning_rate=0.001, epochs=80, patience=400)
    files, log = tiny.files(data, tmp_path / "out"), tmp_path / "run.log"
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    status = launched(settings, files, log, SLURM_JOB_ID="7", PATH=path, CUDA_VISIBLE_DEVICES="")
    assert status == -signal.SIGTERM, log.read_text()  # as SLURM ends what it puts back
    assert (tmp_path / "told").read_text() == "requeue 7\n"
    assert "the job's time is nearly over: saved at the end of the step" in log.read_text()
    assert list(files["work"].glob("*/checkpoint-*"))
    assert not files["manifest"].exists()
