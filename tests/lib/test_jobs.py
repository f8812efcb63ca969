"""The list of a run's jobs is what Snakemake ran, and each first output is the one that has the record."""

from collections import Counter

from checkout import Checkout, small_config
from lib import jobs, records
from lib.config import Config
from lib.config_errors import validated
from lib.plan import Plan

LAST = jobs.PROVENANCE


def test_jobs_are_those_of_a_run(finished_run: Checkout, monkeypatch) -> None:
    run = finished_run
    monkeypatch.chdir(run.folder)
    plan = Plan(validated(Config, run.config), main_process=False)
    listed = list(jobs.planned(plan))
    found = (path for path in (run.folder / "results").rglob("*.record.jsonl") if path.name.split(".")[0] not in LAST)
    assert {run.folder / records.beside(job.path(plan)) for job in listed} == set(found)
    for job in listed:
        record = records.last(job.path(plan))
        assert (record["stage"], record["settings"]) == (job.stage, plan.settings_of(job.stage, job.wildcards)), job


def test_a_full_grid_has_every_fit_and_cohort() -> None:
    config = small_config(sizes=[200, "all"], seeds=[0, 1], share={"enabled": True})
    listed = Counter(job.stage for job in jobs.planned(Plan(validated(Config, config), main_process=False)))
    assert (listed["finetune"], listed["share"], listed["extract"]) == (4, 1, 16)
    assert listed["predict"] == listed["evaluate"] == listed["finetune"] + listed["baseline"]
