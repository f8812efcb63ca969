"""For all tests: a skip has failed where everything is installed (NOTECAST_CI is set); one finished small run.

In several processes a file's tests stay together, and all that use the one SLURM of the machine; these begin first, as
they take longest. The finished run is made once for all of them.
"""

import os
import shutil
from collections.abc import Generator
from typing import Any

import pytest
from filelock import FileLock
from xdist.scheduler import LoadFileScheduling

from checkout import Checkout, small_config


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    report = yield
    if report.skipped and os.environ.get("NOTECAST_CI"):
        where = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{where} (a skip is a failure here)"
    return report


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # untyped
    def _split_scope(self, nodeid: str) -> str:
        return "slurm" if _on_slurm(nodeid) else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not _on_slurm(item.nodeid))


def _on_slurm(nodeid: str) -> bool:
    return nodeid.startswith("tests/services/test_slurm")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """To look at and to clone, never to change: who asks first makes it, the other processes wait and share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # a process has a folder of its own in it
    folder, whole = shared / "finished", shared / "finished.whole"
    with FileLock(shared / "finished.lock"):
        if whole.exists():
            made = Checkout(folder)
            made.config = small_config()
        else:
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
            made = Checkout(folder, small_config())
            made.snakemake()
            whole.touch()
    return made
