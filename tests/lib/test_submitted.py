"""What a head writes down is what its jobs run and compare with: equal passes, other settings or code refuse."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lib import provenance, submitted
from lib.config_errors import ConfigError

CONFIG = {"name": "demo", "source": {"data_start": "2011-01-01"}, "tasks": {"t": {"values": {0: "no", 1: "yes"}}}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(submitted.VARIABLE, "")


def head(folder: Path, *jobs: str, config: Any = CONFIG) -> submitted.Submitted:
    made = submitted.Submitted(folder / "submitted", config)
    for window in jobs:
        made.job("clean", window, "{}", "code")
    return made


def waited() -> submitted.Waited:
    found = submitted.waited()
    assert found is not None
    return found


def test_a_process_of_no_head_is_bound_by_nothing() -> None:
    assert submitted.waited() is None


def test_the_configuration_for_jobs_is_the_head_s_whatever_its_keys_and_days(tmp_path: Path) -> None:
    read = yaml.safe_load("{day: 2011-01-01, rate: 1.0e-5, classes: {0: no, 1: [a, 'ü']}}")
    assert yaml.safe_load(head(tmp_path, config=read).start("run-1").read_text(encoding="utf-8")) == read


def test_a_job_as_it_was_submitted_passes_and_another_does_not(tmp_path: Path) -> None:
    head(tmp_path, "2019").start("run-1")
    job = waited()
    job.job("clean", "2019", "{}", "code")
    for settings, code in (('{"a":1}', "code"), ("{}", "other")):
        with pytest.raises(ConfigError, match=r"^clean: a query, .* start snakemake again$"):
            job.job("clean", "2019", settings, code)


def test_jobs_that_come_after_a_checkpoint_and_a_changed_mind_are_noted_too(tmp_path: Path) -> None:
    made = head(tmp_path, "2019")
    made.start("run-1")
    made.job("clean", "2020", "{}", "code")
    made.job("clean", "2019", '{"again":1}', "code")
    job = waited()
    job.job("clean", "2019", '{"again":1}', "code")
    with pytest.raises(ConfigError):
        job.job("clean", "2020", "{}", "other")


def test_another_head_writes_elsewhere(tmp_path: Path) -> None:
    head(tmp_path, "2019").start("run-1")
    job = waited()
    other = head(tmp_path)
    other.job("clean", "2019", '{"a":1}', "code")
    other.start("run-1")
    job.job("clean", "2019", "{}", "code")
    assert len(list((tmp_path / "submitted").glob("*.jsonl"))) == 2


def in_a_child(call: Callable[[], object]) -> object:
    """What `call` gives in a process of its own: a process never meets its own locks."""
    fork = multiprocessing.get_context("fork")
    given = fork.SimpleQueue()
    child = fork.Process(target=lambda: given.put(call()))
    child.start()
    child.join()
    return given.get()


def test_a_head_that_died_is_told_from_one_that_lives(tmp_path: Path) -> None:
    in_a_child(lambda: head(tmp_path).start("run-1").name)
    living = head(tmp_path)
    living.start("run-2")
    made = head(tmp_path)
    assert in_a_child(lambda: (made.start("run-3"), made.orphans())[1]) == ["run-1"]


def test_files_of_heads_long_gone_are_removed(tmp_path: Path) -> None:
    head(tmp_path).start("run-1")
    for old in (tmp_path / "submitted").iterdir():
        os.utime(old, (0, 0))
    head(tmp_path).start("run-1")
    assert len(list((tmp_path / "submitted").iterdir())) == 2


def test_the_code_is_copied_whole_once_and_again_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "clone"
    for name in ("workflow/Snakefile", "scripts/clean.py", "envs/notecast.yaml", "requirements.lock"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    (root / "scripts/__pycache__").mkdir()
    (root / "scripts/__pycache__/clean.pyc").write_text("", encoding="utf-8")
    monkeypatch.setattr(provenance, "ROOT", root)
    first = submitted.freeze(tmp_path / "code")
    assert submitted.freeze(tmp_path / "code") == first
    (root / "scripts/clean.py").write_text("edited", encoding="utf-8")
    second = submitted.freeze(tmp_path / "code")
    assert sorted((tmp_path / "code").iterdir()) == sorted([first, second])
    for frozen, script in ((first, "scripts/clean.py"), (second, "edited")):
        assert (frozen / "scripts/clean.py").read_text(encoding="utf-8") == script
        assert json.loads((frozen / "revision.json").read_text()) == {"commit": None, "dirty": None}, "no clone"
        assert len([path for path in frozen.rglob("*") if path.is_file()]) == 5
    os.utime(first, (0, 0))
    submitted.freeze(tmp_path / "code")
    assert list((tmp_path / "code").iterdir()) == [second]


def test_a_file_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(submitted.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="No such file"):
        waited()
