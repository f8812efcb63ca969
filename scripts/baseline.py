"""Fit a baseline (TF-IDF or structured features, logistic regression) on a task's training rows.

The strength of the penalty is chosen on the tuning part; nothing else is fitted there. See lib/baselines.py. The
manifest's `data` holds the hashes of the files that were seen.
"""

from lib import baselines, learned, shards, stage, subsets


def main(job: stage.Job) -> None:
    settings = job.settings
    train, tuning = (shards.read_arrow(job.path(part)) for part in ("train", "tuning"))
    job.say(f"{settings['kind']}: {train.num_rows} training and {tuning.num_rows} tuning rows")
    try:
        chosen = subsets.chosen(train, settings["size"], settings["seed"])
        learned.note(learned.beside(job.path("manifest").parent), chosen["person_id"], tuning["person_id"])
        fitted = baselines.fit(train, tuning, settings)
    except stage.StageError as error:
        raise stage.StageError(f"{'/'.join(job.path('train').parts[-3:-1])}: {error}") from None
    facts = fitted.facts
    job.say(f"C {facts['C']:g}, tuning AUROC {facts['tuning']['value']:.3f}")
    if facts["C_at_edge_of_grid"]:
        job.say(f"C is at the {facts['C_at_edge_of_grid']} edge of c_grid: a wider grid may do better")
    fitted.facts["data"] = {part: shards.sha256(job.path(part)) for part in ("train", "tuning")}
    baselines.save(fitted, job.path("model"), job.path("weights"), job.path("manifest"))


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["train", "tuning"], outputs=["model", "weights", "manifest"])
