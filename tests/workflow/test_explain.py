"""explain: what would run, why, and what it takes, told before anything runs, on a finished run."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from checkout import Checkout, merged, small_config
from lib import shards, store

pytestmark = pytest.mark.slow
Copy = Callable[..., Checkout]
FASTER = {"models": {"tiny": {"training": {"learning_rate": 0.002}}}}
CHANGED = "models.tiny.training.learning_rate: 0.0005 -> 0.002"


def explain(run: Checkout, *targets: str, status: int = 0) -> list[str]:
    command = [sys.executable, "scripts/explain.py", *targets, "--configfile", "config/test.yaml"]
    before = run._records()
    done = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert run._records() == before, "nothing runs"
    assert str(run.folder) not in done.stdout
    return (done.stdout + done.stderr).splitlines()


def rows(lines: list[str]) -> dict[str, tuple[int, str, str]]:
    """By rule: jobs, cost, why."""
    found = (re.match(r"(\w+) +(\d+) of \d+  +(\S.*?)  +(.+)$", line) for line in lines)
    return {match[1]: (int(match[2]), match[3].strip(), match[4]) for match in found if match}


def at_most(lines: list[str]) -> Counter[str]:
    """By rule: jobs that run only if the data come out different."""
    told = " ".join(line for line in lines if line.startswith("  ") and re.match(r"  \w+ \d+(,|$)", line))
    return Counter({rule: int(count) for rule, count in re.findall(r"(\w+) (\d+)", told)})


def test_nothing_to_do_and_a_wrong_configuration(finished: Copy) -> None:
    run = finished()
    assert explain(run) == ["small: nothing to run, all is up to date"]
    run.configure(merged(run.config, {"models": {"tiny": {"training": {"epochs": "two"}}}}))
    assert "models.tiny.training.epochs" in " ".join(explain(run, status=1))


def test_a_learning_rate_is_told_from_which_value_to_which(finished: Copy) -> None:
    run = finished()
    run.configure(merged(run.config, FASTER))
    lines = explain(run)
    told = rows(lines)
    assert Counter({rule: count for rule, (count, _, _) in told.items()}) == run.planned()
    assert told["finetune"][2] == CHANGED == told["resolve"][2]
    assert (told["predict"][2], told["evaluate"][2]) == ("follows finetune", "follows predict")
    record = run.folder / "results/private/small/finetune/readmission/tiny/all-0/config.json.record.jsonl"
    seconds = json.loads(record.read_text())["seconds"]
    assert told["finetune"][1] == f"about {seconds:.0f} s of CPU"
    assert lines[0] == "small: 10 jobs would run" and at_most(lines) == Counter()
    assert lines[-2].startswith(f"in all: 1 finetune, about {seconds:.0f} s of CPU; 9 other jobs, about ")
    assert lines[-1] == "to run it: snakemake --cores 4 --configfile config/test.yaml"
    assert rows(explain(run, "replay")) == {"replay_cohort": (2, "–", "never made")}, "asked for by name"
    assert rows(explain(run, "results/small/evaluate/readmission/tiny/all-0.json")).keys() == {
        "finetune", "predict", "evaluate",
    }  # fmt: skip


def test_a_former_setting_is_found_in_the_store(finished: Copy) -> None:
    run = finished()
    [own] = (run.folder / "results/private/small/store").iterdir()
    what = shards.read_json(own / store.WHAT)
    what["settings"]["training"]["learning_rate"] = 0.002
    shutil.copytree(own, own.with_name(store.key(what["settings"], what["data"], what["code"])))
    run.configure(merged(run.config, FASTER))
    lines = explain(run)
    assert rows(lines)["finetune"] == (1, "in the store: nothing to train", CHANGED)
    assert lines[-2].startswith("in all: 1 finetune, in the store: nothing to train; 9 other jobs")


def test_a_changed_module_and_a_lost_file_and_an_edited_one(finished: Copy) -> None:
    run = finished()
    path = run.folder / "scripts/lib/cleaning.py"
    path.write_text(path.read_text() + "\n\nUNUSED = 1\n")
    evaluated = run.folder / "results/small/evaluate/readmission/tfidf/all-0.json"
    evaluated.write_text(evaluated.read_text() + " ")
    (run.folder / "results/private/small/eligibility/readmission.json").unlink()
    lines = explain(run)
    told, more = rows(lines), at_most(lines)
    assert (told["clean"][0], told["clean"][2]) == (8, "code: lib/cleaning.py")
    assert told["inventory"][2] == "follows clean"
    assert told["eligibility"][2] == "a file is missing: eligibility/readmission.json"
    assert told["evaluate"] == (1, told["evaluate"][1], "a file was edited: evaluate/readmission/tfidf/all-0.json")
    assert (more["finetune"], more["baseline"], more["evaluate"], more["clean"]) == (1, 5, 5, 0)
    assert [line for line in lines if "decided after dataset, inventory" in line]
    ran = run.ran()
    assert all(told.get(rule, (0,))[0] <= count <= told.get(rule, (0,))[0] + more[rule] for rule, count in ran.items())


def test_a_month_more_is_told_by_the_key_and_bounds_what_runs(finished: Copy) -> None:
    """Snakemake lists two jobs, for the demo's database has to be generated before it looks further."""
    run = finished()
    run.configure(merged(run.config, {"source": {"data_end": "2021-10-31"}}))
    lines = explain(run)
    told, more = rows(lines), at_most(lines)
    why = "source.data_end: 2021-09-30 -> 2021-10-31"
    assert told["demo_hospital"][2] == told["resolve"][2] == told["extract"][2] == told["ledger"][2] == why
    assert (told["extract"][0], told["clean"][2]) == (4, "follows extract"), "the window of 2021, and 2020's follow-up"
    assert "finetune" not in told and more["finetune"] == 1
    ran = run.ran()
    assert set(ran) <= set(told) | set(more)
    assert all(told.get(rule, (0,))[0] + more[rule] >= count for rule, count in ran.items())
    assert ran["extract"] >= told["extract"][0]


def test_before_the_first_run_nothing_is_known_of_what_it_takes(tmp_path: Path) -> None:
    run = Checkout(tmp_path / "fresh", small_config())
    lines = explain(run)
    told = rows(lines)
    assert told["finetune"] == (1, "–", "never made") and told["extract"][0] == 16
    assert "1 finetune, never run here: no estimate" in lines[-2]
