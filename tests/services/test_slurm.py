"""The workflow under its SLURM profile, on a real SLURM: the same bytes, each job in its place, what was submitted."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from checkout import Checkout, merged, small_config
from lib import records
from slurm import ACCOUNT, Slurm
from slurm_head import Head, started, waiting

pytestmark = pytest.mark.slow
LOCAL = ("resolve", "certificate", "figures", "report")
CLEANED = "results/private/small/clean/discharge/2019"


def environment_of(script: str, folder: Path, found: dict[str, str], over: threading.Event) -> None:
    """Into `found`: the environment of a python that runs `script` in `folder`, when there is one; and its user."""
    while not found and not over.wait(0.02):
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
                ours = words[:1] == [b"python"] and words[1].endswith(script.encode())
                if ours and (entry / "cwd").resolve() == folder.resolve():
                    lines = (entry / "environ").read_bytes().decode().split("\0")
                    found |= dict(line.split("=", 1) for line in lines if "=" in line)
                    found["uid"] = str(entry.stat().st_uid)
            except OSError:  # it has ended
                continue


def test_a_whole_run_gives_the_same_bytes_with_each_job_in_its_place(
    slurm: Slurm, finished_run: Checkout, tmp_path: Path
) -> None:
    run, before = Checkout(tmp_path / "clone", small_config()), len(slurm.ended())
    inside: dict[str, str] = {}
    over = threading.Event()
    watching = threading.Thread(target=environment_of, args=("/scripts/finetune.py", run.folder, inside, over))
    watching.start()
    with started(run) as head:
        status = head.wait(900)
    over.set()
    watching.join()
    assert status == 0, head.said[-5000:]
    assert run.bytes() == finished_run.bytes()
    assert not run.planned()

    jobs = slurm.ended("State,Partition,Account,AllocTRES,Comment")[before:]
    of = {rule: [job for job in jobs if rule in job["Comment"]] for rule in ("finetune", "extract", "predict", *LOCAL)}
    assert {job["State"] for job in jobs} == {"COMPLETED"}
    assert {job["Account"] for job in jobs} == {ACCOUNT}
    assert [(job["Partition"], "gres/gpu=1" in job["AllocTRES"]) for job in of["finetune"]] == [("gpu", True)]
    assert {job["Partition"] for job in of["extract"]} == {"datamover"}
    assert sorted({job["Partition"] for job in of["predict"]}) == ["cpu", "gpu"]
    assert not any(of[rule] for rule in LOCAL)
    # 16 windows of extract, 8 of clean and of split, 4 of pretokenize are 6 groups; 31 jobs go one by one.
    assert len(of["extract"]) <= 4
    assert len(jobs) < 45

    assert inside["uid"] == str(os.getuid())
    assert inside["CUDA_VISIBLE_DEVICES"] == "0"
    assert inside["SLURM_JOB_PARTITION"] == "gpu"
    assert Path(inside["PATH"].split(":")[0]).resolve() == Path(run.command()[0]).parent.resolve()
    private = run.folder / "results/private/small"
    assert inside["TMPDIR"] == str(private / "tmp") and inside["HF_HUB_OFFLINE"] == "1"
    assert inside["NOTECAST_LOG"].startswith("results/small/logs/finetune/") and inside["NOTECAST_TERMINAL"] == "3"
    shown = [path.read_text() for path in (run.folder / ".snakemake/slurm_logs").rglob("*finetune*/**/*.log")]
    assert any("steps an epoch of 16" in text for text in shown), "progress, as on a terminal"


@pytest.fixture
def finished(slurm: Slurm, finished_run: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished small run in which one window has to be cleaned again."""
    run = finished_run.clone(tmp_path / "copy")
    for path in (run.folder / CLEANED).parent.glob("2019.*"):
        path.unlink()
    return run


@contextmanager
def closed(slurm: Slurm, partition: str) -> Iterator[None]:
    slurm.partition(partition, "DOWN")
    try:
        yield
    finally:
        slurm.partition(partition, "UP")


def cleaned(run: Checkout) -> dict[str, Any]:
    record = records.last(run.folder / f"{CLEANED}.parquet")
    assert record is not None
    return record


def cleaned_bytes(run: Checkout) -> str:
    return run.bytes()[f"{CLEANED.removeprefix('results/')}.parquet"]


def test_a_key_that_is_edited_while_a_job_waits_is_for_the_next_run(
    slurm: Slurm, finished: Checkout, finished_run: Checkout
) -> None:
    submitted = finished.config
    steps = [step for step in submitted["clean"]["steps"] if "short" not in step] + [{"short": {"min_words": 30}}]
    edited = merged(submitted, {"clean": {"steps": steps}})
    with closed(slurm, "cpu"):
        head = Head(finished, f"{CLEANED}.json")
        slurm.wait_until(waiting(slurm, "clean"))
        finished.configure(edited)
        assert finished.planned(f"{CLEANED}.json")["clean"] == 1  # which writes stamps, as the head did
        with (finished.folder / "config/test.yaml").open("a", encoding="utf-8") as half_typed:
            half_typed.write("clean: {steps: [")
    head.ends_with(0)
    assert cleaned_bytes(finished) == cleaned_bytes(finished_run)
    assert '"min_words":5' in cleaned(finished)["settings"]
    finished.configure(edited)
    assert finished.planned(f"{CLEANED}.json")["clean"] == 1, "now the edited key counts"


def test_code_that_is_edited_while_a_job_waits_is_for_the_next_run(
    slurm: Slurm, finished: Checkout, finished_run: Checkout
) -> None:
    script, rules = (finished.folder / name for name in ("scripts/lib/cleaning.py", "workflow/rules/data.smk"))
    with closed(slurm, "cpu"):
        head = Head(finished, f"{CLEANED}.json")
        slurm.wait_until(waiting(slurm, "clean"))
        for edited in (script, rules):
            edited.write_text("raise RuntimeError\n", encoding="utf-8")
    head.ends_with(0)
    assert cleaned_bytes(finished) == cleaned_bytes(finished_run)
    assert cleaned(finished)["code"] == cleaned(finished_run)["code"]
    assert finished.snakemake("-n", check=False).returncode == 1, "now the edited rules count"


def test_a_query_that_is_edited_while_its_job_waits_stops_the_job_and_no_other(
    slurm: Slurm, finished: Checkout
) -> None:
    extracted = "results/private/small/extract/discharge/2019.text"
    for path in (finished.folder / extracted).parent.glob("2019.text.*"):
        path.unlink()
    query = finished.folder / "workflow/sql/omop/discharge.sql"
    with closed(slurm, "datamover"), closed(slurm, "cpu"):
        targets = (f"{extracted}.json", "results/private/small/split/discharge/2019.json")
        (finished.folder / targets[1]).unlink()
        head = Head(finished, *targets, "--retries", "0")
        slurm.wait_until(waiting(slurm, "extract"))
        slurm.wait_until(waiting(slurm, "split"))
        query.write_text(query.read_text().replace("SELECT", "SELECT  /* edited */ 1 +", 1))
    head.ends_with(1)
    assert "extract: a query, a list or a module of yours that it reads was changed after this job" in head.said
    assert not (finished.folder / f"{extracted}.json").exists()
    assert (finished.folder / targets[1]).exists()
