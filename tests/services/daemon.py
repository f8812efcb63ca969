"""A server of a test's own: a free port for it, its start as a child of the test, its end by the id it started with."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

SERVERS = "/usr/lib/postgresql/*/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def program(name: str, package: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    folders = [str(p) for part in SERVERS.split(":") for p in sorted(Path("/").glob(part[1:]), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))
    if found is None:
        pytest.skip(f"there is no {name}: install the package {package}")
    return found


def folder() -> Path:
    """A new folder for a server: below /tmp, since a socket's path is short and another user must get there."""
    return Path(tempfile.mkdtemp(prefix="notecast-", dir="/tmp"))


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment; who loses it to another asks again (see `started`)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    user: str | None = None,
    orphaned: signal.Signals = signal.SIGQUIT,
) -> subprocess.Popen[bytes]:
    """The server as a child that ends with this process, however this process ends; what it says goes to `log`.

    `orphaned`: the signal that then ends it; not every server heeds SIGQUIT, which ends a PostgreSQL at once.
    """
    libc = ctypes.CDLL(None)
    with log.open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=lambda: libc.prctl(_DIE_WITH_PARENT, orphaned),
            start_new_session=True,  # a Ctrl-C is pytest's, not the server's
            **as_user(user),
        )


def as_user(user: str | None) -> dict[str, str | list[str]]:
    """What makes `subprocess` run a command as `user`."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def wait_until(ready: Callable[[], bool], server: subprocess.Popen[bytes], seconds: float = 30) -> bool:
    """Whether the server became ready; False once it has ended, as it does when its port is taken."""
    deadline = time.monotonic() + seconds
    while server.poll() is None:
        if ready():
            return True
        if time.monotonic() > deadline:
            raise AssertionError(f"the server is not ready after {seconds} s")
        time.sleep(0.02)
    return False


def answers(port: int) -> bool:
    """Whether something listens on this port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(server: subprocess.Popen[bytes], by: signal.Signals = signal.SIGTERM) -> None:
    """End the server by its id, and wait until it is gone."""
    if server.poll() is None:
        server.send_signal(by)
    server.wait(30)
