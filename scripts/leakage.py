"""Certify a task against leakage: patients, stays and texts across parts, near-duplicates, words that tell the label,
filing times, temporal order.

A failed check stops the run here, before a GPU is asked for, and leaves no certificate. The words that tell most are
text: they go to a file of their own, which only those may read who may read notes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib import leakage, revealing, shards, stage, wording

COLUMNS = ["visit_id", "person_id", "anchor_time", "index_time", "step", "reason", "part", "label", "text_hash"]
SHOWN = 50  # words in the private file


def main(job: stage.Job) -> None:
    settings = job.settings
    rows = shards.read_parquet(job.path("rows"), COLUMNS)
    words = _words(job.paths("clean"), rows.filter(pc.equal(rows["part"], "train")), settings)
    found = leakage.Evidence(
        rows=rows,
        extracts=[shards.read_json(path) for path in job.paths("extracts")],
        cleaned=[shards.read_json(path) for path in job.paths("cleaned")],
        pairs=shards.read_parquet(job.path("pairs")),
        duplicates=shards.read_json(job.path("duplicates")),
        words=words,
    )
    certificate = leakage.certificate(found, settings)
    failed = [check for check in certificate["checks"] if check["verdict"] == "fail"]
    # Of a stage that fails the workflow removes what it should have made; these words are there to be looked at.
    kept = job.path("terms").with_suffix(".failed.csv")
    kept.unlink(missing_ok=True)
    tell = any(check["check"] == leakage.WORDS for check in failed)
    if tell or not failed:
        revealing.write(kept if tell else job.path("terms"), (words or [])[:SHOWN], settings["class_names"])
    if failed:
        told = [f"{check['check']}: {_value(check)}, allowed {check['limit']}" for check in failed]
        told += [f"the words are in leakage/{kept.name} of the private folder"] if tell else []
        raise stage.StageError("; ".join([f"task {settings['task']} leaks", *told]))
    shards.write_json(job.path("certificate"), certificate)


def _value(check: leakage.Check) -> str:
    return wording.HIDDEN if check["value"] is None else str(check["value"])


def _words(clean: list[Path], training: pa.Table, settings: dict[str, Any]) -> list[revealing.Term] | None:
    """The words of the training rows, ranked by how well they tell the label."""
    visits = training["visit_id"].combine_chunks()

    def batches(column: str) -> Iterator[pa.Array]:
        for path in clean:
            for batch in shards.iter_parquet(path, ["visit_id", column]):
                yield batch.filter(pc.is_in(batch["visit_id"], value_set=visits))[column]

    found = pa.concat_arrays([pa.array([], visits.type), *batches("visit_id")])
    training = training.take(pc.index_in(found, value_set=visits))
    return revealing.ranked(
        lambda: (text for texts in batches("text") for text in texts.to_pylist()),
        training["person_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64),
        training["label"].to_numpy(),
        len(settings["class_names"]),
        settings["min_cell"],
    )


if __name__ == "__main__":
    stage.run(
        main,
        __doc__,
        inputs=["rows", "extracts*", "cleaned*", "clean*", "pairs", "duplicates"],
        outputs=["certificate", "terms"],
    )
