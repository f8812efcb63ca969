"""A whole run: the same bytes on any number of cores, without a network, from outside the clone; nothing leaks."""

import gzip
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import note_reader
import pickles
import watch
from checkout import ROOT, Checkout, merged, small_config
from lib.data_classes import kinds_of
from lib.recomputation import recomputed

pytestmark = pytest.mark.slow
Copy = Callable[..., Checkout]
# The environment is never out of date here: to set it up anew would empty it through the link, for all who share it.
MAKE = ["make", "-o", ".venv/.installed"]


def without_network(command: list[str]) -> list[str]:
    """The command in a network namespace of its own that has not even a loopback; as it is where none can be made."""
    unshare = ["unshare", "--net", "--map-root-user"]
    possible = shutil.which("unshare") and not subprocess.run([*unshare, "true"], capture_output=True).returncode
    return [*unshare, *command] if possible else command


def test_one_core_another_folder_and_no_network_give_the_same_bytes(finished_run: Checkout, tmp_path: Path) -> None:
    """As two cores do, and four in `test_kills.py`. And nothing is left, or was for a moment, in the folder for
    temporary files or below the home."""
    outside, home, temporary = tmp_path / "private rooms", tmp_path / "home", tmp_path / "temporary"
    for folder in (home, temporary):
        folder.mkdir()
    given = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    given |= {"HOME": str(home), "TMPDIR": str(temporary)}
    other = Checkout(tmp_path / "other", small_config(private_root=str(outside)))
    with watch.created_in(temporary) as created:
        subprocess.run(
            without_network(other.command(cores=1)), cwd=other.folder, env=given, check=True, capture_output=True
        )
    assert other.bytes() | other.bytes(outside, "private/") == finished_run.bytes()
    # Before a configuration is read, Python tries the folder out and Snakemake makes one for the sources.
    assert not [name for name in created if not re.fullmatch(r"(snakemake)?[a-z0-9_]{8}", name)], created
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_the_watch_sees_what_is_gone_again(tmp_path: Path) -> None:
    with watch.created_in(tmp_path) as created:
        for name in ("a file", "another"):
            (tmp_path / name).touch()
            (tmp_path / name).unlink()
    assert created == ["a file", "another"]


def test_several_files_can_be_asked_for_by_name(tmp_path: Path) -> None:
    """Snakemake remembers what it saw in a folder: it missed the second stamp of a stage."""
    run = Checkout(tmp_path / "run", small_config())
    wanted = [f"results/private/small/clean/discharge/{year}.json" for year in (2018, 2019, 2020)]
    run.snakemake(*wanted)
    assert all((run.folder / path).is_file() for path in wanted)


