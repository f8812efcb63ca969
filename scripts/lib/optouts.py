"""Patients who have opted out: the list of them, and which rows of a file are theirs.

The site's list (`source.exclusions`) is a text file, one patient id a line. When the workflow starts, the ids are
copied below the private root, in order and without comments, and jobs read the copy. It is there without a list too,
so that the first one extracts nothing again. It begins with a line of random digits: its version, which changes when
the ids do and is all that a setting knows of them; and a salt, because Snakemake writes the checksums of small inputs
beside the clone, and a short list could be found from its checksum by trying every id.

What only jobs ask imports pyarrow when it is asked: the workflow's head publishes the list at every start.
"""

import re
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.files import write_text

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNAR = (".parquet", ".arrow")
_COMMENT = re.compile(r"(^|\s)#.*")
_KEYS = ("visit_id", "note_id")
NOT_ASKED = "source.exclusions_sql: the warehouse has not been asked yet; run: snakemake refresh"


def patient_column(names: Sequence[str]) -> str | None:
    """The column by which a table with these columns knows a patient; None if it knows none."""
    return "person_id" if "person_id" in names else None


def parse(content: bytes, id_type: str) -> list[str]:
    """The ids of a list, each once, sorted; `#` begins a comment. ValueError names a line, never what stands in it."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    ids = set()
    for number, line in enumerate(lines, start=1):
        entry = _COMMENT.sub("", line).strip()
        if id_type == "integer" and entry:
            if not re.fullmatch(r"[+-]?[0-9]+", entry):
                raise ValueError(f"line {number} is not a whole number, and source.id_type is integer")
            entry = str(int(entry))
        ids.add(entry)
    return sorted(ids - {""})


def load(where: str | None, id_type: str) -> list[str]:
    """The ids of the site's list, a file or `-` for standard input. ValueError says why it cannot be read."""
    if where is None:
        return []
    try:
        return parse(sys.stdin.buffer.read() if where == "-" else Path(where).read_bytes(), id_type)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None


def answer(private: Path) -> Path:
    """Who has opted out, as the warehouse said when `refresh` asked it last; not there before."""
    return private / "fetched" / "exclusions.txt"


def keep_answer(private: Path, ids: Iterable[str]) -> None:
    write_text(answer(private), "".join(f"{patient}\n" for patient in ids))


def together(lists: Iterable[str], id_type: str) -> list[str]:
    """The ids of several lists, each once, sorted. ValueError as of `load`."""
    return sorted({patient for where in lists for patient in load(where, id_type)})


def publish(path: Path, ids: Iterable[str]) -> None:
    """Write the jobs' list at `path`, unless it holds these ids already."""
    wanted = list(ids)
    if path.is_file() and _entries(path) == wanted:
        return
    first = f"{secrets.token_hex(8)} {secrets.token_hex(16)}"
    write_text(path, "\n".join([first, *wanted, ""]))


def version(path: Path) -> str | None:
    """The version of the jobs' list; None if it is not there yet."""
    return path.read_text(encoding="utf-8").split(" ", 1)[0] if path.is_file() else None


def read(path: Path) -> "pa.Array":
    """The ids of the jobs' list, as text."""
    import pyarrow as pa

    return pa.array(_entries(path), pa.string())


def _entries(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[1:-1]


def rows_of(path: Path, ids: "pa.Array") -> "pa.Array | None":
    """Of the rows of a Parquet or Arrow file that are these patients': the patient's id, as text.

    None if the file has rows of stays or notes and does not say whose.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from lib import shards

    parquet = path.suffix == ".parquet"
    schema = shards.parquet_schema(path) if parquet else shards.arrow_schema(path)
    columns = [name for name in schema.names if name == "person_id" or name.startswith("person_id_")]
    if not columns:
        return None if any(name.startswith(_KEYS) for name in schema.names) else pa.array([], pa.string())
    found = []
    for column in columns:
        read = shards.iter_parquet(path, [column]) if parquet else _iter_arrow(path, schema.get_field_index(column))
        texts = (batch.column(0).cast(pa.string()) for batch in read)
        found += [text.filter(pc.is_in(text, value_set=ids)) for text in texts]
    return pa.chunked_array(found, pa.string()).combine_chunks()


def _iter_arrow(path: Path, column: int) -> "Iterator[pa.RecordBatch]":
    """One column of an Arrow stream; the others are not decompressed."""
    import pyarrow as pa
    from pyarrow import ipc

    with pa.memory_map(str(path)) as source:
        yield from ipc.open_stream(source, options=ipc.IpcReadOptions(included_fields=[column]))
