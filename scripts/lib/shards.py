"""Shards and their manifests: files that are whole or absent, and small JSON that says what is there.

A shard is written to a temporary name in its own folder and renamed. A manifest is deterministic: schema, rows,
sha256 of each file, counts; never times, hosts or paths. Because Snakemake compares the checksums of small files,
a manifest that comes out equal cuts a rerun off there. A shard that cannot be read is told by its name (StageError).
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from lib.files import append_json, atomic, read_json, read_json_lines, scratch, sha256, write_json
from lib.stage import StageError

__all__ = [
    "ROW_GROUP_ROWS",
    "ArrowWriter",
    "append_json",
    "arrow_schema",
    "atomic",
    "iter_arrow",
    "iter_parquet",
    "manifest",
    "parquet_schema",
    "read_arrow",
    "read_json",
    "read_json_lines",
    "read_parquet",
    "scratch",
    "sha256",
    "write_arrow",
    "write_json",
    "write_parquet",
]

ROW_GROUP_ROWS = 1_000  # fixed, so that bytes do not depend on the fetch batch
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch | pa.Table]) -> int:
    """Stream batches (of any size) into zstd Parquet with row groups of ROW_GROUP_ROWS; returns the rows written."""
    rows = 0
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for table in _regroup(schema, batches):
            writer.write_table(table.combine_chunks(), row_group_size=ROW_GROUP_ROWS)
            rows += table.num_rows
    return rows


class ArrowWriter:
    """Write tables of any size to an Arrow IPC stream (which `datasets` memory-maps), whole or not at all.

    A context manager; record batches have ROW_GROUP_ROWS rows whatever sizes come in.
    """

    def __init__(self, path: Path, schema: pa.Schema, compression: str | None = None) -> None:
        self._schema = schema
        self._options = ipc.IpcWriteOptions(compression=compression)
        self._file = atomic(path)
        self._pending = pa.Table.from_batches([], schema)

    def __enter__(self) -> "ArrowWriter":
        self._stream = ipc.new_stream(str(self._file.__enter__()), self._schema, options=self._options)
        return self

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        *whole, self._pending = _cut(pa.concat_tables([self._pending, _conformed(self._schema, batch)]))
        for table in whole:
            self._write(table)

    def _write(self, table: pa.Table) -> None:
        # Rows are copied into buffers of their own: a slice would be written with the padding of what it came from.
        if table.num_rows:
            self._stream.write_table(table.take(pa.array(range(table.num_rows))).combine_chunks())

    def __exit__(self, *failure: Any) -> None:
        try:
            if failure[0] is None:
                self._write(self._pending)
        finally:
            self._stream.close()
            self._file.__exit__(*failure)


def write_arrow(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch | pa.Table]) -> int:
    """Stream batches into an uncompressed Arrow IPC stream; returns the rows written."""
    rows = 0
    with ArrowWriter(path, schema) as writer:
        for batch in batches:
            writer.write(batch)
            rows += batch.num_rows
    return rows


def _conformed(schema: pa.Schema, batch: pa.RecordBatch | pa.Table) -> pa.Table:
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    return table.select(schema.names).cast(schema)


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    """Tables of exactly ROW_GROUP_ROWS rows, then the rest, which may be empty."""
    whole = table.num_rows - table.num_rows % ROW_GROUP_ROWS
    for start in range(0, whole, ROW_GROUP_ROWS):
        yield table.slice(start, ROW_GROUP_ROWS)
    yield table.slice(whole)


def _regroup(schema: pa.Schema, batches: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[pa.Table]:
    """Tables of exactly ROW_GROUP_ROWS rows (the last may be shorter), whatever the sizes that come in."""
    pending = pa.Table.from_batches([], schema)
    for batch in batches:
        *whole, pending = _cut(pa.concat_tables([pending, _conformed(schema, batch)]))
        yield from whole
    if pending.num_rows:
        yield pending


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """StageError naming the shard at `path`, and no folder of the host's, if what is done here finds it damaged."""
    try:
        yield
    except (FileNotFoundError, PermissionError, pa.ArrowMemoryError):
        raise
    except (pa.ArrowException, OSError):
        private = os.environ.get("NOTECAST_PRIVATE")
        whole = Path(path).absolute()
        inside = private is not None and whole.is_relative_to(private)
        name = f"<private_root>/{Path(private or '').name}/{whole.relative_to(private or '')}" if inside else whole.name
        raise StageError(f"{name} is damaged or was cut off: remove it and run again; it is made anew") from None


@contextmanager
def _stream(path: Path) -> Iterator[ipc.RecordBatchStreamReader]:
    with _reading(path), pa.memory_map(str(path)) as source:
        # Without its mark of the end, a stream that was cut off between two batches would read as a shorter one.
        source.seek(max(0, source.size() - len(_END_OF_STREAM)))
        if source.read() != _END_OF_STREAM:
            raise pa.ArrowInvalid
        source.seek(0)
        yield ipc.open_stream(source)


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    with _reading(path):
        return pq.ParquetFile(path).read(columns=columns)


def iter_parquet(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Batches of at most ROW_GROUP_ROWS rows, so that memory does not follow the shard's size."""
    with _reading(path), pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=ROW_GROUP_ROWS, columns=columns)


def iter_arrow(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Record batches of a memory-mapped Arrow stream."""
    with _stream(path) as stream:
        for batch in stream:
            yield batch if columns is None else batch.select(columns)


def read_arrow(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A memory-mapped table; only touched pages are read."""
    with _stream(path) as stream:
        table = stream.read_all()
    return table if columns is None else table.select(columns)


def manifest(files: Iterable[Path], rows: int, schema: pa.Schema | None = None, **facts: Any) -> dict[str, Any]:
    """What is there: `files` by name with bytes and sha256, `rows`, `schema` as [name, type] pairs, further facts."""
    described = {Path(f).name: {"bytes": Path(f).stat().st_size, "sha256": sha256(f)} for f in files}
    content: dict[str, Any] = {"files": described, "rows": rows, **facts}
    if schema is not None:
        content["schema"] = [[field.name, str(field.type)] for field in schema]
    return content


def parquet_schema(path: Path) -> pa.Schema:
    with _reading(path):
        return pq.read_schema(path)


def arrow_schema(path: Path) -> pa.Schema:
    with _stream(path) as stream:
        return pa.schema(stream.schema)
