"""Shards are whole or absent, and their bytes do not depend on how the rows arrived."""

from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import shards
from lib.stage import StageError

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


@pytest.mark.parametrize("left", [0, 7, 0.5, -8])
def test_a_shard_that_was_cut_off_is_told_by_its_name_below_the_private_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: float
) -> None:
    """`left`: bytes, or their share; an Arrow stream without its last eight would read as a whole one."""
    monkeypatch.setenv("NOTECAST_PRIVATE", str(tmp_path / "rooms" / "demo"))
    folder = tmp_path / "rooms" / "demo" / "clean"
    readers = {
        "parquet": (shards.write_parquet, [shards.read_parquet, shards.iter_parquet, shards.parquet_schema]),
        "arrow": (shards.write_arrow, [shards.read_arrow, shards.iter_arrow, shards.arrow_schema]),
    }
    for suffix, (write, reading) in readers.items():
        path = folder / f"2019.{suffix}"
        write(path, SCHEMA, [table(1500)])
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * left) if 0 < left < 1 else int(left)])
        for read in reading:
            with pytest.raises(StageError) as told:
                for _ in read(path):
                    pass
            assert str(told.value).startswith(f"<private_root>/demo/clean/2019.{suffix} is damaged or was cut off: ")
            assert str(tmp_path) not in str(told.value)


def test_a_damaged_page_is_told_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    shards.write_parquet(path, SCHEMA, [table(1500)])
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"^x\.parquet is damaged"):
        list(shards.iter_parquet(path))


def test_what_goes_wrong_with_the_rows_of_a_whole_shard_is_not_the_shards_fault(tmp_path: Path) -> None:
    shards.write_parquet(tmp_path / "x.parquet", SCHEMA, [table(3)])
    with pytest.raises(OSError, match="the disk"):
        for _ in shards.iter_parquet(tmp_path / "x.parquet"):
            raise OSError("the disk")
    with pytest.raises(FileNotFoundError):
        shards.read_parquet(tmp_path / "none.parquet")
