"""dataset: rows of a part with what a model reads; a part's bytes depend on its own rows alone."""

from pathlib import Path

import pyarrow as pa
import pytest

import dataset
from lib import shards, stage

PARTS = ["train", "tuning", "test"]
COUNTED = ["train", "tuning"]
IDS = [("visit_id", pa.int64()), ("note_id", pa.int64()), ("person_id", pa.int64())]
ELIGIBLE = pa.schema(
    [
        ("window", pa.string()),
        *IDS,
        ("index_time", pa.timestamp("us")),
        ("part", pa.string()),
        ("label", pa.int64()),
    ]
)
SHARD = {
    "tokens": (pa.schema([("visit_id", pa.int64()), ("input_ids", pa.list_(pa.uint16()))]), ".arrow"),
    "text": (pa.schema([("visit_id", pa.int64()), ("text", pa.string())]), ".parquet"),
    "features": (
        pa.schema([("visit_id", pa.int64()), ("feature_b", pa.float64()), ("feature_a", pa.float64())]),
        ".labels.parquet",
    ),
}


def run(tmp_path: Path, encoding: str, stays: list[tuple[str, int, str | None]]) -> dict[str, pa.Table]:
    """stays: (window, visit_id, part); every window's shard also holds a stay that is not in."""
    tmp_path.mkdir(exist_ok=True)
    rows = [
        {"window": w, "visit_id": v, "note_id": v, "person_id": v, "index_time": None, "part": p, "label": v % 2}
        for w, v, p in stays
    ]
    shards.write_parquet(tmp_path / "rows", ELIGIBLE, [pa.Table.from_pylist(rows, ELIGIBLE)])
    schema, suffix = SHARD[encoding]
    paths = []
    for window in sorted({w for w, _, _ in stays}):
        visits = sorted([v for w, v, _ in stays if w == window] + [10_000])
        values = {
            "input_ids": [[v % 100] * (v % 5) for v in visits],
            "text": [f"text {v}" for v in visits],
            "feature_a": [float(v) for v in visits],
            "feature_b": [None for _ in visits],
        }
        table = pa.table({n: visits if n == "visit_id" else values[n] for n in schema.names}, schema=schema)
        paths.append(tmp_path / f"{window}{suffix}")
        (shards.write_arrow if suffix == ".arrow" else shards.write_parquet)(paths[-1], schema, [table])
    files = {
        "rows": tmp_path / "rows",
        "shards": paths,
        "manifests": [tmp_path / f"{part}.json" for part in PARTS],
        "datasets": [tmp_path / f"{part}.out" for part in PARTS],
    }
    dataset.main(stage.Job({"encoding": encoding, "parts": PARTS, "counted": COUNTED}, files))
    return {part: shards.read_arrow(tmp_path / f"{part}.out") for part in PARTS}


STAYS = [("2019", 3, "train"), ("2019", 4, "test"), ("2019", 5, None), ("2020", 1, "train"), ("2020", 2, "train")]


@pytest.mark.parametrize(
    ("encoding", "columns"),
    [("tokens", ["input_ids"]), ("text", ["text"]), ("features", ["feature_a", "feature_b"])],
)
def test_a_part_has_its_rows_with_what_the_model_reads(tmp_path: Path, encoding: str, columns: list[str]) -> None:
    found = run(tmp_path, encoding, STAYS)
    assert found["train"].column_names == ["visit_id", "note_id", "person_id", "index_time", "label", *columns]
    assert found["train"]["visit_id"].to_pylist() == [3, 1, 2]
    assert found["train"]["label"].to_pylist() == [1, 1, 0]
    expected = {"input_ids": [[3] * 3, [1], [2] * 2], "text": ["text 3", "text 1", "text 2"], "feature_a": [3, 1, 2]}
    assert found["train"][columns[0]].to_pylist() == expected[columns[0]]
    assert found["tuning"].num_rows == 0 and found["test"]["visit_id"].to_pylist() == [4]
    manifest = shards.read_json(tmp_path / "train.json")
    assert (manifest["rows"], manifest["counts"]) == (3, {"classes": {"0": 1, "1": 2}})
    assert shards.read_json(tmp_path / "test.json")["counts"] == {"classes": None}, "the part is shut"


def test_a_part_is_equal_whatever_is_added_to_the_others(tmp_path: Path) -> None:
    run(tmp_path / "a", "tokens", STAYS)
    run(tmp_path / "b", "tokens", [*STAYS, ("2020", 9, "test"), ("2021", 6, "test"), ("2021", 7, None)])
    assert (tmp_path / "a/train.json").read_bytes() == (tmp_path / "b/train.json").read_bytes()
    assert (tmp_path / "a/test.json").read_bytes() != (tmp_path / "b/test.json").read_bytes()


def test_a_stay_that_the_shard_lacks_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(stage.StageError, match="lacks 1 of 3 eligible stays"):
        rows = pa.table({"visit_id": [1, 2, 3]})
        shard = pa.table({"visit_id": [1, 3], "text": ["a", "b"]})
        shards.write_parquet(tmp_path / "s.parquet", shard.schema, [shard])
        list(dataset.rows_of(tmp_path / "s.parquet", rows, [shard.schema.field("text")]))
