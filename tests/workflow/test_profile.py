"""The SLURM profile names rules that there are; Snakemake passes over the others without a word."""

import re
from pathlib import Path
from typing import Any

import yaml

from checkout import ROOT

FOLDER = ROOT / "profiles"
PROFILE: dict[str, Any] = yaml.safe_load((FOLDER / "slurm" / "profile.yaml").read_text(encoding="utf-8"))


def rules() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow").rglob("*.smk"))]
    return {name for text in texts for name in re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.M)}


def test_there_is_one_file_and_no_default() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert files == {"README.md", str(Path("slurm", "profile.yaml"))}


def test_every_rule_that_is_named_is_there() -> None:
    assert set(PROFILE["set-resources"]) | set(PROFILE["groups"]) <= rules()
    assert set(PROFILE["group-components"]) == set(PROFILE["groups"].values())


def test_a_retry_is_given_more() -> None:
    given = [PROFILE["default-resources"], *PROFILE["set-resources"].values()]
    for value in (block[name] for block in given for name in ("runtime", "mem_mb") if name in block):
        assert eval(value, {"attempt": 2}) > eval(value, {"attempt": 1}) > 0


def test_no_job_asks_for_a_gpu_in_two_ways() -> None:
    assert not [name for name, block in PROFILE["set-resources"].items() if "gpu" in block and "gres" in block]


def test_the_table_tells_of_every_rule() -> None:
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    told = {name for row in re.findall(r"^\| ([a-z_, ]+) \|", table, re.M) for name in row.split(", ")}
    assert rules() - {"demo_hospital", "share", "replay_cohort"} <= told
