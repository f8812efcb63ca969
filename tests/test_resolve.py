"""resolve: the configuration as it was understood, without host paths."""

import json
import shutil
from pathlib import Path

import yaml

import resolve
from lib import stage
from lib.config import Config
from lib.config_errors import validated
from lib.plan import Plan

ROOT = Path(__file__).resolve().parents[1]


def test_it_is_valid_again_and_tells_no_path(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    database = tmp_path / "secret" / "notes.sqlite"
    database.parent.mkdir()
    database.touch()
    raw["source"] |= {"sqlite": str(database)}
    del raw["source"]["demo"]
    raw["private_root"] = "/secret/place"
    shutil.copytree(ROOT / "workflow/sql/omop", tmp_path / "secret/sql")
    raw["cohorts"]["discharge"]["sql"] = str(tmp_path / "secret/sql/discharge")
    raw["tokenizers"]["notes"] = {"folder": str(database.parent)}
    raw["models"]["own"] = next(iter(raw["models"].values())) | {"start": {"folder": str(database.parent / "sql")}}
    plan = Plan(validated(Config, raw))
    resolve.main(stage.Job(json.loads(plan.settings("resolve")({})), {"config": tmp_path / "config.yaml"}))
    written = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert str(tmp_path) not in written and "/secret" not in written
    again = yaml.safe_load(written)
    again["source"]["sqlite"] = "x"
    assert validated(Config, again).tasks == validated(Config, raw).tasks
