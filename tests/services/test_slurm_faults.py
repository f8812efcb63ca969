"""What happens to a training on a cluster: each fault ends in the weights of the training that nothing disturbed.

`pytest -rP` shows the figures of the table in profiles/README.md: seconds from the fault until the training goes on.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checkout import Checkout, merged
from slurm import Slurm
from slurm_head import Head, started

pytestmark = pytest.mark.slow
FIT = "results/private/small/finetune/readmission/tiny/all-0"
EPOCHS = 40
Fault = Callable[[Slurm, str], None]


@pytest.fixture(scope="module")
def undisturbed(finished_run: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A training of ten seconds, run here to its end."""
    run = finished_run.clone(tmp_path_factory.mktemp("training") / "run")
    longer = {"models": {"tiny": {"training": {"epochs": EPOCHS, "patience": 100_000}}}}
    run.configure(merged(run.config, longer))
    run.snakemake(f"{FIT}/manifest.json")
    return run


@pytest.fixture
def run(undisturbed: Checkout, finished_run: Checkout, tmp_path: Path) -> Checkout:
    """Ready for the same training."""
    copy = finished_run.clone(tmp_path / "run")
    copy.configure(undisturbed.config)
    return copy


def weights(run: Checkout) -> dict[str, str]:
    return {path: digest for path, digest in run.bytes().items() if FIT.removeprefix("results/") in path}


def log(run: Checkout) -> str:
    return (run.folder / "results/small/logs/finetune/readmission-tiny-all-0.log").read_text(encoding="utf-8")


def trained(slurm: Slurm, before: int) -> list[str]:
    """How the jobs of the training ended, in SLURM's words."""
    return [job["State"].split()[0] for job in slurm.ended()[before:] if "finetune" in job["Comment"]]


def checkpoints(run: Checkout) -> set[Path]:
    return set((run.folder / "results/private/small/store").glob("*/checkpoint-*/manifest.json"))


def newest(run: Checkout) -> int:
    return max(int(path.parent.name.removeprefix("checkpoint-")) for path in checkpoints(run))


@contextlib.contextmanager
def training(slurm: Slurm, run: Checkout, *arguments: str) -> Iterator[tuple[Head, str]]:
    """The head, and the id of its training's job, once that has left some checkpoints behind; it stands still then.

    (So it cannot come to its end before the fault does. SLURM lets go on what it ends.)
    """
    known = checkpoints(run)
    with started(run, f"{FIT}/manifest.json", *arguments) as head:
        slurm.wait_until(lambda: len(checkpoints(run) - known) > 1, 180)
        job = next(number for number, _, _, comment in slurm.jobs() if "finetune" in comment)
        os.kill(trainer(slurm, job), signal.SIGSTOP)
        yield head, job


def processes(slurm: Slurm, job: str) -> list[int]:
    return [int(line.split()[0]) for line in slurm.call("scontrol", "listpids", job).splitlines()[1:]]


def trainer(slurm: Slurm, job: str) -> int:
    found = (p for p in processes(slurm, job) if b"/scripts/finetune.py" in Path(f"/proc/{p}/cmdline").read_bytes())
    return min(found)  # not the shell's child


def requeued(slurm: Slurm, job: str) -> None:
    slurm.call("scontrol", "requeue", job)
    begins_now(slurm, job)


def preempted(slurm: Slurm, job: str) -> None:
    """By a job of a partition that may take the GPU from it, for five seconds."""
    urgent = ["--partition=urgent", "--gres=gpu:1", "--account=research", "--output=/dev/null", "--wrap=sleep 5"]
    taken = slurm.call("sbatch", "--parsable", *urgent)
    begins_now(slurm, job)
    slurm.wait_until(lambda: taken not in [entry[0] for entry in slurm.jobs()])


def begins_now(slurm: Slurm, job: str) -> None:
    """SLURM holds back for two minutes what it puts in the queue again."""
    slurm.wait_until(lambda: [job, "PD"] in [entry[:2] for entry in slurm.jobs()])
    slurm.call("scontrol", "update", f"JobId={job}", "StartTime=now")


def cancelled(slurm: Slurm, job: str) -> None:
    slurm.call("scancel", job)


def signalled(slurm: Slurm, job: str) -> None:
    """As by `sbatch --signal`: it reaches snakemake inside the job too, which dies of it."""
    process = trainer(slurm, job)
    slurm.call("scancel", "--signal=USR1", job)
    os.kill(process, signal.SIGCONT)


def out_of_time(slurm: Slurm, job: str) -> None:
    """Before it expects it: a limit that an administrator has shortened."""
    slurm.call("scontrol", "update", f"JobId={job}", "TimeLimit=1")


def killed(slurm: Slurm, job: str) -> None:
    """As by a machine whose memory runs out: everything in the job, and SLURM is not told why."""
    for process in processes(slurm, job):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def without_node(slurm: Slurm, job: str) -> None:
    slurm.stop_node()
    slurm.wait_until(lambda: slurm.state_of_node().startswith("down"))
    slurm.start_node()  # and no hurry: what SLURM still clears away of the lost job would take the new one with it


