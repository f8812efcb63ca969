"""purge: it lists what holds a patient and nothing else, removes that with a record, and never shows who it is."""

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
import yaml

import purge
from checkout import small_config
from lib import canonical_json, learned, shards
from lib import purge as holdings

PATIENT, OTHER = 8675309, 42
FOLDER_FILES = ("config.json", "model.safetensors", "manifest.json")


class Room:
    """A private folder as a run leaves it; `holding` are the files that hold PATIENT or go with one that does."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(root)
        self.root, self.private, self.holding = root, root / "private" / "small", set[str]()
        self.list = root / "list.txt"
        self.list.write_text(f"# withdrawn\n{PATIENT}\n5550199\n", encoding="utf-8")
        config = small_config(private_root=str(root / "private"), source={"exclusions": str(self.list)})
        (root / "test.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def job(self, folder: str, tables: dict[str, list[int] | None], *others: str, columns: dict | None = None) -> None:
        """What one job wrote: tables of these patients (None: it does not say whose), other files, and its record."""
        holds = any(PATIENT in (persons or []) or persons is None for persons in tables.values())
        for name, persons in tables.items():
            keys = {"visit_id": [1]} if persons is None else {"person_id": pa.array(persons, pa.int64())}
            table = pa.table(keys | {"x": ["a"] * (1 if persons is None else len(persons))})
            path = self.private / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".arrow"):
                with shards.ArrowWriter(path, table.schema, "zstd") as writer:
                    writer.write(table)
            else:
                shards.write_parquet(path, table.schema, [table])
        for name in others:
            shards.write_json(self.private / folder / name, {"of": folder})
        self.record(folder, [*tables, *others])
        if holds:
            self.holding |= {f"{folder}/{name}" for name in (*tables, *others)}

    def record(self, folder: str, outputs: list[str]) -> None:
        line = canonical_json({"outputs": dict.fromkeys(outputs, "sha256"), "settings": "{}", "code": "c"})
        (self.private / folder / f"{outputs[0]}.record.jsonl").write_text(line + "\n", encoding="utf-8")

    def model(self, folder: str, persons: list[int] | None, inside: bool = False, record: bool = True) -> None:
        for name in FOLDER_FILES:
            shards.write_json(self.private / folder / name, {"of": folder})
        if record:
            self.record(folder, list(FOLDER_FILES))
        path = self.private / folder / learned.LIST if inside else learned.beside(self.private / folder)
        if persons is not None:
            learned.note(path, pa.array(persons, pa.int64()))
        if persons is None or PATIENT in persons:
            self.holding |= {f"{folder}/{name}" for name in FOLDER_FILES}
            self.holding |= {path.relative_to(self.private).as_posix()} if persons else set()

    def files(self) -> set[str]:
        return {p.relative_to(self.private).as_posix() for p in self.private.rglob("*") if p.is_file()}


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    made = Room(tmp_path, monkeypatch)
    made.job("extract/discharge", {"2019.text.parquet": [OTHER, PATIENT, PATIENT]}, "2019.text.json")
    made.job("extract/discharge", {"2020.text.parquet": [OTHER]}, "2020.text.json")
    for window in ("2019", "2020"):  # hashes of the rows, which say nothing of whose they are
        hashes = pa.table({"key": [1], "row": [2], "labels": [3]})
        shards.write_parquet(made.private / f"fetched/discharge/{window}.text.parquet", hashes.schema, [hashes])
    made.holding.add("fetched/discharge/2019.text.parquet")
    made.job("clean/discharge", {"2019.parquet": [OTHER], "2019.dropped.parquet": [PATIENT]}, "2019.json")
    made.job("pretokenize/notes.48/discharge", {"2019.arrow": [PATIENT], "2020.arrow": [OTHER]}, "2019.json")
    made.job("dataset/t/text", {"train.arrow": [OTHER], "test.arrow": [PATIENT]}, "train.json", "test.json")
    made.job("a_new_stage/deep/down", {"w.parquet": [PATIENT]})
    made.job("predict/t/tiny/all-0", {"test.parquet": [OTHER, 7]}, "manifest.json")
    made.model("finetune/t/tiny/all-0", [OTHER, PATIENT])
    made.model("finetune/t/tiny/all-1", [OTHER])
    made.model("baseline/t/tfidf/all-0", [PATIENT])
    made.model("baseline/t/structured/all-0", None)
    made.model("store/aaaa", [PATIENT, OTHER], inside=True, record=False)
    made.model("store/bbbb", [OTHER], inside=True, record=False)
    made.model("models_of_the_site", [], record=False)
    learned.beside(made.private / "models_of_the_site").unlink()  # a start that a site keeps here: not made by us
    shards.write_json(made.private / "hospital.sqlite", "the source")
    made.job(".", {"oracle.parquet": None}, "hospital.json")
    made.holding -= {"./oracle.parquet", "./hospital.json"}
    shards.write_json(made.private / "clean/discharge/.2021.parquet.tmp", "half of it")
    made.holding.add("clean/discharge/.2021.parquet.tmp")
    return made


def command(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert purge.main(["--configfile", "test.yaml", *arguments]) == status
    said = capsys.readouterr()
    assert str(PATIENT) not in said.out + said.err and "5550199" not in said.out + said.err
    return said.err if status else said.out


def test_it_lists_what_holds_the_patient_and_nothing_else(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    before = room.files()
    said = command(capsys)
    assert said.splitlines()[0] == "patients asked about: 2; held: 1"
    listed = {line.strip().rsplit(": ", 1)[0]: line.rsplit(": ", 1)[1] for line in said.splitlines() if line[0] == " "}
    assert listed == {
        "extract/discharge/2019.text.parquet": "2 rows",
        "clean/discharge/2019.dropped.parquet": "1 rows",
        "clean/discharge/.2021.parquet.tmp": "cannot be told, so taken to hold them",
        "pretokenize/notes.48/discharge/2019.arrow": "1 rows",
        "dataset/t/text/test.arrow": "1 rows",
        "a_new_stage/deep/down/w.parquet": "1 rows",
        "finetune/t/tiny/all-0": "1 patients it learned from",
        "baseline/t/tfidf/all-0": "1 patients it learned from",
        "baseline/t/structured/all-0": "cannot be told, so taken to hold them",
        "store/aaaa": "1 patients it learned from",
    }
    assert "finetune: 1" in said.splitlines() and "nothing was removed" in said and "hospital.sqlite" in said
    assert room.files() == before and not (room.private / "purges.jsonl").exists()


def test_nobody_is_held_who_is_not(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room.list.write_text("5550199\n867530\n86753091\n", encoding="utf-8")
    said = command(capsys)
    assert "held: 0" in said and " rows" not in said and "learned from" not in said


def test_removal_takes_these_files_and_what_their_jobs_wrote_and_records_it(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    before = room.files()
    hashes = {name: shards.sha256(room.private / name) for name in room.holding}
    command(capsys, "--remove")
    assert before - room.files() == room.holding
    assert room.files() - before == {"purges.jsonl"}
    text = (room.private / "purges.jsonl").read_text(encoding="utf-8")
    assert str(PATIENT) not in text and "5550199" not in text
    intended, done = map(json.loads, text.splitlines())
    assert (intended["step"], done["step"]) == ("removing", "removed")
    assert intended["files"] == hashes and done["files"] == len(hashes)
    assert intended["patients"] == {"asked": 2, "held": 1} and intended["date"][:2] == "20"
    assert "in all: 0, 0 files" in command(capsys, "--remove")
    assert len((room.private / "purges.jsonl").read_text().splitlines()) == 2, "nothing to remove, nothing to record"


KILL = """
import os, signal, sys
from pathlib import Path
import purge
left, unlink = [int(sys.argv[1])], Path.unlink
def killing(self, missing_ok=False):
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    unlink(self, missing_ok=missing_ok)
Path.unlink = killing
purge.main(["--configfile", "test.yaml", "--remove"])
"""


@pytest.mark.parametrize("removed", [0, 1, 9, 15])
def test_killed_between_the_record_and_the_last_file_it_is_done_again(
    room: Room, capsys: pytest.CaptureFixture[str], removed: int
) -> None:
    before = room.files()
    environment = os.environ | {"PYTHONPATH": str(Path(purge.__file__).parent)}
    killed = subprocess.run(
        [sys.executable, "-c", KILL, str(removed)], env=environment, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    steps = [json.loads(line) for line in (room.private / "purges.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == ["removing"] and set(steps[0]["files"]) == room.holding
    assert len(before - room.files()) == removed
    command(capsys, "--remove")
    assert not {name for name in room.files() & room.holding if name.endswith((".parquet", ".arrow", ".safetensors"))}
    lines = (room.private / "purges.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == ["removing", "removing", "removed"]


def test_a_running_run_is_left_alone(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    before = room.files()
    (room.root / "results" / "small").mkdir(parents=True)
    with open(room.root / "results" / "small" / ".running", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "a run of small is going on" in command(capsys, "--remove", status=1)
        assert "held: 1" in command(capsys), "looking is allowed"
    (room.root / ".snakemake" / "locks").mkdir(parents=True)
    (room.root / ".snakemake" / "locks" / "0.output.lock").touch()
    assert "snakemake --unlock" in command(capsys, "--remove", status=1)
    assert room.files() == before


def test_ids_come_from_a_file_or_standard_input(
    room: Room, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room.list.write_text("5550199\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(f"{PATIENT}\n".encode())))
    assert "asked about: 1; held: 1" in command(capsys, "--patients", "-")
    (room.root / "other.txt").write_text("Smith\n", encoding="utf-8")
    told = command(capsys, "--patients", "other.txt", status=1)
    assert "line 1 is not a whole number" in told and "Smith" not in told
    room.list.write_text("# nobody yet\n", encoding="utf-8")
    assert "empty" in command(capsys, status=1)


def test_a_damaged_file_is_taken_to_hold_the_patient(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("predict/t/tiny/all-0/test.parquet", "pretokenize/notes.48/discharge/2020.arrow"):
        path = room.private / name
        path.write_bytes(path.read_bytes()[:-20] if name.endswith("parquet") else b"\xff\xff\xff\xff")
        assert f"{name}: cannot be told" in command(capsys)


def test_a_fault_of_ours_shows_no_data(
    room: Room, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError(f"patient {PATIENT}")

    monkeypatch.setattr(holdings, "Holdings", fails)
    assert "ValueError at" in command(capsys, status=70)


def test_links_are_told_and_not_followed(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """A site may keep a large folder on another disk: what is not looked at must not look clean."""
    assert "links" not in command(capsys)
    elsewhere = room.root / "disk"
    shutil.move(room.private / "predict", elsewhere)
    (room.private / "predict").symlink_to(elsewhere)
    assert "links, not followed: 1" in command(capsys)


def test_other_runs_are_named_by_their_number(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(room.private, room.private.with_name("another"))
    command(capsys, "--remove")
    assert "not looked into: 1" in command(capsys)
    assert (room.private.with_name("another") / "extract/discharge/2019.text.parquet").is_file()


def test_of_the_splits_ledger_only_their_rows_go(room: Room) -> None:
    """Nothing makes it again, and without it nobody knows in which part the other patients ever were."""
    room.job("ledger", {"discharge.abc.parquet": [OTHER, PATIENT, PATIENT]})
    assert purge.main(["--configfile", "test.yaml", "--remove"]) == 0
    kept = shards.read_parquet(room.private / "ledger" / "discharge.abc.parquet")
    assert kept["person_id"].to_pylist() == [OTHER]
    lines = [json.loads(line) for line in (room.private / "purges.jsonl").read_text().splitlines()]
    assert lines[0]["rows_of"] == ["ledger/discharge.abc.parquet"]


def test_whom_the_warehouse_named_counts_too(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    config = small_config(private_root=str(room.root / "private"), source={"exclusions_sql": "optouts.sql"})
    (room.root / "test.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    said = command(capsys, status=1)
    assert "source.exclusions_sql: the warehouse has not been asked yet; run: snakemake refresh" in said
    asked = room.private / "fetched" / "exclusions.txt"
    asked.write_text(f"{PATIENT}\n", encoding="utf-8")
    assert command(capsys).splitlines()[0] == "patients asked about: 1; held: 1"
    config["source"]["exclusions"] = str(room.list)
    (room.root / "test.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert command(capsys).splitlines()[0] == "patients asked about: 2; held: 1"
