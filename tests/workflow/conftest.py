"""Copies of the finished small run, one a test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Checkout


@pytest.fixture
def finished(finished_run: Checkout, tmp_path: Path) -> Callable[..., Checkout]:
    """A copy of the finished run; `metadata=False` leaves Snakemake's own records behind."""
    return lambda metadata=True: finished_run.clone(tmp_path / "copy", metadata=metadata)
