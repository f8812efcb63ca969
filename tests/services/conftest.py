"""The services for all tests in this folder: started once, when the first test asks for them; skipped where not
installed (in CI a skip is a failure)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kerberos import Kerberos
from postgres import Postgres
from proxy import Proxy
from slurm import Slurm


@pytest.fixture(scope="session")
def kdc() -> Iterator[Kerberos]:
    """The Kerberos centre."""
    running = Kerberos()
    yield running
    running.end()


@pytest.fixture(scope="session")
def postgres(kdc: Kerberos) -> Iterator[Postgres]:
    """The database server, shared: a test makes databases under names of its own, and starts again what it stops."""
    running = Postgres(kdc)
    yield running
    running.end()


@pytest.fixture
def researcher(kdc: Kerberos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a researcher with a fresh ticket, for child processes; this process has it too."""
    cache = tmp_path / "ticket"
    kdc.kinit(cache)
    environment = kdc.environment(cache)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    """A network of this test's own between it and the database server."""
    running = Proxy(postgres.port)
    yield running
    running.end()


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """The cluster, shared: a test leaves its partitions up and its node running."""
    running = Slurm()
    yield running
    running.end()
