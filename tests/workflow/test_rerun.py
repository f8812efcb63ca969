"""Exactly what changed runs again: on a finished run, real dry runs and real runs."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Checkout, merged, small_config

pytestmark = pytest.mark.slow
Copy = Callable[..., Checkout]
MODEL = "results/private/small/finetune/readmission/tiny/all-0/model.safetensors"
RESULTS = {"compare": 1, "certificate": 1, "figures": 1, "report": 1, "provenance": 1, "crate": 1}


def test_a_finished_run_has_nothing_to_do(finished: Copy) -> None:
    assert finished().planned() == Counter()


def test_a_dry_run_of_something_else_leaves_what_a_running_job_reads(finished: Copy) -> None:
    """The list of what every job is asked for was one file, which the document told as that of its run."""
    run = finished()
    lists = run.folder / "results/private/small/stamps/jobs"
    before = {path: path.read_bytes() for path in lists.iterdir()}
    run.configure(run.config | {"seeds": [0, 1]})
    assert run.planned()["provenance"] == 1
    assert {path: path.read_bytes() for path in before} == before and len(list(lists.iterdir())) == 2


def test_a_run_that_has_not_begun_has_in_its_plan_what_others_wait_for(tmp_path: Path) -> None:
    """Found only where somebody waits, three datasets would stand in a scheduler's queue one after the other."""
    planned = Checkout(tmp_path / "fresh", small_config()).planned()
    assert (planned["inventory"], planned["leakage"], planned["dataset"]) == (2, 1, 3)


def test_nor_after_a_touch_and_a_reordered_config(finished: Copy) -> None:
    run = finished()
    for path in [*run.folder.glob("scripts/**/*.py"), *run.folder.glob("workflow/**/*")]:
        os.utime(path)
    run.configure(run.config, sort_keys=True)
    assert run.planned() == Counter()


def test_nor_in_a_fresh_clone_over_the_results(finished: Copy) -> None:
    assert finished(metadata=False).planned() == Counter()


def test_a_learning_rate_plans_its_finetunes_and_what_follows(finished: Copy) -> None:
    run = finished()
    learning_rate = merged(run.config, {"models": {"tiny": {"training": {"learning_rate": 0.002}}}})
    run.configure(learning_rate)
    expected = Counter({"finetune": 1, "predict": 1, "evaluate": 1, **RESULTS, "resolve": 1})
    assert run.planned() == expected
    shutil.move(run.folder / ".snakemake", run.folder / "records")
    assert run.planned() == expected, "so it is without Snakemake's records"
    shutil.rmtree(run.folder / ".snakemake")
    shutil.move(run.folder / "records", run.folder / ".snakemake")
    assert run.ran() == expected
    assert run.planned() == Counter()


def test_what_a_model_waits_for_does_not_hide_its_own_change(finished: Copy) -> None:
    """Snakemake does not look at a job that has an `ancient` input of one that runs: the certificate's here."""
    run = finished()
    path = run.folder / "scripts/lib/leakage.py"
    path.write_text(path.read_text() + "\n\nUNUSED = 1\n")
    run.configure(merged(run.config, {"models": {"tiny": {"training": {"learning_rate": 0.002}}}}))
    ran = run.ran(MODEL)
    assert (ran["leakage"], ran["finetune"]) == (1, 1)
    assert run.planned()["baseline"] == 0


def test_a_changed_limit_certifies_anew_and_trains_nothing(finished: Copy) -> None:
    run = finished()
    run.configure(merged(run.config, {"leakage": {"max_term_auroc": 0.8}}))
    assert run.ran() == Counter(
        {"leakage": 1, "certificate": 1, "resolve": 1, "report": 1, "provenance": 1, "crate": 1}
    )


def test_touch_does_not_hide_what_changed(finished: Copy) -> None:
    run = finished()
    run.configure(merged(run.config, {"models": {"tiny": {"training": {"learning_rate": 0.002}}}}))
    run.snakemake("--touch")
    assert run.planned()["finetune"] == 1


def test_a_comment_in_a_cleaning_step_runs_nothing(finished: Copy) -> None:
    """The code hash is of the syntax tree: stronger than running the cleaning to find its texts equal."""
    run = finished()
    path = run.folder / "scripts/lib/cleaning.py"
    path.write_text(path.read_text().replace("def markup(text", "# a comment\ndef markup(text"))
    assert run.planned() == Counter()


