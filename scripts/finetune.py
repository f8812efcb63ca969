"""Finetune a transformer on a task's training rows, and keep the checkpoint that is best on the tuning part.

Checkpoints live in the work folder under a hash of settings, data and code: killed at any moment, the next attempt
goes on from the newest whole one and ends with the same weights; a training that was finished before is published
again without training. SIGTERM or SIGUSR1: a checkpoint at the end of the step, then exit status 75.
"""

import os
import shutil
from pathlib import Path

from lib import checkpoints, learned, offline, shards, stage

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
    folder = job.path("work") / _key(job)
    if int(os.environ.get("RANK", "0")):
        _fit(job, folder)
        raise SystemExit(0)  # one process publishes
    with checkpoints.lock(folder):
        final = folder / "final"
        damage = checkpoints.fault(final) or (None if (folder / learned.LIST).is_file() else "no list of patients")
        if damage:
            if final.is_dir():
                job.say(f"the finished model is not whole ({damage})")
            _fit(job, folder)
        else:
            job.say("finished before with the same settings, data and code: nothing to train")
        learned.copy(folder / learned.LIST, job.path("manifest").parent)
        _publish(job, final)


def _key(job: stage.Job) -> str:
    files = {name: [job.path(name)] for name in ("train", "tuning", "tokenizer")} | {"start": job.paths("start")}
    code = job.code or checkpoints.sources(Path(__file__).parent)
    return checkpoints.key(job.settings, files, code)


def _fit(job: stage.Job, folder: Path) -> None:
    """Train until `folder`/final is whole; exits with TRY_AGAIN when a signal came first."""
    from lib import fitting  # torch and transformers: two to three seconds

    interrupted = fitting.fit(job.settings, job.files, folder, job.tell)
    if interrupted:
        job.say(f"{interrupted}: saved at the end of the step; run again to go on from there")
        raise SystemExit(TRY_AGAIN)


def _publish(job: stage.Job, final: Path) -> None:
    """Copy the finished model to the declared outputs, the manifest last."""
    for output, name in FINAL.items():
        with shards.atomic(job.path(output)) as temporary:
            shutil.copyfile(final / name, temporary)


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["train", "tuning", "tokenizer", "start*", "work"], outputs=list(FINAL))
