"""The copy of the code that ran tells which module has changed since."""

import shutil
from pathlib import Path

from lib import provenance
from lib.code_changes import CodeChanges


def copy(folder: Path) -> Path:
    (folder / "workflow").mkdir(parents=True)
    shutil.copytree(provenance.SCRIPTS, folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(provenance.LOCK, folder)
    return folder


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_modules_and_versions_that_differ_from_what_ran(tmp_path: Path) -> None:
    made = copy(tmp_path / "code" / "0123456789abcdef")
    rewrite(made / "scripts" / "lib" / "cleaning.py", "def short(", "def long(")
    rewrite(made / "requirements.lock", "pyarrow==", "pyarrow==0.")
    pyarrow = next(line for line in provenance.LOCK.read_text().splitlines() if line.startswith("pyarrow=="))
    version = pyarrow.partition("==")[2].split()[0]
    (tmp_path / "code" / "fedcba9876543210").mkdir()  # of another time, or half gone
    changes = CodeChanges(tmp_path / "code", lambda stage: ())
    codes = dict(changes._copies.keys())
    assert changes.since("clean", codes["clean"]) == ["lib/cleaning.py", f"pyarrow 0.{version} -> {version}"]
    assert changes.since("split", codes["split"]) == [f"pyarrow 0.{version} -> {version}"]
    assert changes.since("clean", provenance.code_hash(provenance.SCRIPTS / "clean.py")) == [], "no copy of it is there"
