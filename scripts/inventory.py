"""Take the inventory of a cohort's windows: the rows and hashes of its clean texts and of its split, in one small file.

It is a checkpoint of the workflow: when cleaning or splitting runs again and everything comes out as it was, this file
is equal too, and nothing behind it runs. Everything that learns stands behind it: a patient who has opted out and is
still held in an extract stops the run here.
"""

import json
from collections import Counter
from typing import Any

from lib import canonical_json, optouts, shards, stage


def main(job: stage.Job) -> None:
    _nobody_opted_out(job)
    content: dict[str, Any] = {"releases": _releases(job)}
    for kind in ("clean", "split"):
        windows = {path.stem: shards.read_json(path) for path in job.paths(kind)}
        content[kind] = {name: {key: manifest[key] for key in ("files", "rows")} for name, manifest in windows.items()}
    shards.write_json(job.path("inventory"), content)
    texts, stays = (sum(window["rows"] for window in content[kind].values()) for kind in ("clean", "split"))
    job.say(f"{stays} stays, {texts} with a text, in {len(content['clean'])} windows")


def _releases(job: stage.Job) -> list[Any]:
    """The releases of the warehouse that the windows are of; StageError if they are many and may not be."""
    windows = Counter(canonical_json(shards.read_json(path).get("release")) for path in job.paths("manifests"))
    if len(windows) > 1 and job.settings["releases"] == "one":
        raise stage.StageError(
            f"{job.path('inventory').stem}: its extracts are of {len(windows)} releases of the warehouse "
            f"({', '.join(str(n) for n in sorted(windows.values()))} of them each): remove the older windows of "
            "extract/, or set source.releases to any"
        )
    return [json.loads(release) for release in sorted(windows) if release != "null"]


def _nobody_opted_out(job: stage.Job) -> None:
    """Raises StageError, with counts, if an extract holds a patient of the list."""
    ids = optouts.read(job.path("exclusions"))
    patients: set[str] = set()
    windows: set[str] = set()
    for path in job.paths("extracts") if len(ids) else []:
        found = optouts.rows_of(path, ids)
        if found is None:
            raise stage.StageError(f"{path.parent.name}/{path.name} does not say whose its rows are; remove it")
        if len(found):
            patients.update(found.to_pylist())
            windows.add(path.name.split(".")[0])
    if patients:
        raise stage.StageError(
            f"{job.path('inventory').stem}: {len(patients)} patients who opted out (source.exclusions) are still held "
            f"in {len(windows)} windows, and perhaps in models; run: python scripts/purge.py --configfile FILE --remove"
        )


if __name__ == "__main__":
    stage.run(
        main, __doc__, inputs=["clean*", "split*", "extracts*", "manifests*", "exclusions"], outputs=["inventory"]
    )
