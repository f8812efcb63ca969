"""inventory: equal when every window's files are, different when one is not."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

import inventory
from lib import optouts, shards, stage


def run(
    tmp_path: Path, opted_out: Sequence[str] = (), releases: Sequence = (), allowed: str = "any", **kinds: dict
) -> dict:
    files: dict = {"clean": [], "split": [], "inventory": tmp_path / "inventory.json"}
    files |= {"extracts": sorted((tmp_path / "extract").glob("*")), "exclusions": tmp_path / "list.txt"}
    optouts.publish(files["exclusions"], opted_out)
    for kind, windows in kinds.items():
        for name, manifest in windows.items():
            files[kind].append(tmp_path / kind / f"{name}.json")
            shards.write_json(files[kind][-1], manifest)
    files["manifests"] = [tmp_path / "manifests" / f"{n}.json" for n in range(len(releases))]
    for path, release in zip(files["manifests"], releases, strict=True):
        shards.write_json(path, {"release": release} if release else {})
    inventory.main(stage.Job({"releases": allowed}, files))
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


def extract(tmp_path: Path, name: str, persons: list, key: pa.DataType) -> None:
    table = pa.table({"visit_id": range(len(persons)), "person_id": pa.array(persons, key)})
    shards.write_parquet(tmp_path / "extract" / f"{name}.parquet", table.schema, [table])


@pytest.mark.parametrize("key", [pa.int64(), pa.string()], ids=str)
def test_patients_who_opted_out_and_are_still_held_stop_the_run(tmp_path: Path, key: pa.DataType) -> None:
    as_key = str if key == pa.string() else int
    for name, persons in (
        ("2019.text", [1, 1, 2]),
        ("2019.labels", [1, 2, 3]),
        ("2020.labels", [4, 1]),
        ("2021.text", [4]),
    ):
        extract(tmp_path, name, [as_key(person) for person in persons], key)
    with pytest.raises(
        stage.StageError, match=r"inventory: 2 patients who opted out .* in 2 windows, .*purge\.py"
    ) as told:
        run(tmp_path, ["1", "3", "99"])
    assert not {"1", "3", "99"} & set(str(told.value).replace(",", " ").split())
    assert not (tmp_path / "inventory.json").exists()
    assert run(tmp_path, ["99", "12", "0"]) == run(tmp_path)


def test_windows_of_several_releases_are_told_or_stop_the_run(tmp_path: Path) -> None:
    old, new = ([{"cdm_version": "5.4", "source_release": day}] for day in ("2020-01-01", "2020-02-01"))
    assert run(tmp_path, releases=[old, old], allowed="one")["releases"] == [old]
    assert run(tmp_path, releases=[None, None], allowed="one")["releases"] == []  # a source that does not say
    assert run(tmp_path, releases=[old, new, old])["releases"] == [old, new]
    (tmp_path / "inventory.json").unlink()
    with pytest.raises(stage.StageError, match=r"extracts are of 2 releases of the warehouse \(1, 2 of them each\)"):
        run(tmp_path, releases=[old, new, old], allowed="one")
    assert not (tmp_path / "inventory.json").exists()
