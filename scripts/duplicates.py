"""Find the near-duplicates among a cohort's clean texts: pairs whose five-word shingles have a Jaccard index of .8.

Within and between patients and windows. How: scripts/lib/minhash.py. Memory holds 256 bytes a text; the shingles lie
in a scratch file in the private folder while the stage runs.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib import minhash, shards, stage


def main(job: stage.Job) -> None:
    identity = shards.parquet_schema(job.paths("clean")[0]).field("visit_id").type
    visits, persons = [pa.array([], identity)], [pa.array([], identity)]
    signed, starts = [np.empty((0, minhash.PERMUTATIONS), np.uint32)], [np.zeros(1, np.int64)]
    with shards.scratch(job.path("pairs")) as scratch:
        with open(scratch, "wb") as file:
            for batch in _batches(job.paths("clean")):
                hashes, begins = minhash.shingles(batch["text"].to_pylist())
                hashes.tofile(file)
                starts.append(starts[-1][-1] + begins[1:])
                signed.append(minhash.signatures(hashes, begins))
                visits.append(batch["visit_id"])
                persons.append(batch["person_id"])
        pairs, capped = minhash.candidates(np.concatenate(signed))
        similar = _similarities(scratch, np.concatenate(starts), pairs)
    pairs, similar = pairs[similar >= minhash.SIMILAR], similar[similar >= minhash.SIMILAR]
    table = _table(pa.concat_arrays(visits), pa.concat_arrays(persons), pairs, similar)
    shards.write_parquet(job.path("pairs"), table.schema, [table])
    same = int(np.count_nonzero(table["same_patient"]))
    counts = {
        "texts": sum(map(len, visits)),
        "pairs": {"same patient": same, "other patients": len(pairs) - same},
        "buckets not compared in full": capped,
    }
    shards.write_json(
        job.path("manifest"), shards.manifest([job.path("pairs")], len(pairs), table.schema, counts=counts)
    )
    job.say(f"{counts['texts']} texts, {len(pairs)} pairs, {same} of them of one patient")


def _batches(clean: list[Path]) -> Iterator[pa.RecordBatch]:
    for path in clean:
        yield from shards.iter_parquet(path, ["visit_id", "person_id", "text"])


def _similarities(scratch: Path, starts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The exact similarity of each pair, (pairs,) float64; `pairs` in order, so that a first text is read once."""
    out = np.empty(len(pairs))
    hashes = np.memmap(scratch, np.uint64, "r") if len(pairs) else np.empty(0, np.uint64)
    known, first = -1, hashes[:0]
    for i, (a, b) in enumerate(pairs.tolist()):
        if a != known:
            known, first = a, np.unique(hashes[starts[a] : starts[a + 1]])
        out[i] = minhash.jaccard(first, np.unique(hashes[starts[b] : starts[b + 1]]))
    return out


def _table(visits: pa.Array, persons: pa.Array, pairs: np.ndarray, similar: np.ndarray) -> pa.Table:
    one, other = pa.array(pairs[:, 0]), pa.array(pairs[:, 1])
    columns = {
        f"{name}_{side}": ids.take(which)
        for name, ids in (("visit_id", visits), ("person_id", persons))
        for side, which in (("a", one), ("b", other))
    }
    same_patient = pc.equal(columns["person_id_a"], columns["person_id_b"])
    return pa.table(columns | {"jaccard": pa.array(similar, pa.float64()), "same_patient": same_patient})


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["clean*"], outputs=["pairs", "manifest"])
