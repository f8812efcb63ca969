"""store: what lies there, what of it is used, and that nothing else is removed."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Checkout, merged
from lib import amounts, canonical_json, shards
from lib import store as key_of

pytestmark = pytest.mark.slow
Copy = Callable[..., Checkout]
FASTER = {"models": {"tiny": {"training": {"learning_rate": 0.002}}}}
LOG = "results/small/logs/finetune/readmission-tiny-all-0.log"


def entries(run: Checkout) -> list[Path]:
    return sorted((run.folder / "results/private/small/store").iterdir())


def store(run: Checkout, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "scripts/store.py", "--configfile", "config/test.yaml", *arguments]
    done = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    said = done.stdout + done.stderr
    assert str(run.folder) not in said
    return said


def another(own: Path, learning_rate: float) -> Path:
    """What a finetune with another learning rate would have left beside `own` in the store."""
    what = shards.read_json(own / key_of.WHAT)
    what["settings"]["training"]["learning_rate"] = learning_rate
    folder = own.with_name(key_of.key(what["settings"], what["data"], what["code"]))
    shutil.copytree(own, folder)
    (folder / key_of.WHAT).write_text(canonical_json(what) + "\n", encoding="utf-8")
    return folder


def test_each_entry_is_told_with_what_sets_it_apart(finished: Copy) -> None:
    run = finished()
    [own] = entries(run)
    former, begun, old = another(own, 0.001), own.with_name("0" * 16), own.with_name("1" * 16)
    (begun / "checkpoint-3").mkdir(parents=True)
    (begun / "checkpoint-3" / "weights").write_bytes(b"w" * 1500)
    shutil.copytree(own, old)
    what = shards.read_json(old / key_of.WHAT)
    what["code"] = "other"
    what["data"]["train"][0][1] = "other"
    (old / key_of.WHAT).write_text(canonical_json(what), encoding="utf-8")
    os.utime(former / key_of.WHAT, (time.time() - 3 * 86_400,) * 2)
    lines = {line.split()[0]: line for line in store(run).splitlines()}
    assert "readmission/tiny/all-0  finished" in lines[own.name] and lines[own.name].endswith("  used")
    assert "3 d ago  not used: models.tiny.training.learning_rate: 0.001 -> 0.0005" in lines[former.name]
    assert lines[old.name].endswith("not used: other data; other code")
    assert "checkpoints" in lines[begun.name] and "1.5 kB" in lines[begun.name] and "does not say" in lines[begun.name]
    assert "4 in the store" in lines["small:"] and "not used: 3" in lines["small:"]
    assert len(entries(run)) == 4, "nothing is removed unasked"


def test_what_is_not_used_goes_and_what_is_used_or_held_stays(finished: Copy) -> None:
    run = finished()
    [own] = entries(run)
    former, held = another(own, 0.001), another(own, 0.003)
    before = run.bytes()
    code = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(held / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout and training.stdout.readline()
        size = sum(path.stat().st_size for path in former.rglob("*") if path.is_file())
        said = store(run, "--remove")
        training.communicate("\n")
    assert entries(run) == sorted([own, held])
    assert f"kept: {held.name} readmission/tiny/all-0: a training is going on in it" in said
    assert f"removed: {former.name}" in said and f"removed: 1, {amounts.size(size)} freed" in said
    store(run, "--remove")
    assert entries(run) == [own] and run.bytes() == before and run.planned() == Counter()


def test_nothing_is_removed_during_a_run_or_where_use_cannot_be_told(finished: Copy) -> None:
    run = finished()
    another(*entries(run), 0.001)
    locks = run.folder / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.input.lock").write_text("", encoding="utf-8")
    assert "a run is going on in this clone" in store(run, "--remove", status=1)
    (locks / "0.input.lock").unlink()
    (run.folder / "results/private/small/dataset/readmission/notes.48/train.json").unlink()
    assert "1 finetunes have no dataset or tokenizer yet" in store(run)
    assert "run first" in store(run, "--remove", status=1)
    assert len(entries(run)) == 2


def test_back_to_a_former_setting_nothing_is_trained_and_no_gpu_is_asked_for(finished: Copy) -> None:
    run = finished()
    rules = run.folder / "workflow/rules/models.smk"  # a job with a message tells no resources
    lines = rules.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if "Finetuning {wildcards.model}" in line)
    rules.write_text("".join(lines[: at - 1] + lines[at + 1 :]))
    before, config = run.bytes(), run.config
    run.configure(merged(config, FASTER))
    assert asked(run) == ["gpu", "gpu:1"]
    assert run.ran()["finetune"] == 1 and len(entries(run)) == 2
    assert run.bytes() != before
    run.configure(config)
    assert asked(run) == ["cpu", ""], "and 5 minutes"
    assert run.ran()["finetune"] == 1
    assert "nothing to train" in (run.folder / LOG).read_text() and run.bytes() == before
    record = shards.read_json_lines(run.folder / f"results/private/small/{RECORD}")
    assert list(record)[-1]["seconds"] < 1


RECORD = "finetune/readmission/tiny/all-0/config.json.record.jsonl"


def asked(run: Checkout) -> list[str]:
    """The partition and the GPUs that the profile's finetune would be submitted with."""
    said = run.snakemake("-n", "--profile", "profiles/slurm").stdout
    resources = said.partition("rule finetune:")[2].partition("resources: ")[2].split("\n")[0]
    told = dict(pair.split("=") for pair in resources.split(", "))
    assert int(told["runtime"]) == (15 if "gres" in told else 5)
    return [told["slurm_partition"], told.get("gres", "")]
