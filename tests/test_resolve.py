"""resolve: the configuration as it was understood, without host paths."""

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
    plan = Plan(validated(Config, raw))
    import json

    resolve.main(stage.Job(json.loads(plan.settings("resolve")({})), {"config": tmp_path / "config.yaml"}))
    written = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "secret" not in written
    again = yaml.safe_load(written)
    again["source"]["sqlite"] = "x"
    assert validated(Config, again).tasks == validated(Config, raw).tasks
