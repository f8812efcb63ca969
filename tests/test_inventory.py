"""inventory: equal when every window's files are, different when one is not."""

from pathlib import Path

import inventory
from lib import shards, stage


def run(tmp_path: Path, **windows: dict) -> dict:
    paths = []
    for name, manifest in windows.items():
        paths.append(tmp_path / f"{name}.json")
        shards.write_json(paths[-1], manifest)
    inventory.main(stage.Job({}, {"manifests": paths, "inventory": tmp_path / "inventory.json"}))
    return shards.read_json(tmp_path / "inventory.json")


def test_it_holds_rows_and_hashes_and_nothing_of_how_they_came(tmp_path: Path) -> None:
    one = {"files": {"a.parquet": {"sha256": "x"}}, "rows": 3, "counts": {"notes": 4}}
    two = {"files": {"b.parquet": {"sha256": "y"}}, "rows": 2, "counts": {}}
    found = run(tmp_path, w1=one, w2=two)
    assert found["rows"] == 5 and list(found["windows"]) == ["w1", "w2"]
    assert found == run(tmp_path, w1=one | {"counts": {"notes": 5}}, w2=two)
    assert found != run(tmp_path, w1=one, w2=two | {"files": {"b.parquet": {"sha256": "z"}}})
