"""Which GPUs a training has to itself, on a machine that nobody schedules.

Snakemake counts GPUs and hands none out: three jobs with one GPU each start on the first. So a training leases its
devices: a lock a device, in a folder of the user's own, which dies with the process. Under SLURM the job's devices are
its own, all of them. A machine without a GPU has nothing to lease.
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

WAIT_SECONDS = 2.0


def visible() -> list[str]:
    """The devices that this process may use, by the names that CUDA_VISIBLE_DEVICES takes; none without a GPU."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    try:
        query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        listed = subprocess.run(query, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return listed.stdout.split()


def described() -> list[dict[str, str]]:
    """Name and driver of each of them, for a record; none where nobody tells."""
    if not (mine := visible()):
        return []
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", f"--id={','.join(mine)}"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = (line.split(", ") for line in listed.splitlines() if line.strip())
    return [{"name": name, "driver": driver} for name, driver in rows]


@contextmanager
def leased(wanted: int, say: Callable[[str], None]) -> Iterator[list[str]]:
    """`wanted` devices of the machine for as long as this lasts, as CUDA_VISIBLE_DEVICES; waits until they are free.

    Fewer where the machine has fewer. All or none are held while waiting, so that two trainings do not wait for each
    other's.
    """
    there = visible()
    if not there or "SLURM_JOB_ID" in os.environ or "WORLD_SIZE" in os.environ:
        yield there
        return
    wanted = min(wanted, len(there))
    told = False
    with ExitStack() as held:
        while len(taken := _take(there, wanted, held)) < wanted:
            held.close()
            if not told:
                say(f"waiting for {wanted} of {len(there)} GPUs: others train on them")
            told = True
            time.sleep(WAIT_SECONDS)
        before = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        try:
            yield taken
        finally:
            del os.environ["CUDA_VISIBLE_DEVICES"]
            if before is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _take(there: list[str], wanted: int, held: ExitStack) -> list[str]:
    """As many free ones as are wanted, locked until `held` is closed."""
    taken: list[str] = []
    for name in there:
        if len(taken) < wanted and (lock := _locked(_folder() / f"{name.replace('/', '_')}.lock")):
            held.enter_context(lock)
            taken.append(name)
    return taken


def _locked(path: Path) -> TextIO | None:
    lock = open(path, "a", encoding="utf-8")  # noqa: SIM115  # the caller's to close
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    lock.close()
    return None


def _folder() -> Path:
    """One a user and machine, whichever private root a run has."""
    folder = Path("/tmp", f"notecast-devices-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")
    return folder