CLEANING = (
    "return text if len(text.split()) >= min_words else None",
    "return None if len(text.split()) < min_words else text",
)
SPLITTING = ("return [time >= begins for time", "return [not time < begins for time")


def rewrite(run: Checkout, module: str, old: str, new: str) -> None:
    path = run.folder / module
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))


@pytest.mark.parametrize(
    ("stage", "module", "change"),
    [("clean", "scripts/lib/cleaning.py", CLEANING), ("split", "scripts/split.py", SPLITTING)],
)
def test_a_rewritten_stage_that_changes_no_data_is_cut_off(
    finished: Copy, stage: str, module: str, change: tuple[str, str]
) -> None:
    run = finished()
    before = run.bytes()
    rewrite(run, module, *change)
    ran = run.ran()
    assert set(ran) <= {
        stage,
        "ledger",
        "inventory",
        "eligibility",
        "dataset",
        "flow",
        "leakage",
        "provenance",
        "crate",
    }
    assert (ran[stage], ran["inventory"]) == (8, 2)
    assert run.bytes() == before


def test_without_metadata_the_store_spares_the_training(finished: Copy) -> None:
    """Snakemake's checksums are gone with its metadata, so what is behind runs; a finished model is found again."""
    run = finished(metadata=False)
    before = run.bytes()
    rewrite(run, "scripts/lib/cleaning.py", *CLEANING)
    ran = run.ran(MODEL)
    assert (ran["dataset"], ran["finetune"]) == (1, 1)
    log = run.folder / "results/small/logs/finetune/readmission-tiny-all-0.log"
    assert "nothing to train" in log.read_text()
    assert run.bytes() == before


def test_another_salt_is_stopped_by_the_ledger(finished: Copy) -> None:
    run = finished()
    before = run.bytes()
    run.configure(merged(run.config, {"split": {"salt": "another"}}))
    ended = run.snakemake(check=False)
    assert ended.returncode != 0
    assert "would move to another part of the split" in ended.stdout + ended.stderr
    changed = [path for path, digest in run.bytes().items() if before.get(path) != digest]
    assert not [path for path in changed if "/split/" not in path and path != "small/config.yaml"]


def test_a_month_more_trains_nothing_and_tokenizes_no_old_window(finished: Copy) -> None:
    run = finished()
    before = run.bytes()
    run.configure(merged(run.config, {"source": {"data_end": "2021-10-31"}}))
    ran = run.ran()
    assert ran["finetune"] == ran["baseline"] == ran["tokenizer"] == 0
    assert ran["pretokenize"] == 1, "the window of 2021, of the one cohort that has a task"
    assert ran["predict"] > 0
    after = run.bytes()
    changed = {path for path in before if after[path] != before[path]}
    assert not [path for path in changed if "finetune/" in path or "/train." in path or "/test." in path]
    assert [path for path in changed if "temporal_test" in path]


def test_a_deleted_shard_is_noticed_and_made_again(finished: Copy) -> None:
    run = finished()
    before = run.bytes()
    for path in ("clean/discharge/2019.parquet", "pretokenize/notes.48/discharge/2020.arrow"):
        (run.folder / "results/private/small" / path).unlink()
    ran = run.ran()
    assert ran["clean"] == 1 and ran["pretokenize"] >= 1 and ran["finetune"] == 0
    assert run.bytes() == before


def test_a_dry_run_of_before_does_not_hide_a_lost_file(finished: Copy) -> None:
    """It left the stamp of a lost file; then that was made, and lost once more: the same stamp, older than the rest."""
    run = finished()
    path = run.folder / "results/small/evaluate/readmission/tiny/all-0.json"
    path.unlink()
    assert run.planned()["evaluate"] == 1
    assert run.ran()["evaluate"] == 1
    path.unlink()
    assert run.ran()["evaluate"] == 1
    shutil.rmtree(run.folder / ".snakemake")
    path.unlink()
    assert run.ran()["evaluate"] == 1


def test_another_demo_hospital_is_read(finished: Copy) -> None:
    """Its database is an `ancient` input, since it may grow: what tells another one is in the settings."""
    run = finished()
    before = run.bytes()
    run.configure(merged(run.config, {"source": {"demo": {"dirt": 0.2}}}))
    wanted = "results/private/small/clean/discharge/2019.json"
    ran = run.ran(wanted)
    assert (ran["demo_hospital"], ran["extract"], ran["clean"]) == (1, 1, 1)
    assert (
        run.bytes()["private/small/clean/discharge/2019.parquet"]
        != before["private/small/clean/discharge/2019.parquet"]
    )


