"""Finetuning in several processes, on devices and nodes: the result is that of one, also if it was stopped on the way.

The GPUs and nodes are made up: without one, each process trains on the processor.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tiny
from lib import shards

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "finetune.py"


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
    assert _largest_difference(tiny.weights(out), tiny.weights(tmp_path / "out")) < 1e-5
    losses = [
        [e["train_loss"] for e in shards.read_json(o / "history.json")["evaluations"]] for o in (out, tmp_path / "out")
    ]
    assert np.allclose(*losses, atol=1e-5)


def _processes(number, settings, data, folder, port, **given):
    """Exit codes of a finetune that is started as its launcher would, without one; `given` as `tiny.start` takes it."""
    files = tiny.files(data, folder / "out")
    children = []
    for rank in map(str, range(number)):
        launcher = {"WORLD_SIZE": str(number), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        launcher = launcher | {"RANK": rank, "LOCAL_RANK": rank} if number > 1 else {}
        children.append(tiny.start(settings, files, folder / f"log{rank}", environment=launcher, **given))
    for child in children:
        child.join(120)
    return [child.exitcode for child in children]


@pytest.mark.parametrize("device_batch", [16, 4])
def test_two_processes_do_not_change_the_result(whole_batch, tmp_path, device_batch):
    settings, data, out = whole_batch
    settings = settings | {"training": settings["training"] | {"max_device_batch": device_batch}}
    assert _processes(2, settings, data, tmp_path, 29500 + device_batch) == [0, 0], (tmp_path / "log0").read_text()
    assert _largest_difference(tiny.weights(out), tiny.weights(tmp_path / "out")) < 1e-5
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
    assert _processes(2, settings, data, tmp_path, 29530) == [0, 0], (tmp_path / "log0").read_text()
    for value, others in zip(best(tmp_path / "out"), zip(*seeds, strict=True), strict=True):
        noise = max(others) - min(others)
        assert min(others) - noise < value < max(others) + noise, (value, others)


def test_two_jobs_never_train_in_one_folder(whole_batch, tmp_path):
    settings, data, _ = whole_batch
    files = tiny.files(data, tmp_path / "out")
    first = tiny.start(settings, files, tmp_path / "first", kill=("step", 3), send=signal.SIGSTOP)
    while not list((tmp_path / "out").glob("work/*/lock")):
        time.sleep(0.05)
    assert tiny.run(settings, files, tmp_path / "second") == 1
    assert "another process is training" in (tmp_path / "second").read_text()
    first.kill()
    first.join()


def launched(settings, files, log, stop=None, **given) -> int:
    """The stage as the workflow calls it, two made-up GPUs its own; `stop`: a signal once it trains."""
    words = [sys.executable, str(SCRIPT), "--settings", json.dumps(settings), "--code", tiny.CODE]
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


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_another_number_of_processes_goes_on_and_is_recorded(whole_batch, tmp_path, numbers):
    settings, data, out = whole_batch
    settings = settings | {"training": settings["training"] | {"evaluations_per_epoch": 4}}
    for processes, status in zip(numbers, (75, 0), strict=True):
        stop = {"kill": ("step", 15), "send": signal.SIGTERM} if status else {}
        ended = _processes(processes, settings, data, tmp_path, 29540 + numbers[0], **stop)
        assert ended == [status] * processes, (tmp_path / "log0").read_text()
    history = shards.read_json(tmp_path / "out" / "history.json")
    assert [entry["processes"] for entry in history["processes"]] == list(numbers)
    assert f"made by {numbers[0]} processes; {numbers[1]} go on" in (tmp_path / "log0").read_text()
    assert _largest_difference(tiny.weights(out), tiny.weights(tmp_path / "out")) < 1e-5


def test_on_two_devices_a_launcher_starts_two_processes(whole_batch, tmp_path):
    settings, data, out = whole_batch
    log = tmp_path / "run.log"
    assert launched(settings, tiny.files(data, tmp_path / "out"), log) == 0, log.read_text()
    assert "one process on each of 2 GPUs of 1 nodes" in log.read_text() and "= 8 x 1 x 2" in log.read_text()
    assert _largest_difference(tiny.weights(out), tiny.weights(tmp_path / "out")) < 1e-5


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
    assert _largest_difference(tiny.weights(out), tiny.weights(tmp_path / "out")) < 1e-5


def test_a_signal_reaches_both_and_the_next_attempt_goes_on(tmp_path):
    data = tiny.dataset(tmp_path / "data", rows=300)
    settings = tiny.settings(dropout=0.0, learning_rate=0.001, epochs=8, patience=40)
    files, log = tiny.files(data, tmp_path / "out"), tmp_path / "run.log"
    assert launched(settings, files, log, signal.SIGUSR1) == 75, log.read_text()
    assert "SIGTERM: saved at the end of the step; run again to go on from there" in log.read_text()
    assert not files["manifest"].exists()
    assert _processes(2, settings, data, tmp_path, 29550) == [0, 0], (tmp_path / "log0").read_text()
    assert "going on from checkpoint-" in (tmp_path / "log0").read_text()
    assert shards.read_json(files["history"])["steps"]["taken"] == 8 * 19


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
