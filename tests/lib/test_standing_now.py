"""What has changed since a run is said when it is asked, with counts and stages."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Checkout
from lib import provenance, records, revision, standing_now
from lib.config import Config
from lib.config_errors import validated
from lib.plan import Plan

Now = Callable[[], list[str]]
RESULTS = Path("results/small")
PAGES = "the provenance document and its pages"


@pytest.fixture
def now(finished_run: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Now:
    """In a copy of the finished run, which is the working folder then."""
    run = finished_run.clone(tmp_path / "copy")
    monkeypatch.chdir(run.folder)
    monkeypatch.setattr(revision, "of", lambda *_: {"commit": None, "dirty": False})
    return lambda: list(standing_now.now(Plan(validated(Config, run.config), main_process=False)).against)


def again(output: Path, **changes: object) -> None:
    """Another record of an output, with `changes`."""
    told = records.last(output)
    with records.beside(output).open("a", encoding="utf-8") as file:
        file.write(json.dumps({**(told or {}), **changes}) + "\n")


def test_nothing_is_against_a_run_as_it_was(now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    assert now() == []
    monkeypatch.setattr(revision, "of", lambda *_: {"commit": "ab" * 20, "dirty": True})
    assert now() == ["the code in this folder has been changed and not committed"]


def test_lost_changed_and_unrecorded_files_are_counted(now: Now) -> None:
    (RESULTS / "figures/readmission/flow.svg").unlink()
    certificate = RESULTS / "certificate/readmission.html"
    certificate.write_text(certificate.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")
    records.beside(RESULTS / "flow/readmission.json").unlink()
    again(RESULTS / "summary.txt", dirty=True)
    assert now() == [
        "1 of 72 jobs left no record of how their files came",
        "1 of 72 jobs ran code that was changed and not committed",
        "1 of 72 jobs have files that were changed after they were written (certificate 1)",
        "1 of 72 jobs have lost files (figures 1)",
        f"{PAGES} were made before 1 files were written",
    ]


def test_other_code_and_settings_are_told_by_stage(now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    known = provenance.code_hash
    changed = ("compare", "evaluate")
    monkeypatch.setattr(
        provenance, "code_hash", lambda path, own=(): "0" * 64 if path.stem in changed else known(path, own)
    )
    again(RESULTS / "flow/readmission.json", settings="{}")
    assert now() == [
        "1 of 72 jobs ran with other settings than the configuration has today (flow 1)",
        "7 of 72 jobs ran other code than today's (evaluate 6, compare 1)",
        f"{PAGES} are not of this configuration and code, or were changed",
    ]


def test_a_document_that_is_not_of_these_files_is_told(now: Now) -> None:
    metrics = RESULTS / "leakage/readmission.json"
    metrics.write_text(metrics.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    again(metrics, outputs={metrics.name: hashlib.sha256(metrics.read_bytes()).hexdigest()})
    (sentence,) = now()
    assert sentence.startswith(f"{PAGES} were made before ") and "files were written" in sentence
    page = RESULTS / "steward.html"
    page.write_text(page.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert now() == [f"{PAGES} are not of this configuration and code, or were changed"]
