"""The list of those who opted out: read as people write it, copied so that nothing can be told from outside."""

from pathlib import Path

import pyarrow as pa
import pytest

from lib import optouts, shards


def test_a_list_as_people_write_it() -> None:
    written = "\ufeff# withdrawn in March\r\n 12 \r\n\r\n007  # by letter\r\n12\r\n-3\n".encode()
    assert optouts.parse(written, "integer") == ["-3", "12", "7"]
    assert optouts.parse(b"A#1\nb c # x\n007\n#no", "text") == ["007", "A#1", "b c"]
    assert optouts.parse(b"", "integer") == []


@pytest.mark.parametrize("written", [b"12\nSmith\n", b"1\n1e6\n", "1\n\u0663\n".encode()])
def test_a_fault_is_told_by_its_line_and_not_by_what_stands_there(written: bytes) -> None:
    with pytest.raises(ValueError, match=r"^line 2 is not a whole number, and source.id_type is integer$"):
        optouts.parse(written, "integer")
    with pytest.raises(ValueError, match="it is not UTF-8"):
        optouts.parse(b"\xff\xfe1", "text")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        optouts.load(str(tmp_path / "none"), "text")
    assert optouts.load(None, "text") == []


def test_the_copy_changes_with_the_ids_only_and_its_checksum_tells_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "list.txt", tmp_path / "b" / "list.txt"
    for path in (first, second):
        optouts.publish(path, ["1", "2"])
    assert shards.sha256(first) != shards.sha256(second), "salted"
    before, version = first.read_bytes(), optouts.version(first)
    optouts.publish(first, ["1", "2"])
    assert first.read_bytes() == before
    assert optouts.read(first).to_pylist() == ["1", "2"]
    optouts.publish(first, [])
    assert optouts.read(first).to_pylist() == [] and optouts.version(first) != version
    assert optouts.version(tmp_path / "none") is None


@pytest.mark.parametrize("key", [pa.int64(), pa.int32(), pa.string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_rows_of_a_patient_are_found_in_any_file_and_type_of_id(tmp_path: Path, key: pa.DataType, ending: str) -> None:
    persons = pa.array([str(n % 700) for n in range(2500)])
    table = pa.table({"text": ["x"] * 2500, "person_id": persons.cast(key), "visit_id": range(2500)})
    path = tmp_path / f"w{ending}"
    if ending == ".parquet":
        shards.write_parquet(path, table.schema, [table])
    else:
        with shards.ArrowWriter(path, table.schema, "zstd") as writer:
            writer.write(table)
    found = optouts.rows_of(path, pa.array(["3", "699", "1000", "03"]))
    assert found is not None and sorted(found.to_pylist()) == ["3"] * 4 + ["699"] * 3


def test_a_file_that_does_not_say_whose_its_rows_are_cannot_be_told(tmp_path: Path) -> None:
    for name, columns in (("visits", {"visit_id": [1]}), ("notes", {"note_id": [1]}), ("other", {"term": ["a"]})):
        table = pa.table(columns)
        shards.write_parquet(tmp_path / f"{name}.parquet", table.schema, [table])
    pairs = {"visit_id_a": [1, 2], "visit_id_b": [2, 3], "person_id_a": [7, 8], "person_id_b": [8, 1]}
    for name, table in (("pairs", pa.table(pairs)), ("unnamed", pa.table(pairs).select(["visit_id_a"]))):
        shards.write_parquet(tmp_path / f"{name}.parquet", table.schema, [table])
    ids = pa.array(["1"])
    assert optouts.rows_of(tmp_path / "pairs.parquet", ids).to_pylist() == ["1"]
    assert optouts.rows_of(tmp_path / "unnamed.parquet", ids) is None
    assert optouts.rows_of(tmp_path / "visits.parquet", ids) is None
    assert optouts.rows_of(tmp_path / "notes.parquet", ids) is None
    assert optouts.rows_of(tmp_path / "other.parquet", ids).to_pylist() == []
