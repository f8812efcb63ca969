"""duplicates: pairs of nearly the same text across windows and patients, with their exact similarity."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import command
import duplicates
from lib import shards, stage
from test_minhash import changed, naive, text

NOTES = [text() for _ in range(40)]
ALIKE, SO_SO = changed(NOTES[0], 2), changed(NOTES[1], 8)
# Windows of (visit, patient, text): 101 is nearly visit 0's text of another patient, 102 visit 5's own patient's.
WINDOWS = [
    [(i, i, " ".join(words)) for i, words in enumerate(NOTES[:20])],
    [(i, i, " ".join(words)) for i, words in enumerate(NOTES[20:], 20)]
    + [(101, 101, ALIKE), (102, 5, " ".join(NOTES[5])), (103, 103, SO_SO)],
]


def job(folder: Path, windows: list, identity: pa.DataType | None = None) -> stage.Job:
    kind = identity or pa.int64()
    schema = pa.schema([("visit_id", kind), ("person_id", kind), ("text", pa.string())])
    paths = []
    for number, rows in enumerate(windows):
        given = [str(v) if kind == pa.string() else v for v, _, _ in rows], [f"{p}" for _, p, _ in rows]
        columns = [
            pa.array(given[0], kind),
            pa.array(given[1]).cast(kind),
            pa.array([t for *_, t in rows], pa.string()),
        ]
        paths.append(folder / f"{number}.parquet")
        shards.write_parquet(paths[-1], schema, [pa.table(columns, schema=schema)])
    return stage.Job({}, {"clean": paths, "pairs": folder / "pairs", "manifest": folder / "manifest"})


def test_pairs_within_and_between_patients(tmp_path: Path) -> None:
    asked = job(tmp_path, WINDOWS)
    duplicates.main(asked)
    similar = naive(" ".join(NOTES[0]), ALIKE)
    assert 0.8 < similar < 1 and naive(" ".join(NOTES[1]), SO_SO) < 0.8
    pairs = shards.read_parquet(asked.path("pairs"))
    assert pairs.drop_columns(["person_id_a", "person_id_b"]).to_pylist() == [
        {"visit_id_a": 0, "visit_id_b": 101, "jaccard": pytest.approx(similar), "same_patient": False},
        {"visit_id_a": 5, "visit_id_b": 102, "jaccard": 1.0, "same_patient": True},
    ]
    persons = zip(pairs["person_id_a"].to_pylist(), pairs["person_id_b"].to_pylist(), strict=True)
    assert [one == other for one, other in persons] == [False, True]
    counts = shards.read_json(asked.path("manifest"))["counts"]
    assert counts == {
        "texts": 43,
        "pairs": {"same patient": 1, "other patients": 1},
        "buckets not compared in full": 0,
    }
    assert not list(tmp_path.glob(".*")), "the scratch file is gone"


def test_ids_may_be_text_and_the_command_gives_the_same(tmp_path: Path) -> None:
    asked = job(tmp_path / "a", WINDOWS, pa.string())
    duplicates.main(asked)
    assert shards.read_parquet(asked.path("pairs"))["visit_id_b"].to_pylist() == ["101", "102"]
    again = job(tmp_path / "b", WINDOWS, pa.string())
    command.run(Path(duplicates.__file__), again)
    assert again.path("pairs").read_bytes() == asked.path("pairs").read_bytes()


def test_a_cohort_without_texts(tmp_path: Path) -> None:
    asked = job(tmp_path, [[], []])
    duplicates.main(asked)
    assert shards.read_parquet(asked.path("pairs")).num_rows == 0


def test_a_frequent_template_is_told(tmp_path: Path) -> None:
    rows = [(i, i, " ".join([*NOTES[0], str(i)])) for i in range(200)]
    asked = job(tmp_path, [rows])
    duplicates.main(asked)
    counts = shards.read_json(asked.path("manifest"))["counts"]
    assert counts["buckets not compared in full"] > 0
    table = shards.read_parquet(asked.path("pairs"))
    assert table.num_rows < 200 * 199 / 2
    assert len(np.unique([table["visit_id_a"], table["visit_id_b"]])) == 200
