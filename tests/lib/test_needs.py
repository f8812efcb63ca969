"""The estimates grow with the model, the rows and the attempt, and are those of profiles/README.md."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake.resources import Resource, Resources
from snakemake.settings.types import ResourceSettings

from checkout import ROOT, merged, small_config
from lib.config import Config
from lib.config_errors import validated
from lib.files import write_json
from lib.needs import Needs

BERT = {"hidden_size": 768, "layers": 12, "intermediate_size": 3072, "vocabulary": 50_000}


def needed(
    folder: Path, rows: int, attempt: int = 1, size: str = "all", shape: Any = BERT, stored: bool = False
) -> tuple[int, int]:
    """(minutes, MB) for the demo's model under another shape, 512 tokens and 10 epochs."""
    bert = {"models": {"tiny": {"max_tokens": 512, "training": {"epochs": 10}}}}
    needs = Needs(validated(Config, merged(small_config(), bert)), lambda name: shape, lambda wildcards: stored)
    write_json(folder / "train.json", {"rows": rows})
    given = (SimpleNamespace(model="tiny", size=size), SimpleNamespace(manifests=[str(folder / "train.json")]), attempt)
    return needs.minutes(*given), needs.megabytes(*given)


def test_what_the_readme_says(tmp_path: Path) -> None:
    text = (ROOT / "profiles" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| ([\d,]+) \| [\d.]+ \| (\d+) h (\d+) min \| ([\d.]+) GB \|", text)
    assert len(rows) == 4
    for count, hours, minutes, gigabytes in rows:
        asked = needed(tmp_path, int(count.replace(",", "")))
        assert asked[0] == pytest.approx(int(hours) * 60 + int(minutes), abs=1)
        assert asked[1] == pytest.approx(1000 * float(gigabytes), abs=50)


def test_more_of_everything_needs_more(tmp_path: Path) -> None:
    once = needed(tmp_path, 100_000)
    assert needed(tmp_path, 100_000, attempt=3) == pytest.approx((3 * once[0], 3 * once[1]), abs=2)
    assert needed(tmp_path, 200_000) > once
    assert needed(tmp_path, 100_000, size="1000") < once
    assert needed(tmp_path, 100, size="1000") == needed(tmp_path, 100)


def test_an_unknown_shape_counts_as_bert(tmp_path: Path) -> None:
    minutes, megabytes = needed(tmp_path, 362_259, shape=None)
    assert minutes == pytest.approx(473, rel=0.15) and megabytes == pytest.approx(10_444, rel=0.15)


def test_without_a_dataset_snakemake_is_told_that_a_file_is_missing(tmp_path: Path) -> None:
    needs = Needs(validated(Config, small_config()), lambda name: None, lambda wildcards: False)
    given = (SimpleNamespace(model="tiny", size="all"), SimpleNamespace(manifests=[str(tmp_path / "none")]), 1)
    with pytest.raises(FileNotFoundError):
        needs.minutes(*given)


def test_a_model_that_the_store_has_needs_minutes_at_first_and_all_when_that_failed(tmp_path: Path) -> None:
    assert needed(tmp_path, 362_259, stored=True) == (5, 2000)
    assert needed(tmp_path, 362_259, stored=True, attempt=2) == needed(tmp_path, 362_259, attempt=2)


def test_what_a_profile_asks_for_a_training_is_not_for_a_copy() -> None:
    """Snakemake's own resources, as it makes them of the profile."""
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "profile.yaml").read_text(encoding="utf-8"))
    several = {"nodes": '2 if wildcards.model == "tiny" else 1'}
    asked = {"finetune": profile["set-resources"]["finetune"] | several}

    def resources(block: dict[str, Any]) -> Resources:
        return Resources({name: Resource.from_cli_expression(name, str(value)) for name, value in block.items()})

    settings = ResourceSettings(
        default_resources=resources(profile["default-resources"]),
        overwrite_resources={rule: resources(block) for rule, block in asked.items()},
    )
    for stored, attempt, expected in (
        (True, 1, {"slurm_partition": "cpu", "gres": None, "nodes": None}),
        (True, 2, {"slurm_partition": "gpu", "gres": "gpu:1", "nodes": 2}),
        (False, 1, {"slurm_partition": "gpu", "gres": "gpu:1", "nodes": 2}),
    ):
        rule = SimpleNamespace(name="finetune", resources=resources(asked["finetune"]))
        Needs(validated(Config, small_config()), lambda name: None, lambda wildcards, s=stored: s).spare(rule, settings)
        given = {"input": [], "attempt": attempt, "threads": 1, "rulename": "finetune", "async_run": None}
        wildcards = SimpleNamespace(model="tiny")
        assert {name: r.evaluate(wildcards, **given).value for name, r in rule.resources.items()} == expected
