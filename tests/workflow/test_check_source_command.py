"""`snakemake check_source`: on demand, each time anew, shown in the terminal; and a dry run never connects."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import ROOT, Checkout, merged, small_config

FILES = {"small/check_source/source.json", "small/check_source/source.txt"}


@pytest.mark.slow
def test_it_is_a_command_of_its_own_and_looks_again_each_time(finished: Callable[..., Checkout]) -> None:
    run = finished()
    assert run.planned() == Counter(), "it is no part of a run"
    before = run.bytes()
    for _ in range(2):
        assert run.planned("check_source") == Counter({"check_source": 1})
        said = run.snakemake("check_source", cores=1)
        page = (run.folder / "results/small/check_source/source.txt").read_text(encoding="utf-8")
        assert page in said.stdout and "discharge: labels of 4 windows, texts of all" in page
    sample = (ROOT / "docs/check-source.md").read_text(encoding="utf-8")
    timed = [line for line in page.splitlines() if line not in sample.splitlines()]
    assert [line.split()[0] for line in timed] in ([], ["extract"]), "bring the page in docs/check-source.md up to date"
    after = run.bytes()
    assert after.keys() - before.keys() == FILES and {k: v for k, v in after.items() if k not in FILES} == before
    assert run.planned() == Counter()
    # How the source is looked at is nobody else's business: the configuration is written down anew.
    run.configure(merged(run.config, {"check_source": {"text_windows": 2}}))
    assert run.planned() == Counter({"resolve": 1, "provenance": 1, "crate": 1})


def test_a_dry_run_does_not_connect_and_a_real_one_fails_and_leaves_nothing(tmp_path: Path) -> None:
    """Whoever connects to a file that is no database is told so."""
    config = small_config()
    config["source"] = {"sqlite": "none.sqlite"} | {k: v for k, v in config["source"].items() if k != "demo"}
    run = Checkout(tmp_path / "run", config)
    (run.folder / "none.sqlite").write_bytes(b"this is no database" * 100)
    assert run.planned("check_source") == Counter({"check_source": 1})
    assert not (run.folder / "results/small/logs").exists()
    ended: subprocess.CompletedProcess[str] = run.snakemake("check_source", cores=1, check=False)
    assert ended.returncode and ended.stderr.count("the database refuses it (SQLITE_NOTADB)") >= 4
    assert not list(run.folder.rglob("check_source/*"))
