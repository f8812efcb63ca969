"""Write a task's predictions for a reviewer: random keys, labels, probabilities, coarse groups; and a manifest.

Off unless `share.enabled`. Inputs: the prediction files, fit by fit and for each the opened parts in their order, the
labels shards of the task's cohort (for the groups), and the file of the secret behind the keys, drawn when it is not
there. `lib.sharing` tells what is in the table and what is not; `scripts/recompute.py` recomputes the report from it.
"""

from lib import predictions, shards, sharing, stage

DONE = [
    "keys of rows and patients: BLAKE2b under a secret that stays at the site, another in each task",
    "left out: ids, times, texts, features, the order of the rows, parts that were not opened",
    "groups: values and combinations of fewer than min_group patients of a part pooled as 'other'",
    "probabilities and labels: as predicted and as labelled, unrounded",
]


def main(job: stage.Job) -> None:
    settings, task = job.settings, job.settings["task"]
    names, parts, files = settings["fits"], settings["parts"], job.paths("predictions")
    if len(files) != len(names) * len(parts) or not files:
        raise stage.StageError(f"{len(files)} prediction files for {len(names)} fits and {len(parts)} parts")
    keys = sharing.keyed(sharing.secret(job.path("key")), task["name"])
    tables = []
    for i, part in enumerate(parts):
        of_part = [predictions.read(path, task["classes"]) for path in files[i :: len(parts)]]
        stays = of_part[0].keys["visit_id"]
        values = sharing.group_values(job.paths("labels"), settings["groups"], stays)
        groups = dict(zip(settings["groups"], values, strict=True))
        fits = dict(zip(names, of_part, strict=True))
        tables.append(sharing.table_of(part, fits, groups, keys, settings["min_group"]))
        job.say(f"{part}: {len(stays)} rows")
    table = sharing.in_order_of_keys(tables)
    rows = shards.write_parquet(job.path("table"), table.schema, [table])
    facts = {
        "task": task,
        "fits": names,
        "parts": parts,
        "groups": {name: table[f"group_{name}"].unique().sort().to_pylist() for name in settings["groups"]},
        "min_group": settings["min_group"],
        "done": DONE,
    }
    shards.write_json(job.path("manifest"), shards.manifest([job.path("table")], rows, table.schema, **facts))


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["predictions*", "labels*", "key"], outputs=["table", "manifest"])
