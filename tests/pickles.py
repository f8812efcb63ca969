"""Files that would run code when they are read: pickles, by what is in them and not by their names."""

import bz2
import gzip
import io
import lzma
import pickletools
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DECOMPRESS = (gzip.decompress, bz2.decompress, lzma.decompress, zlib.decompress)


def found_in(folder: Path) -> list[str]:
    """The files below `folder` that are, or hold, a pickle."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and is_pickle(p.read_bytes()))


def is_pickle(content: bytes) -> bool:
    """Whether the bytes, unpacked, or a member of the archive that they are, read as pickle opcodes up to a STOP."""
    return any(_reads_as_opcodes(part) for part in _unpacked(content))


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield content
    if content[:6] == b"\x93NUMPY" and b"'descr': '|O" in content[:200]:
        yield content[content.index(b"\n") + 1 :]  # an array of objects: the header's line, then a pickle
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from _unpacked(archive.read(name))
    for decompress in DECOMPRESS:
        with suppress(Exception):
            yield decompress(content)


def _reads_as_opcodes(content: bytes) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # what a text holds may look like an old opcode's escapes
            last = [position for _, _, position in pickletools.genops(content) if position is not None][-1]
    except Exception:
        return False
    # Protocol 2 and later begin with its number; a text may by chance begin with old opcodes, but not end with them.
    return content[:1] == b"\x80" or last == len(content) - 1
