"""Which revision of the workflow this is: of real clones, clean and changed."""

import subprocess
from pathlib import Path

import pytest

from lib import revision


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "clone/scripts").mkdir(parents=True)
    (tmp_path / "clone/scripts/a.py").write_text("A = 1\n")
    (tmp_path / "clone/README.md").write_text("readme\n")
    git(tmp_path / "clone", "init", "-q")
    git(tmp_path / "clone", "add", ".")
    git(tmp_path / "clone", "commit", "-qm", "first")
    return tmp_path / "clone"


def test_a_clean_clone_has_a_commit(clone: Path) -> None:
    told = revision.of(clone, ["scripts"])
    assert len(told["commit"]) == 40 and told["dirty"] is False


@pytest.mark.parametrize(("file", "dirty"), [("scripts/a.py", True), ("scripts/new.py", True), ("README.md", False)])
def test_changed_code_is_dirty_and_nothing_else(clone: Path, file: str, dirty: bool) -> None:
    (clone / file).write_text("changed\n")
    assert revision.of(clone, ["scripts"])["dirty"] is dirty


def test_what_is_no_clone_of_its_own_has_none(clone: Path, tmp_path: Path) -> None:
    """A copy inside another project's clone would be told that one's revision."""
    unknown = {"commit": None, "dirty": None}
    assert revision.of(clone / "scripts", ["."]) == unknown
    assert revision.of(tmp_path, ["."]) == unknown


def test_the_environments_repository_is_not_asked(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a hook, in which git names the repository that it was called in."""
    told = revision.of(clone, ["scripts"])
    git(clone, "clone", "-q", str(clone), str(clone.parent / "other"))
    git(clone.parent / "other", "commit", "-q", "--allow-empty", "-m", "second")
    monkeypatch.setenv("GIT_DIR", str(clone.parent / "other/.git"))
    assert revision.of(clone, ["scripts"]) == told


def test_a_clone_of_another_owner_has_a_commit(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert revision.of(clone, ["scripts"])["dirty"] is False
