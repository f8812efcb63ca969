"""A warehouse that grows: what a new month, a late note and a new opt-out run again, and what they do not."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import omop_db
from checkout import Checkout, merged, small_config
from lib import shards

pytestmark = pytest.mark.slow
PRIVATE = "results/private/grows"
INVENTORY = f"{PRIVATE}/inventory/discharge.json"
DEMO = {"seed": 3, "patients": 250, "start": "2019-01-01", "note_words": 40, "cue_share": 0.2, "late": 0.0, "dirt": 0.1}


def hospital(folder: Path, end: str) -> Path:
    """The database as it is when its data reach `end`."""
    return omop_db.demo(folder / end, DEMO | {"end": end, "leak": []})


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Extracted, cleaned, split: the data up to June 2020, by quarters."""
    folder = tmp_path_factory.mktemp("grows")
    config = small_config()
    optouts = folder / "clone" / "optouts.sql"
    config |= {"name": "grows", "source": {"sqlite": "warehouse.sqlite", "data_start": "2019-01-01"}}
    config["source"] |= {"data_end": "2020-06-30", "window": "quarter", "look_back": 3, "exclusions_sql": "optouts.sql"}
    config["cohorts"] = {"discharge": config["cohorts"]["discharge"]}
    config["tokenizers"]["notes"]["wordpiece"]["cohorts"] = ["discharge"]
    config["split"] = config["split"] | {"temporal_from": "2020-01-01"}
    run = Checkout(folder / "clone", config)
    shutil.copy(hospital(folder, "2020-06-30"), run.folder / "warehouse.sqlite")
    optouts.write_text("SELECT person_id FROM observation_period WHERE period_type_concept_id = -1", encoding="utf-8")
    return run


def change(run: Checkout, statement: str) -> None:
    with closing(sqlite3.connect(run.folder / "warehouse.sqlite")) as connection, connection:
        connection.execute(statement)


def said(run: Checkout, *arguments: str) -> str:
    ended = run.snakemake(*arguments, check=False)
    return ended.stdout + ended.stderr


def test_it_grows(before: Checkout, tmp_path: Path) -> None:
    run = before
    assert "source.exclusions_sql: the warehouse has not been asked yet; run: snakemake refresh" in said(run, INVENTORY)
    assert "patients who have opted out: 0" in said(run, "refresh")
    first = run.ran(INVENTORY)
    assert first == {"extract": 12, "clean": 6, "split": 6, "ledger": 1, "inventory": 1}

    # Nothing has changed: nothing runs.
    assert "windows the texts of 0 and the labels of 0 have changed" in said(run, "refresh")
    assert not run.planned(INVENTORY)

    # A month more. The new window, and the labels of the one whose horizon the end of the data had cut off.
    bytes_before = run.bytes()
    shutil.copy(hospital(tmp_path, "2020-07-31"), run.folder / "warehouse.sqlite")
    run.configure(merged(run.config, {"source": {"data_end": "2020-07-31"}}))
    ran = run.ran(INVENTORY)
    print(f"a month more: {dict(ran)}")
    assert ran == {"extract": 3, "clean": 1, "split": 2, "ledger": 1, "inventory": 1}
    assert len([path for path, digest in run.bytes().items() if bytes_before.get(path) == digest]) >= 9 * 2 + 5 * 2

    # The texts of the last old window are fetched again too, once: its days reach a little beyond its end.
    assert "windows the texts of 1 and the labels of 0 have changed" in said(run, "refresh")
    ran = run.ran(INVENTORY)
    print(f"after the refresh: {dict(ran)}")
    assert ran == {"extract": 1, "clean": 1, "inventory": 1}
    assert "windows the texts of 0 and the labels of 0 have changed" in said(run, "refresh")

    # A note under a new id and one that is gone, in a window within the look-back: its texts and labels.
    notes = shards.read_parquet(run.folder / f"{PRIVATE}/extract/discharge/2020Q1.text.parquet")["note_id"].to_pylist()
    change(run, f"UPDATE note SET note_id = -note_id WHERE note_id = {notes[0]}")
    change(run, f"DELETE FROM note WHERE note_id = {notes[-1]}")
    assert "windows the texts of 1 and the labels of 1 have changed" in said(run, "refresh")
    ran = run.ran(INVENTORY)
    print(f"a late note and a deleted one: {dict(ran)}")
    assert ran == {"extract": 2, "clean": 1, "split": 1, "ledger": 1, "inventory": 1}
    journal = run.folder / PRIVATE / "fetched" / "changes.jsonl"
    last = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()][-2:]
    texts = next(line for line in last if line["window"].endswith(".text"))
    assert texts["window"] == "2020Q1.text" and texts["added"] >= 1 and texts["removed"] >= 2
    assert not run.planned(INVENTORY)

    # Somebody opts out: the run stops until what holds him is removed, and he is in nothing that is made again.
    change(
        run,
        "UPDATE observation_period SET period_type_concept_id = -1 WHERE person_id = "
        "(SELECT person_id FROM visit_occurrence WHERE visit_concept_id = 9201 ORDER BY visit_occurrence_id LIMIT 1)",
    )
    assert "patients who have opted out: 1" in said(run, "refresh")
    stopped = said(run, INVENTORY)
    assert "1 patients who opted out (source.exclusions) are still held" in stopped + (
        run.folder / "results/grows/logs/inventory/discharge.log"
    ).read_text(encoding="utf-8")
