"""What jobs take is told by the records of the jobs most like them."""

from pathlib import Path
from typing import Any

import pytest

from checkout import merged, small_config
from lib import jobs, records
from lib.config import Config
from lib.config_errors import validated
from lib.costs import Cost, Costs, measured
from lib.files import append_json, write_json
from lib.plan import Plan

GPU = {"name": "H100", "driver": "1"}


def record(seconds: float, settings: str = "{}", attempt: int = 1, gpus: int = 0) -> dict[str, Any]:
    return {"seconds": seconds, "settings": settings, "attempt": attempt, "gpu": [GPU] * gpus}


def test_a_model_found_in_the_store_hides_no_training() -> None:
    known = [record(900, "a", gpus=1), record(3600, "b", gpus=2), record(0.2, "b"), record(0.3, "b")]
    assert measured(known) == Cost(3600, 2, "records")
    assert measured([record(3600, "b"), *[record(0.2, "b")] * 5]) == Cost(0.2, 0, "records"), "of the last five"
    assert measured([record(100, attempt=3)]) == Cost(300, 0, "records")
    assert measured([]) is None


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    two = {"models": {"small": small_config()["models"]["tiny"]}, "seeds": [0, 1, 2], "sizes": [100, "all"]}
    return Plan(validated(Config, merged(small_config(private_root=str(tmp_path)), two)), main_process=False)


def fit(plan: Plan, stage: str, name: str) -> jobs.Planned:
    return next(job for job in jobs.planned(plan) if job.stage == stage and f"/{name}/" in job.output)


def test_the_median_of_its_like_else_of_the_model_else_of_the_stage(plan: Plan) -> None:
    seconds = {"tiny/100-0": 10, "tiny/100-1": 30, "tiny/all-0": 500, "tiny/all-1": 900, "small/all-0": 60}
    for name, took in seconds.items():
        append_json(records.beside(fit(plan, "finetune", name).path(plan)), record(took, gpus=1))
    costs = Costs(plan, jobs.planned(plan))
    told = {name: costs.of(fit(plan, "finetune", name)) for name in ("tiny/all-0", "tiny/all-2", "small/100-0")}
    assert told["tiny/all-0"] == Cost(500, 1, "records"), "its own"
    assert told["tiny/all-2"] == Cost(700, 1, "records")
    assert told["small/100-0"] == Cost(60, 1, "records")
    assert costs.of(fit(plan, "predict", "tiny/all-0")) == Cost(0, 0, "none")


def test_a_finetune_that_never_ran_is_estimated_by_its_arithmetic(plan: Plan) -> None:
    job = fit(plan, "finetune", "tiny/all-0")
    assert Costs(plan, []).of(job).source == "none", "its rows are not known yet"
    [manifest] = plan.files("<private>/dataset/{task}/{encoding}/{part}.json", dict(job.wildcards), part=["train"])
    write_json(Path(manifest), {"rows": 10**9, "files": {"train.arrow": {"sha256": "0"}}})
    cost = Costs(plan, []).of(job)
    assert (cost.source, cost.gpus) == ("arithmetic", 1) and cost.seconds > 60
