"""A patient withdraws: the run stops, `purge` removes what holds him, and the next run goes through without him."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Checkout, merged
from lib import shards

pytestmark = pytest.mark.slow
Copy = Callable[..., Checkout]
SOURCE = {"oracle.parquet"}  # generated with the demo's database


def private(run: Checkout) -> Path:
    return run.folder / "results" / "private" / "small"


def persons(run: Checkout, part: str) -> set[int]:
    return set(shards.read_arrow(private(run) / f"dataset/readmission/text/{part}.arrow")["person_id"].to_pylist())


def stays(run: Checkout, patient: int) -> set[int]:
    tables = (shards.read_parquet(path) for path in (private(run) / "split").rglob("*.parquet"))
    return {row["visit_id"] for table in tables for row in table.to_pylist() if row["person_id"] == patient}


def with_one_baseline(run: Checkout) -> Checkout:
    """The run as if it had no other: fewer models have to learn again."""
    run.configure(run.config | {"baselines": {"tfidf": run.config["baselines"]["tfidf"]}})
    for name in ("structured", "shuffled", "features"):
        for folder in list((run.folder / "results").rglob(name)):
            shutil.rmtree(folder)
    return run


def opt_out(run: Checkout, *patients: int) -> Path:
    path = run.folder.parent / "withdrawn.txt"
    path.write_text("".join(f"{patient}\n" for patient in patients), encoding="utf-8")
    run.configure(merged(run.config, {"source": {"exclusions": str(path)}}))
    return path


def purge(run: Checkout, *arguments: str) -> str:
    command = [sys.executable, "scripts/purge.py", "--configfile", "config/test.yaml", *arguments]
    done = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def holding(run: Checkout, patient: int, visits: set[int]) -> list[str]:
    """Every columnar file below the private folder with the patient's id or one of his stays, looked at row by row."""
    found = []
    for path in private(run).rglob("*"):
        if path.suffix in (".parquet", ".arrow") and path.name not in SOURCE:
            table = (shards.read_parquet if path.suffix == ".parquet" else shards.read_arrow)(path)
            names = {name.removesuffix("_a").removesuffix("_b") for name in table.column_names}
            if path.parts[-3] == "fetched":  # hashes of rows, which go with the extract that has them
                assert names == {"key", "row", "labels"}
                continue
            assert "person_id" in names, f"{path} does not say whose its rows are: purge takes it for his"
            keys = {"person_id": {patient}, "visit_id": visits}
            pairs = ((name, ids) for name in table.column_names for key, ids in keys.items() if name.startswith(key))
            if any(set(table[name].to_pylist()) & ids for name, ids in pairs):
                found.append(path.relative_to(private(run)).as_posix())
    return sorted(found)


def stopped(run: Checkout) -> str:
    before = run._records()
    ended = run.snakemake(check=False)
    assert ended.returncode != 0
    assert set(run._records() - before) <= {"resolve"}, "nothing else that ended well has run"
    return ended.stdout + ended.stderr


def windows_of(names: list[str]) -> set[tuple[str, ...]]:
    return {(*name.split("/")[1:2], *Path(name).name.split(".")[:2]) for name in names if name.startswith("extract/")}


def test_a_training_patient_is_kept_out_and_what_learned_from_him_learns_again(finished: Copy) -> None:
    run = with_one_baseline(finished())
    patient = min(persons(run, "train") & persons(run, "temporal_test"))
    visits, before = stays(run, patient), run.bytes()
    held = holding(run, patient, visits)
    given = opt_out(run, patient)
    planned = run.planned()
    assert planned["inventory"] and not {"extract", "clean", "split", "finetune"} & set(planned), (
        "a list is no new data"
    )
    said = stopped(run)
    told = re.search(r"(\d+) patients who opted out .* still held in (\d+) windows.*scripts/purge.py", said)
    assert told and told[1] == "1" and int(told[2]) > 1
    assert "nothing was removed" in purge(run)
    listed = [line.split(":")[0].strip() for line in purge(run, "--remove").splitlines() if line.startswith("  ")]
    assert [name for name in held if not name.endswith("patients.parquet") and name not in listed] == []
    assert holding(run, patient, visits) == []
    ran = run.ran()
    assert ran["extract"] == len(windows_of(held)) < 16
    assert (ran["finetune"], ran["baseline"], ran["tokenizer"], ran["demo_hospital"]) == (1, 1, 1, 0)
    assert run.planned() == Counter()
    assert holding(run, patient, visits) == []
    after = run.bytes()
    assert set(after) - set(before) == {"private/small/purges.jsonl"} and set(before) <= set(after)
    weights = [name for name in before if name.endswith("model.safetensors")]
    assert len(weights) == 2 and all(after[name] != before[name] for name in weights)
    flow = shards.read_json(run.folder / "results/small/flow/readmission.json")
    assert flow["opted_out"] is None, "some, but fewer than are told"
    metadata = "".join(path.read_text() for path in (run.folder / ".snakemake/metadata").iterdir())
    assert hashlib.sha256(given.read_bytes()).hexdigest() not in metadata, "it could be found by trying every id"
    assert given.name not in metadata


def test_a_test_patient_trains_nothing_again(finished: Copy) -> None:
    run = with_one_baseline(finished())
    learned_from = persons(run, "train") | persons(run, "tuning")
    patient = min(persons(run, "test") - persons(run, "temporal_test") - learned_from)
    visits, before = stays(run, patient), run.bytes()
    opt_out(run, patient)
    stopped(run)
    said = purge(run, "--remove")
    assert not re.search(r"^(finetune|baseline|tokenizers|store):", said, re.M) and "predict: " in said
    ran = run.ran()
    assert ran["finetune"] == ran["baseline"] == 0 and ran["predict"] > 0
    assert run.planned() == Counter() and holding(run, patient, visits) == []
    after = run.bytes()
    changed = {name for name in before if after[name] != before[name]}
    assert not [name for name in changed if "/finetune/" in name or "/baseline/" in name or "/train." in name]
    assert [name for name in changed if "/predict/" in name and name.endswith("/test.parquet")]


def test_a_patient_whom_nothing_holds_runs_the_inventory_and_touching_hides_none(finished: Copy) -> None:
    run = finished()
    before = run.bytes()
    patient = min(persons(run, "train"))
    opt_out(run, 2**40)
    assert run.ran() == Counter({"inventory": 2, "provenance": 1, "crate": 1}) and run.bytes() == before
    opt_out(run, 2**40, patient)
    run.snakemake("--touch")
    assert run.planned()["inventory"]
    assert "1 patients who opted out" in stopped(run)
