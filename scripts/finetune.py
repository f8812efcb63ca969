"""Finetune a transformer on a task's training rows, and keep the checkpoint that is best on the tuning part.

Checkpoints live in the work folder under a hash of settings, data and code: killed at any moment, the next attempt
goes on from the newest whole one and ends with the same weights; a training that was finished before is published
again without training. SIGTERM, SIGUSR1 or the approaching end of a SLURM job's time: a checkpoint at the end of the
step, then back into the queue, or exit status 75.
"""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from lib import checkpoints, devices, interruption, launch, learned, offline, shards, slurm, stage, store

REQUEUED_SECONDS = 120
SAVING_SECONDS = 90  # a job that was cancelled has SLURM's KillWait, 30 s by default, to save and let go
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: the training is not complete, run it again
FINAL = {
    "config": "config.json",
    "weights": "model.safetensors",
    "tokenizer_file": "tokenizer.json",
    "tokenizer_config": "tokenizer_config.json",
    "history": "history.json",
    "manifest": checkpoints.MANIFEST,
}


def main(job: stage.Job) -> None:
    offline.go()
    told = _told(job)
    folder = job.path("work") / store.key(*told)
    if launch.LAUNCHED in os.environ or int(os.environ.get("RANK", "0")):
        _fit(job, folder)
        raise SystemExit(0)  # one process publishes
    with checkpoints.lock(folder, SAVING_SECONDS if slurm.job() else 0):
        store.note(folder, job.path("manifest"), *told)
        final = folder / store.FINAL
        damage = checkpoints.fault(final) or (None if (folder / learned.LIST).is_file() else "no list of patients")
        if damage:
            if final.is_dir():
                job.say(f"the finished model is not whole ({damage})")
            _train(job, folder)
        else:
            job.say("finished before with the same settings, data and code: nothing to train")
        learned.copy(folder / learned.LIST, job.path("manifest").parent)
        _publish(job, final)


def _told(job: stage.Job) -> tuple[dict[str, Any], dict[str, list[list[str]]], str]:
    """Settings, data and code: what the training's key is made of."""
    files = {name: [job.path(name)] for name in ("train", "tuning", "tokenizer")} | {"start": job.paths("start")}
    return job.settings, store.content(files), job.code or checkpoints.sources(Path(__file__).parent)


def _train(job: stage.Job, folder: Path) -> None:
    """On the devices that are this training's own; on several by as many processes."""
    with devices.leased(int(os.environ.get("NOTECAST_GPUS", "1")), job.say) as given:
        nodes, several = slurm.nodes(), max(len(given), 1)
        job.facts["gpu"] = devices.described() * nodes
        if "WORLD_SIZE" in os.environ or nodes * several == 1:
            _fit(job, folder)
            return
        job.say(f"one process on each of {several} GPUs of {nodes} nodes")
        due = interruption.due()
        status, stopped = launch.run(several, nodes)
        late = due is not None and time.time() >= due
        if status and (stopped or late):  # what was saved the processes have said
            _come_back(job, late and not stopped)
            raise SystemExit(TRY_AGAIN)
        if status:
            raise stage.StageError(f"the training's processes ended with status {status}; the private log says why")


def _fit(job: stage.Job, folder: Path) -> None:
    """Train until `folder`/final is whole; exits with TRY_AGAIN when a signal came first."""
    from lib import fitting  # torch and transformers: two to three seconds

    interrupted = fitting.fit(job.settings, job.files, folder, job.tell)
    if interrupted:
        job.say(f"{interrupted}: saved at the end of the step; run again to go on from there")
        if launch.LAUNCHED not in os.environ:
            _come_back(job, interrupted == interruption.TIME)
        raise SystemExit(TRY_AGAIN)


def _come_back(job: stage.Job, out_of_time: bool) -> None:
    """A job of SLURM's whose time is over goes back into the queue by itself, and takes no retry of Snakemake's.

    Where the site or the profile does not let it, the exit status asks for a retry.
    """
    if out_of_time and slurm.requeue():
        job.say("the job goes back into the queue")
        time.sleep(REQUEUED_SECONDS)  # it is ended meanwhile


def _publish(job: stage.Job, final: Path) -> None:
    """Copy the finished model to the declared outputs, the manifest last."""
    for output, name in FINAL.items():
        with shards.atomic(job.path(output)) as temporary:
            shutil.copyfile(final / name, temporary)


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["train", "tuning", "tokenizer", "start*", "work"], outputs=list(FINAL))
