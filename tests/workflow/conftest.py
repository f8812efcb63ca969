"""One finished small run, made once; each test works in a copy of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Checkout, small_config


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("runs") / "finished", small_config())
    checkout.snakemake()
    return checkout


@pytest.fixture
def finished(finished_run: Checkout, tmp_path: Path) -> Callable[..., Checkout]:
    """A copy of the finished run; `metadata=False` leaves Snakemake's own records behind."""
    return lambda metadata=True: finished_run.clone(tmp_path / "copy", metadata=metadata)
