"""Whom a model has learned from: the patients of its training and tuning rows, in a file that stays with it.

It answers "which models hold this patient?" for as long as a model is kept, whatever has become of its dataset. It
lies beside the folder of a model, not in it: a folder that is given away takes no identifiers along.
"""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lib import shards

LIST = "patients.parquet"


def beside(folder: Path) -> Path:
    """Where the list of a published model lies."""
    return folder.with_name(f"{folder.name}.{LIST}")


def folder_of(path: Path) -> Path:
    """The folder of the model whose list `path` is: beside it, or in it where nothing is given away (store/)."""
    return path.parent if path.name == LIST else path.with_name(path.name.removesuffix(f".{LIST}"))


def note(path: Path, *persons: pa.Array | pa.ChunkedArray) -> None:
    """Write the patients, each once and in order. Before the model is written: a model never lacks its list."""
    chunks = [chunk for ids in persons for chunk in (ids.chunks if isinstance(ids, pa.ChunkedArray) else [ids])]
    unique = pc.unique(pa.chunked_array(chunks, persons[0].type))
    table = pa.table({"person_id": unique.take(pc.sort_indices(unique))})
    shards.write_parquet(path, table.schema, [table])


def copy(path: Path, folder: Path) -> None:
    """Put the list at `path` beside the published model in `folder`."""
    with shards.atomic(beside(folder)) as temporary:
        shutil.copyfile(path, temporary)
