"""Shards are whole or absent, and their bytes do not depend on how the rows arrived."""

from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import shards

SCHEMA = pa.schema([("visit_id", pa.int64()), ("text", pa.string())])


def table(rows: int) -> pa.Table:
    return pa.table({"visit_id": range(rows), "text": [f"note {i} " * (i % 7) for i in range(rows)]}, schema=SCHEMA)


def in_pieces(whole: pa.Table, sizes: list[int]) -> list[pa.Table]:
    pieces, start = [], 0
    while start < whole.num_rows:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(whole.slice(start, size))
        start += size
    return pieces


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 2600), min_size=1, max_size=4), st.sampled_from([0, 1, 999, 1000, 1001, 2500]))
def test_bytes_do_not_depend_on_the_batches(sizes: list[int], rows: int) -> None:
    import tempfile

    whole = table(rows)
    with tempfile.TemporaryDirectory() as folder:
        for write, suffix in ((shards.write_parquet, "parquet"), (shards.write_arrow, "arrow")):
            one, many = Path(folder, f"one.{suffix}"), Path(folder, f"many.{suffix}")
            assert write(one, SCHEMA, [whole]) == rows
            assert write(many, SCHEMA, in_pieces(whole, sizes)) == rows
            assert one.read_bytes() == many.read_bytes()
        assert shards.read_parquet(Path(folder, "many.parquet")).equals(whole)
        assert shards.read_arrow(Path(folder, "many.arrow")).equals(whole)


def test_a_stream_has_batches_of_a_fixed_size(tmp_path: Path) -> None:
    shards.write_arrow(tmp_path / "a.arrow", SCHEMA, in_pieces(table(2500), [700]))
    with pa.memory_map(str(tmp_path / "a.arrow")) as source:
        assert [batch.num_rows for batch in ipc.open_stream(source)] == [1000, 1000, 500]


@pytest.mark.parametrize("write", [shards.write_parquet, shards.write_arrow])
def test_a_failure_leaves_what_was_there(tmp_path: Path, write) -> None:
    path = tmp_path / "shard"
    write(path, SCHEMA, [table(3)])
    before = path.read_bytes()

    def broken():
        yield table(2000)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write(path, SCHEMA, broken())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["shard"]


def test_a_manifest_says_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    shards.write_parquet(path, SCHEMA, [table(5)])
    manifest = shards.manifest([path], 5, SCHEMA, counts={"null_text": 0})
    assert manifest["files"] == {"a.parquet": {"bytes": path.stat().st_size, "sha256": shards.sha256(path)}}
    assert manifest["schema"] == [["visit_id", "int64"], ["text", "string"]]
    assert (manifest["rows"], manifest["counts"]) == (5, {"null_text": 0})


def test_json_with_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        shards.write_json(tmp_path / "a.json", {"auroc": float("nan")})
    assert not (tmp_path / "a.json").exists()
