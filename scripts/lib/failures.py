"""What failed, told once more at the end of a run: each job with the likely mend and its log.

From what the stages say themselves (`error: ...` in their logs) and from the state that SLURM gave a job. Foreign
messages are not repeated; they may hold data.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MENDS = {
    "TIMEOUT": "out of time: raise `runtime` of {rule} in the profile, or `retries`",
    "OUT_OF_MEMORY": "out of memory: raise `mem_mb` of {rule} in the profile",
    "CANCELLED": "cancelled, and not by this run: start it again",
    "PREEMPTED": "pre-empted and not brought back: `slurm-requeue`, or a partition that is not pre-empted",
    "NODE_FAIL": "its node failed: start it again",
}
MEMORY = re.compile(r"exceeded (job )?memory limit|oom.kill|out of memory", re.IGNORECASE)  # slurmstepd's own words
_BLOCK = re.compile(r"^Error in (?:rule|group) .*?(?=^\S|\Z)", re.M | re.S)
_STATE = re.compile(r"SLURM-job '(\d+)' failed, SLURM status is: '([A-Z_]+)")


class Failed(NamedTuple):
    """A job that failed for good: its rule, wildcards, and the log that its stage wrote."""

    rule: str
    wildcards: tuple[str, ...]
    log: str


def lines(failed: Iterable[Failed], said: str) -> Iterator[str]:
    """A line for each; `said`: Snakemake's own log, in which a failed job is a block that names its log."""
    blocks = [match[0] for match in _BLOCK.finditer(said)]
    for job in sorted(failed):
        block = next((block for block in reversed(blocks) if job.log in block), "")
        state = _STATE.search(block)
        number, why = state.groups() if state else (None, None)
        if why == "FAILED" and _memory(block, str(number)):
            why = "OUT_OF_MEMORY"
        mend = MENDS.get(why or "", "").format(rule=job.rule) or _error(Path(job.log)) or "it could not say why"
        of_slurm = f" (SLURM job {number})" if number else ""
        yield f"{' '.join([job.rule, '/'.join(job.wildcards)]).strip()}{of_slurm}: {mend}; log: {job.log}"


def _memory(block: str, number: str) -> bool:
    """Whether SLURM's log of the job says that memory ran out: without cgroups its state does not."""
    logs = (Path(path) for path in re.findall(rf"[^\s,]+/{number}\.log", block))
    return any(MEMORY.search(path.read_text(encoding="utf-8", errors="replace")) for path in logs if path.is_file())


def _error(log: Path) -> str | None:
    """What the stage said last."""
    if not log.is_file():
        return None
    found = re.findall(r"^error: (.*)$", log.read_text(encoding="utf-8"), re.M)
    return found[-1] if found else None
