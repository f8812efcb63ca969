"""What is created in a folder while something runs, also when it is gone again afterwards (Linux inotify)."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CREATED = 0x100 | 0x80  # IN_CREATE | IN_MOVED_TO
EVENT = struct.Struct("iIII")


@contextmanager
def created_in(folder: Path) -> Iterator[list[str]]:
    """A list that holds, when the block ends, the names of all that was created or moved directly into `folder`."""
    system = ctypes.CDLL(None, use_errno=True)
    handle = system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0 or system.inotify_add_watch(handle, os.fsencode(folder), CREATED) < 0:
        raise OSError(ctypes.get_errno(), "cannot watch the folder")
    names: list[str] = []
    try:
        yield names
        with suppress(BlockingIOError):
            while True:
                content = os.read(handle, 1 << 16)
                while content:
                    *_, length = EVENT.unpack_from(content)
                    names.append(os.fsdecode(content[EVENT.size : EVENT.size + length].rstrip(b"\0")))
                    content = content[EVENT.size + length :]
    finally:
        os.close(handle)
