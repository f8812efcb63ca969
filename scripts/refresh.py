"""Ask the warehouse what has changed: who has opted out, its release, and whether the last windows are as they were.

The graph never asks: it reads what this step wrote. A window whose fingerprint query answers otherwise than when its
rows were fetched gets another `turn`, a setting of its extraction, and is extracted again by the next run; so is every
window of the look-back whose query has no fingerprint. What lies further back, and what a fingerprint does not count,
is not seen. settings: of each cohort its queries and the bounds of its last windows; release and exclusion queries.
"""

from pathlib import Path
from typing import Any

import extract
from lib import fetched, optouts, shards, stage, warehouse
from lib.files import write_text


def main(job: stage.Job) -> None:
    source = job.path("database")
    found = warehouse.repeated(source, lambda: _ask(job), job.say)
    if job.settings["exclusions"]:
        optouts.keep_answer(job.path("fetched").parent, found["exclusions"])
    state = job.path("state")
    turns = shards.read_json(state)["turns"] if state.is_file() else {}
    for name in found["changed"]:
        turns[name] = turns.get(name, 0) + 1
    shards.write_json(state, {"turns": turns, "releases": found["releases"]})
    write_text(job.path("page"), "".join(f"{line}\n" for line in found["told"]))


def _ask(job: stage.Job) -> dict[str, Any]:
    settings, folder = job.settings, job.path("fetched")
    changed, told = [], []
    with warehouse.connect(job.path("database")) as connection:
        exclusions = _exclusions(connection, settings["exclusions"], settings["id_type"])
        if settings["exclusions"]:
            told.append(f"patients who have opted out: {len(exclusions)}")
        releases = {name: extract.said(connection, query, {}) for name, query in settings["releases"].items()}
        for cohort, block in settings["cohorts"].items():
            moved: dict[str, list[str]] = {"text": [], "labels": []}
            for window, *bounds in block["windows"]:
                for kind, names in moved.items():
                    path = folder / cohort / f"{window}.{kind}.parquet"
                    if path.is_file() and _moved(connection, block["queries"][kind], bounds, path):
                        names.append(f"{cohort}/{window}.{kind}")
            changed += [name for names in moved.values() for name in names]
            told.append(
                f"{cohort}: of the last {len(block['windows'])} windows the texts of {len(moved['text'])} and the "
                f"labels of {len(moved['labels'])} have changed, and are extracted again by the next run"
            )
    return {"exclusions": exclusions, "releases": releases, "changed": changed, "told": told}


def _moved(connection: Any, query: dict[str, Any], bounds: list[str], path: Path) -> bool:
    settings = query | dict(zip(extract.TIMES[: None if query["kind"] == "labels" else 2], bounds, strict=False))
    before, now = fetched.fingerprint(path), extract.fingerprint(connection, settings)
    return now is None or now != before


def _exclusions(connection: Any, query: dict[str, Any] | None, id_type: str) -> list[str]:
    """The ids that the query gives, as text, each once; StageError without them if it gives anything else."""
    found = set()
    for row in extract.said(connection, query, {}):
        if len(row) != 1:
            raise stage.StageError(f"source.exclusions_sql: the query has {len(row)} columns: it gives ids, one a row")
        (patient,) = row.values()
        if patient == "None" or (id_type == "integer" and not patient.lstrip("-").isdigit()):
            raise stage.StageError(f"source.exclusions_sql: a value is no {id_type} id; look at the query")
        found.add(patient)
    return sorted(found)


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["database", "fetched"], outputs=["state", "page"])
