"""A replay of an OMOP database for tests: its extracts by the real stage, and the job that asks again."""

from pathlib import Path
from typing import Any

import demo_hospital
import extract
import omop_db
from lib import optouts, point_in_time, stage

DEMO = {
    "seed": 3,
    "patients": 1200,
    "start": "2011-01-01",
    "end": "2014-12-31",
    "note_words": 60,
    "cue_share": 0.5,
    "late": 0,
    "dirt": 0.3,
    "leak": [],
}
WINDOWS = (("2012", "2012-01-01", "2013-01-01"), ("2013", "2013-01-01", "2014-01-01"))
KNOWN_UNTIL = "2015-01-01"


def hospital(folder: Path, **changed: Any) -> Path:
    """The demo hospital's database, in a folder of its own."""
    names = {"database": "hospital.sqlite", "oracle": "oracle.parquet", "manifest": "hospital.json"}
    demo_hospital.main(stage.Job(DEMO | changed, {name: folder / file for name, file in names.items()}))
    return folder / "hospital.sqlite"


def made(
    database: Path,
    folder: Path,
    cohort: str,
    text: str = "",
    labels: str = "",
    choices: dict[str, Any] | None = None,
    **changed: Any,
) -> stage.Job:
    """Extract two windows of `cohort`, by the shipped queries or the files `text` and `labels`; a job on them.

    `choices` are parameters of the cohort; `changed`, settings of the replay.
    """
    queries: dict[str, Any] = {}
    files: dict[str, list[Path]] = {"text": [], "labels": []}
    for kind, sql in (("text", text), ("labels", labels)):
        for name, *window in WINDOWS:
            given = omop_db.settings(cohort, kind, window, KNOWN_UNTIL, sql, **choices or {})
            shard = folder / f"{cohort}.{name}.{kind}.parquet"
            job_files = {"database": database, "shard": shard, "manifest": shard.with_suffix(".json")}
            optouts.publish(folder / "exclusions.txt", [])
            job_files["exclusions"] = folder / "exclusions.txt"
            job_files["fetched"] = folder / "fetched" / cohort / shard.name
            extract.main(stage.Job(given, job_files, {}))
            files[kind].append(shard)
        queries[kind] = {k: v for k, v in given.items() if k not in ("window_start", "window_end", "known_until")}
    until = f"{KNOWN_UNTIL} 00:00:00"
    settings = {
        "cohort": cohort,
        "stays": 10_000,
        "seed": 1,
        "queries": queries,
        "windows": [[name, f"{start} 00:00:00", f"{end} 00:00:00", until] for name, start, end in WINDOWS],
        "data_end": "2014-12-31",
        "point_in_time": point_in_time.read(omop_db.ROOT / omop_db.OMOP),
        "min_cell": 10,
    }
    names = {"database": database, "texts": files["text"], "labels": files["labels"], "work": folder / "work"}
    return stage.Job(settings | changed, names | {"certificate": folder / f"{cohort}.replay.json"}, {})