def test_the_private_root_is_its_owners_alone(finished_run: Checkout) -> None:
    private = finished_run.folder / "results/private/small"
    assert (private / "tmp").is_dir() and (private / "cache").is_dir()
    for path in (private, *private.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path.relative_to(private)


def test_no_private_file_is_a_pickle(finished_run: Checkout) -> None:
    private = finished_run.folder / "results/private/small"
    assert list(private.glob("store/*/final/model.safetensors"))
    assert pickles.found_in(private) == []


def test_every_file_is_of_one_data_class_and_results_hold_aggregates_only(finished: Copy) -> None:
    run = finished()
    run.snakemake("--report", "results/small/report.html")
    unknown, classes = [], {}
    for root, folder in (("<private>", "results/private/small"), ("<results>", "results/small")):
        files = [path for path in (run.folder / folder).rglob("*") if path.is_file()]
        assert len(files) > 20
        names = [f"{root}/{path.relative_to(run.folder / folder).as_posix()}" for path in files]
        unknown += [name for name in names if len(kinds_of(name)) != 1]
        classes[root] = {kind.data_class for name in names for kind in kinds_of(name)}
    assert unknown == []
    assert classes == {"<private>": {"text", "row"}, "<results>": {"aggregate"}}
    others = [path for path in (run.folder / "results").iterdir() if path.name not in ("private", "small")]
    assert others == []


def test_shared_rows_give_the_reports_figures_and_off_again_nothing_runs(finished: Copy) -> None:
    run = finished()
    assert not [path for path in (run.folder / "results").rglob("share*") if "code" not in path.parts]
    asked = run.snakemake("results/small/share/readmission.parquet", check=False)
    assert asked.returncode != 0 and "share.enabled is false" in asked.stdout + asked.stderr
    run.configure(merged(run.config, {"share": {"enabled": True}}))
    assert run.ran() == {"resolve": 1, "share": 1, "provenance": 1, "crate": 1}
    assert run.planned() == {}
    results = run.folder / "results/small"
    assert {path.name for path in (results / "share").iterdir()} == {
        *("readmission.parquet", "readmission.json", "readmission.parquet.record.jsonl")
    }
    found = dict(recomputed(results / "share/readmission.parquet", results))
    assert len(found) == 7 and all(found.values()), found
    secret = run.folder / "results/private/small/share.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    told = b"".join(path.read_bytes() for path in results.rglob("*") if path.is_file())
    assert secret.read_bytes() not in told
    run.configure(merged(run.config, {"share": {"enabled": False}}))
    assert run.ran() == {"resolve": 1, "provenance": 1, "crate": 1}


def test_no_text_and_no_identifier_outside_the_private_root(finished_run: Checkout) -> None:
    private = finished_run.folder / "results/private/small"
    with closing(sqlite3.connect(private / "hospital.sqlite")) as connection:
        ids = {str(n) for (n,) in connection.execute("SELECT person_id FROM person")}
        ids |= {n for (n,) in connection.execute("SELECT person_source_value FROM person")}
        ids |= {str(n) for (n,) in connection.execute("SELECT visit_occurrence_id FROM visit_occurrence LIMIT 5000")}
        texts = [text for (text,) in connection.execute("SELECT note_text FROM note") if text]
    sentences = {s.strip() for text in texts for s in note_reader.plain(text).split(". ") if len(s) > 40}
    looked_at = 0
    for root in (finished_run.folder / "results/small", finished_run.folder / ".snakemake"):
        for path in root.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
                told = re.sub(r"\b[0-9a-f]{64}\b", "", content.decode("utf-8", "replace"))  # hashes are full of numbers
                assert not ids & set(re.findall(r"\bMRN\d+|\d+", told)), path.name
                assert not [s for s in sentences if s in told], path.name
                looked_at += 1
    assert looked_at > 100
    # the search finds what is there
    clean = pq.read_table(private / "clean/discharge/2019.parquet")
    assert str(clean["person_id"][0].as_py()) in ids
    assert any(s in clean["text"][0].as_py() for s in sentences)


def test_a_patients_id_never_reaches_a_failing_jobs_log(finished: Copy) -> None:
    run = finished()
    step = "def step(text):\n    raise ValueError(text)\n"
    (run.folder / "mine.py").write_text(step, encoding="utf-8")
    run.configure(merged(run.config, {"clean": {"steps": ["markup", "mine:step"]}}))
    ended = run.snakemake(check=False)
    assert ended.returncode != 0
    said = ended.stdout + ended.stderr
    assert "mine" in said and "ValueError" in said
    text = pq.read_table(run.folder / "results/private/small/extract/discharge/2019.text.parquet")["text"][0].as_py()
    logs = "".join(path.read_text() for path in (run.folder / "results/small/logs/clean").iterdir())
    assert not [s for s in text.split(". ") if len(s) > 30 and s in said + logs]


def test_a_fault_in_the_configuration_is_told_by_make_run(tmp_path: Path) -> None:
    """The Makefile once ran quietly enough to swallow it."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\nmodels:\n  tiny: {training: {learning_rte: 1}}\n", encoding="utf-8")
    checkout = Checkout(tmp_path / "clone")
    shutil.copy2(ROOT / "Makefile", checkout.folder)
    if not (ROOT / ".venv" / ".installed").is_file():
        pytest.skip("needs the virtual environment that make sets up")
    (checkout.folder / ".venv").symlink_to(ROOT / ".venv")
    ended = subprocess.run(
        [*MAKE, "run", f"CONFIG={bad}"], cwd=checkout.folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "did you mean 'learning_rate'?" in ended.stdout + ended.stderr
    bad.write_text("source:\n  demo: {patients: 7}\n", encoding="utf-8")
    ended = subprocess.run(
        [*MAKE, "run", f"CONFIG={bad}"], cwd=checkout.folder, capture_output=True, text=True, check=False
    )
    assert "a file with a `source` stands alone" in ended.stdout + ended.stderr
