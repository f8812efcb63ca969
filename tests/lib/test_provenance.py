"""Settings and code as hashes, and what a stamp makes of a record."""

import json
import os
from pathlib import Path

import pytest

from lib import provenance, records
from lib.provenance import _LONG_AGO, code_hash, made_with, stamp

MODULE = '"""Docs."""\nimport json\nimport numpy\n\ndef f(x):\n    """More."""\n    return json.dumps(x)  # why\n'


@pytest.fixture
def hash_of(tmp_path, monkeypatch):
    """Hash of a script in a tree of its own that imports lib.helper, for given sources."""
    count = iter(range(100))

    def of(script: str, helper: str = MODULE, lock: str = "numpy==2.0.0\n") -> str:
        root = tmp_path / str(next(count))
        (root / "scripts" / "lib").mkdir(parents=True)
        (root / "scripts" / "lib" / "__init__.py").write_text("")
        (root / "scripts" / "lib" / "helper.py").write_text(helper)
        (root / "scripts" / "stage.py").write_text(script)
        (root / "requirements.lock").write_text(lock)
        for name, value in (("ROOT", root), ("SCRIPTS", root / "scripts"), ("LOCK", root / "requirements.lock")):
            monkeypatch.setattr(provenance, name, value)
        provenance._locked.cache_clear()
        return code_hash(root / "scripts" / "stage.py")

    yield of
    provenance._locked.cache_clear()


SCRIPT = '"""Help."""\nfrom lib import helper\n\ndef main():\n    return helper.f(1)\n'


def test_comments_docstrings_and_layout_do_not_count(hash_of) -> None:
    base = hash_of(SCRIPT)
    assert base == hash_of(SCRIPT)
    assert base == hash_of(SCRIPT.replace("Help.", "Other help.") + "\n# a comment\n")
    assert base == hash_of(SCRIPT, MODULE.replace("# why", "# because").replace("More.", "Less."))
    assert base == hash_of(SCRIPT, lock="numpy==2.0.0\npandas==3.0.0\n")
    assert base == hash_of(SCRIPT, lock="numpy==2.0.0+cpu\n")


def test_what_a_stage_runs_counts(hash_of) -> None:
    base = hash_of(SCRIPT)
    assert base != hash_of(SCRIPT.replace("f(1)", "f(2)"))
    assert base != hash_of(SCRIPT, MODULE.replace("dumps(x)", "dumps([x])"))
    assert base != hash_of(SCRIPT, lock="numpy==2.0.1\n")


@pytest.mark.parametrize(
    "within",
    [
        "if x:\n    pass\nelse:\n    {}",
        "try:\n    pass\nexcept OSError:\n    {}",
        "try:\n    pass\nfinally:\n    {}",
        "class A:\n    async def f(self):\n        with x:\n            {}",
        "match x:\n    case 1:\n        for y in x:\n            {}",
    ],
)
def test_an_import_counts_wherever_it_stands(hash_of, within: str) -> None:
    script = within.format("from lib import helper")
    assert hash_of(script) != hash_of(script, MODULE.replace("dumps(x)", "dumps([x])"))


def test_of_our_own_files_only_those_on_the_path_are_imports(hash_of) -> None:
    """`import html` in lib/helper.py is the standard library's, though lib/html.py lies beside it."""
    base = hash_of(SCRIPT, MODULE.replace("import json", "import html"))
    folder = provenance.SCRIPTS / "lib"
    (folder / "html.py").write_text("x = 1\n")
    for cached in (provenance.code_hash, provenance._module):
        cached.cache_clear()
    assert base == code_hash(provenance.SCRIPTS / "stage.py")


def test_each_stage_has_a_hash_and_only_training_knows_torch() -> None:
    hashes = {path.stem: code_hash(path) for path in provenance.SCRIPTS.glob("*.py")}
    assert len(set(hashes.values())) == len(hashes)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "m.json"
    path.write_text("{}")
    return path


def record(output: Path, settings: str = "s", code: str = "c", sha: str | None = None) -> None:
    import hashlib

    digest = sha or hashlib.sha256(output.read_bytes()).hexdigest()
    line = json.dumps({"outputs": {output.name: digest}, "settings": settings, "code": code})
    with open(str(output) + ".record.jsonl", "a") as file:
        file.write(line + "\n")


def test_a_record_cut_off_by_a_kill_is_passed_over(output: Path) -> None:
    record(output)
    with open(str(output) + ".record.jsonl", "a") as file:
        file.write('{"outputs": {"m.js')
    found = records.last(output)
    assert found is not None and found["settings"] == "s"


def test_made_with_compares_settings_code_and_bytes(output: Path) -> None:
    assert not made_with([output], "s", "c"), "no record"
    record(output)
    assert made_with([output], "s", "c")
    assert not made_with([output], "other", "c")
    assert not made_with([output], "s", "other")
    output.write_text("{ }")
    assert not made_with([output], "s", "c"), "the file was edited"


def test_a_stamp_is_newer_than_its_output_exactly_when_that_was_made_otherwise(tmp_path: Path, output: Path) -> None:
    mark = tmp_path / "stamps" / "x.json"

    def newer(settings: str) -> bool:
        stamp(mark, [output], settings, "c")
        return mark.stat().st_mtime > output.stat().st_mtime

    os.utime(output, (_LONG_AGO + 1e6, _LONG_AGO + 1e6))
    assert newer("s"), "no record"
    record(output)
    assert not newer("s")
    assert newer("changed")
    assert newer("changed"), "asking again changes nothing"
    assert not newer("s"), "and back costs nothing"
    record(output, settings="changed")
    assert newer("s")
    os.utime(output)
    assert newer("s"), "a touched output is still made otherwise"


def test_the_stamp_of_a_lost_output_is_other_each_time_that_somebody_looks(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run of before the file was made for the last time had left the same one: nobody noticed."""
    mark, said = tmp_path / "stamps" / "x.json", set()
    record(output)
    output.unlink()
    for moment in (1, 1, 2):
        monkeypatch.setattr(provenance, "_STARTED", moment)
        stamp(mark, [output], "s", "c")
        said.add(mark.read_text())
    assert len(said) == 2
