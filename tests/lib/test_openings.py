"""Openings of the test: entered only for test parts, summed up by configuration and task."""

from pathlib import Path

from lib import openings, shards


def test_only_a_test_part_is_an_opening(tmp_path: Path) -> None:
    path = tmp_path / "openings.jsonl"
    assert not openings.enter(path, ["tuning", "calibration"], config="a", task="t", model="m")
    assert not path.exists() and openings.summary(path) == []
    assert openings.enter(path, ["tuning", "test", "temporal_test"], config="a", task="t", model="m")
    assert [entry["parts"] for entry in shards.read_json_lines(path)] == [["test", "temporal_test"]]


def test_they_are_summed_up_and_a_cut_off_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "openings.jsonl"
    for config, model in (("a", "m"), ("a", "n"), ("b", "m"), ("a", "m")):
        openings.enter(path, ["test"], config=config, task="t", model=model)
    with open(path, "a") as file:
        file.write('{"config": "c", "ta')
    found = openings.summary(path)
    assert [(one["config"], one["models"], one["predictions"]) for one in found] == [
        ("a", ["m", "n"], 3),
        ("b", ["m"], 1),
    ]
