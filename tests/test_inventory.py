"""inventory: equal when every window's files are, different when one is not."""

from pathlib import Path

import inventory
from lib import shards, stage


def run(tmp_path: Path, **kinds: dict[str, dict]) -> dict:
    files: dict = {"clean": [], "split": [], "inventory": tmp_path / "inventory.json"}
    for kind, windows in kinds.items():
        for name, manifest in windows.items():
            files[kind].append(tmp_path / kind / f"{name}.json")
            shards.write_json(files[kind][-1], manifest)
    inventory.main(stage.Job({}, files))
    return shards.read_json(tmp_path / "inventory.json")


def test_it_holds_rows_and_hashes_and_nothing_of_how_they_came(tmp_path: Path) -> None:
    one = {"files": {"a.parquet": {"sha256": "x"}}, "rows": 3, "counts": {"notes": 4}}
    two = {"files": {"b.parquet": {"sha256": "y"}}, "rows": 2, "counts": {}}
    other = two | {"files": {"b.parquet": {"sha256": "z"}}}
    found = run(tmp_path, clean={"w1": one, "w2": two}, split={"w1": two})
    assert list(found["clean"]) == ["w1", "w2"] and found["split"]["w1"]["rows"] == 2
    assert found == run(tmp_path, clean={"w1": one | {"counts": {"notes": 5}}, "w2": two}, split={"w1": two})
    assert found != run(tmp_path, clean={"w1": one, "w2": other}, split={"w1": two})
    assert found != run(tmp_path, clean={"w1": one, "w2": two}, split={"w1": other})