def told(run: Checkout, fault: str, since: datetime) -> None:
    """Print the seconds that a fault took, by the log of the attempt that went on."""
    match = re.search(r"(\d\d:\d\d:\d\d) going on from checkpoint-\d+", log(run))
    assert match, log(run)
    again = datetime.combine(since.date(), datetime.strptime(match[1], "%H:%M:%S").time(), UTC)
    print(f"{fault}: {(again + timedelta(days=again < since) - since).total_seconds():.0f} s")


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        (requeued, ["COMPLETED"]),
        (preempted, ["COMPLETED"]),
        (cancelled, ["CANCELLED", "COMPLETED"]),
        (signalled, ["FAILED", "COMPLETED"]),
        (out_of_time, ["TIMEOUT", "COMPLETED"]),
        (killed, ["FAILED", "COMPLETED"]),
        (without_node, ["COMPLETED"]),
    ],
)
def test_a_training_goes_on_after(
    fault: Fault, ends: list[str], slurm: Slurm, run: Checkout, undisturbed: Checkout
) -> None:
    before = len(slurm.ended())
    with training(slurm, run) as (head, job):
        since = now()
        fault(slurm, job)
        assert head.wait() == 0, head.said[-5000:]
    assert weights(run) == weights(undisturbed)
    assert trained(slurm, before) == ends
    told(run, fault.__name__, since)


def test_a_training_saves_before_its_time_is_over_and_comes_back_without_a_retry(
    slurm: Slurm, run: Checkout, undisturbed: Checkout
) -> None:
    before = len(slurm.ended())
    limited = ["--retries", "0", "--set-resources", "finetune:slurm_partition=gpu", "finetune:gres=gpu:1"]
    with training(slurm, run, *limited, "finetune:runtime=1") as (head, job):
        ends = datetime.fromisoformat(slurm.jobs("%e", f"--jobs={job}")[0][0])
        time.sleep(max(0.0, (ends - datetime.now()).total_seconds() - 4))
        stopped, since = newest(run), now()
        os.kill(trainer(slurm, job), signal.SIGCONT)
        begins_now(slurm, job)
        assert "the job's time is nearly over: saved at the end of the step" in log(run)
        saved = newest(run)
        assert head.wait() == 0, head.said[-5000:]
    assert stopped < saved and f"going on from checkpoint-{saved}" in log(run), "not one step is done again"
    assert weights(run) == weights(undisturbed)
    assert trained(slurm, before) == ["COMPLETED"]
    told(run, "time limit, seen coming", since)


def test_a_head_that_was_killed_is_started_again_and_nothing_runs_twice(
    slurm: Slurm, run: Checkout, undisturbed: Checkout
) -> None:
    before = len(slurm.ended())
    with training(slurm, run) as (head, _):
        head.end()
    assert [state for _, state, _, comment in slurm.jobs() if "finetune" in comment] == ["R"], "nobody waits for it"
    since = now()
    run.snakemake("--unlock")
    with started(run, f"{FIT}/manifest.json") as again:
        assert again.wait() == 0, again.said[-5000:]
    assert "Cancelled 1 jobs that an earlier snakemake, killed, had left in the queue." in again.said
    assert weights(run) == weights(undisturbed)
    assert trained(slurm, before) == ["CANCELLED", "COMPLETED"]
    told(run, "head killed", since)


def test_a_training_that_needs_more_memory_is_told_so_and_given_more(
    slurm: Slurm, run: Checkout, undisturbed: Checkout
) -> None:
    before = len(slurm.ended())
    placed = ["finetune:slurm_partition=gpu", "finetune:gres=gpu:1", "finetune:mem_mb=150 * attempt ** 4"]
    with started(run, f"{FIT}/manifest.json", "--retries", "0", "--set-resources", *placed) as head:
        assert head.wait() == 1
    last = head.said[head.said.index("\nFailed:\n") :]
    told = (
        r"finetune readmission/tiny/all/0 \(SLURM job \d+\): out of memory: raise `mem_mb` of finetune in the profile"
    )
    assert re.search(rf"^{told}; log: results/small/logs/finetune/readmission-tiny-all-0.log$", last, re.M), last
    with started(run, f"{FIT}/manifest.json", "--set-resources", *placed) as head:
        assert head.wait() == 0, head.said[-5000:]
    assert weights(run) == weights(undisturbed)
    assert trained(slurm, before) == ["FAILED", "FAILED", "COMPLETED"]  # with cgroups: OUT_OF_MEMORY


def test_two_nodes_train_as_one(slurm: Slurm, run: Checkout, undisturbed: Checkout) -> None:
    before = len(slurm.ended())
    placed = ["finetune:slurm_partition=pair", "finetune:gres=gpu:1", "finetune:nodes=2"]
    placed += ["finetune:slurm_extra='--ntasks-per-node=1'"]
    with (
        slurm.second_node(),
        started(run, f"{FIT}/manifest.json", "--retries", "0", "--set-resources", *placed) as head,
    ):
        assert head.wait() == 0, head.said[-5000:]
    assert "one process on each of 1 GPUs of 2 nodes" in log(run) and "= 8 x 1 x 2, cpu" in log(run)
    assert slurm.ended("JobID,State,NNodes")[before:][-1]["NNodes"] == "2"