def test_what_a_cut_off_lets_through_runs_at_once(finished: Copy) -> None:
    """Behind a dataset that is not assembled again because the inventory before it comes out equal."""
    run = finished()
    rewrite(run, "scripts/lib/cleaning.py", *CLEANING)
    run.configure(merged(run.config, {"models": {"tiny": {"training": {"learning_rate": 0.002}}}}))
    ran = run.ran()
    assert (ran["clean"], ran["finetune"], ran["baseline"], ran["dataset"]) == (8, 1, 0, 0)
    assert run.planned() == Counter()


def test_a_query_asked_again_for_the_same_rows_is_cut_off(finished: Copy) -> None:
    """All else is planned only when the windows are known; before, a checkpoint counted that nobody had looked at."""
    run = finished()
    path = run.folder / "scripts/extract.py"
    path.write_text(path.read_text() + "\n\nUNUSED = 1\n")
    assert set(run.ran()) == {"extract", "clean", "split", "ledger", "inventory", "provenance", "crate"}


def test_an_edited_metrics_file_is_made_again(finished: Copy) -> None:
    run = finished(metadata=False)
    path = run.folder / "results/small/evaluate/readmission/tiny/all-0.json"
    text, time = path.read_text(), path.stat().st_mtime
    path.write_text(text.replace("0.", "0.9", 1))
    os.utime(path, (time, time))
    assert run.planned()["evaluate"] == 1
    run.ran()
    assert path.read_text() == text


def test_development_opens_no_test_part(finished: Copy) -> None:
    run = finished()
    baselines = {"tfidf": run.config["baselines"]["tfidf"]}
    run.configure(run.config | {"evaluation": "development", "name": "closed", "baselines": baselines})
    run.snakemake()
    parts = {path.stem for path in (run.folder / "results/private/closed/predict").rglob("*.parquet")}
    assert parts == {"tuning", "calibration"}
    assert not (run.folder / "results/private/closed/openings.jsonl").exists()
    assert "never opened" in (run.folder / "results/closed/certificate/readmission.html").read_text()
    for folder in ("evaluate", "compare", "figures"):
        found = (run.folder / "results/closed" / folder).rglob("*.*")
        paths = [path for path in found if path.suffix != ".jsonl" and path.name != "flow.svg"]
        assert paths and not [path.name for path in paths if re.search(r"\btest|temporal", path.read_text())]
    for path in (run.folder / "results/private/closed/dataset").rglob("*.json"):
        counted = json.loads(path.read_text())["counts"]["classes"]
        assert (counted is None) == ("test" in path.stem), "no outcome of a test part is counted"
    run.configure(run.config | {"evaluation": "final"})
    ran = run.ran()
    assert ran["finetune"] == ran["baseline"] == 0, "opening the test trains nothing"
    told = (run.folder / "results/closed/certificate/readmission.html").read_text()
    assert "opened under 1 configuration" in told


def test_a_model_and_a_tokenizer_from_local_folders(finished: Copy, tmp_path: Path) -> None:
    """As with a model that a hospital has: its files are inputs, so that an edited one counts."""
    run = finished()
    folder = tmp_path / "a model"
    shutil.copytree(run.folder / "results/private/small/finetune/readmission/tiny/all-0", folder)
    local = {"start": {"folder": str(folder)}, "tokenizer": "local"}
    model = {name: value for name, value in run.config["models"]["tiny"].items() if name not in local} | local
    tokenizers = run.config["tokenizers"] | {"local": {"folder": str(folder)}}
    run.configure(run.config | {"tokenizers": tokenizers, "models": run.config["models"] | {"again": model}})
    wanted = "results/small/evaluate/readmission/again/all-0.json"
    ran = run.ran(wanted)
    assert ran["finetune"] == ran["predict"] == ran["evaluate"] == ran["tokenizer"] == 1
    assert run.planned(wanted) == Counter()
    (folder / "tokenizer_config.json").write_text((folder / "tokenizer_config.json").read_text() + " ")
    assert run.planned(wanted)["tokenizer"] == 1
