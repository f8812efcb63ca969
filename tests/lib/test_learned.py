"""Whom a model has learned from, beside it."""

from pathlib import Path

import pyarrow as pa
import pytest

from lib import learned, shards


@pytest.mark.parametrize("key", [pa.int64(), pa.string()], ids=str)
def test_each_patient_once_in_order(tmp_path: Path, key: pa.DataType) -> None:
    path = learned.beside(tmp_path / "tiny" / "all-0")
    train = pa.chunked_array([pa.array([3, 1, 3]).cast(key), pa.array([2]).cast(key)])
    learned.note(path, train, pa.array([5, 1]).cast(key))
    table = shards.read_parquet(path)
    assert table["person_id"].to_pylist() == pa.array([1, 2, 3, 5]).cast(key).to_pylist()
    learned.note(path, pa.chunked_array([], key))
    assert shards.read_parquet(path).num_rows == 0


def test_list_and_folder_belong_together(tmp_path: Path) -> None:
    folder = tmp_path / "tiny" / "all-0"
    assert learned.beside(folder).parent == folder.parent, "a folder that is given away holds no ids"
    assert learned.folder_of(learned.beside(folder)) == folder
    assert learned.folder_of(folder / learned.LIST) == folder
