"""What a run says last of its failed jobs."""

from pathlib import Path

import pytest

from lib.failures import Failed, lines

BLOCK = """\
[Wed Nov 25 16:00:00 2026]
Error in rule finetune:
    message: SLURM-job '{number}' failed, SLURM status is: '{state}'. Detailed failure reason unavailable.
    jobid: 0
    log: {log}, {folder}/{number}.log (check log file(s) for error details)
    shell:
        a command that holds 'OUT_OF_MEMORY'
    external_jobid: {number}

Logfile {log}:
"""
GROUP = """\
Error in group windows:
    message: SLURM-job '9' failed, SLURM status is: 'TIMEOUT'. For further error details see the cluster log.
    log: {folder}/9.log (check log file(s) for error details)
    jobs:
        rule clean:
            jobid: 3
            log: {log} (check log file(s) for error details)
"""


@pytest.fixture
def job(tmp_path: Path) -> Failed:
    return Failed("finetune", ("readmission", "tiny", "all", "0"), str(tmp_path / "stage.log"))


def told(job: Failed, *blocks: str) -> str:
    folder = Path(job.log).parent
    (line,) = lines(
        [job], "".join(block.replace("{log}", job.log).replace("{folder}", str(folder)) for block in blocks)
    )
    return line.replace(str(folder), "")


def block(number: int, state: str) -> str:
    return BLOCK.replace("{number}", str(number)).replace("{state}", state)


@pytest.mark.parametrize(
    ("state", "mend"),
    [
        ("TIMEOUT", "out of time: raise `runtime` of finetune in the profile, or `retries`"),
        ("OUT_OF_MEMORY", "out of memory: raise `mem_mb` of finetune in the profile"),
        ("CANCELLED by 0", "cancelled, and not by this run: start it again"),
        ("NODE_FAIL", "its node failed: start it again"),
        ("FAILED", "it could not say why"),
    ],
)
def test_a_state_of_slurm_names_its_mend(job: Failed, state: str, mend: str) -> None:
    expected = f"finetune readmission/tiny/all/0 (SLURM job 12): {mend}; log: /stage.log"
    assert told(job, block(11, "NODE_FAIL"), "Trying to restart job 0.\n", block(12, state)) == expected


def test_memory_is_known_by_what_slurm_wrote(job: Failed) -> None:
    slurm = Path(job.log).with_name("12.log")
    slurm.write_text("slurmstepd: error: JobId=12 exceeded memory limit (170 > 150), being killed\n", encoding="utf-8")
    assert "out of memory: raise `mem_mb`" in told(job, block(12, "FAILED"))


def test_without_a_state_the_stage_s_own_words_are_told(job: Failed) -> None:
    assert told(job) == "finetune readmission/tiny/all/0: it could not say why; log: /stage.log"
    Path(job.log).write_text("12:00:00 1 row\nerror: no rows in tuning\ndetails: logs/x\n", encoding="utf-8")
    assert told(job) == "finetune readmission/tiny/all/0: no rows in tuning; log: /stage.log"
    assert "no rows in tuning" in told(job, block(12, "FAILED"))


def test_a_job_of_a_group_has_the_group_s_state(job: Failed) -> None:
    clean = Failed("clean", ("discharge", "2019"), job.log)
    assert told(clean, GROUP).startswith("clean discharge/2019 (SLURM job 9): out of time: raise `runtime` of clean")
