"""A changed setting is told by the configuration's key, old and new value; a file by what became of it."""

from pathlib import Path
from typing import Any

import pytest

from lib import reasons
from lib.files import sha256
from lib.jobs import FIRST

FIT = {"task": "readmission", "model": "tiny", "size": "all", "seed": "0"}


@pytest.mark.parametrize(
    ("stage", "old", "new", "told"),
    [
        ("finetune", {"training": {"epochs": 2}}, {"training": {"epochs": 3}}, "models.tiny.training.epochs: 2 -> 3"),
        ("finetune", {"max_tokens": 48}, {"max_tokens": 64}, "models.tiny.max_tokens: 48 -> 64"),
        ("finetune", {"task": {"classes": 2}}, {"task": {"classes": 3}}, "tasks.readmission.classes: 2 -> 3"),
        ("baseline", {"c_grid": [1.0]}, {"c_grid": [1.0, 2.0]}, "baselines.tiny.c_grid: [1.0] -> [1.0,2.0]"),
        ("clean", {"steps": [{"short": {"n": 5}}]}, {"steps": [{"short": {"n": 6}}]}, "clean.steps.0.short.n: 5 -> 6"),
        ("clean", {"notes": "first"}, {"notes": "concatenate"}, "cohorts.discharge.notes: first -> concatenate"),
        ("demo_hospital", {"end": "2020"}, {"end": "2021"}, "source.data_end: 2020 -> 2021"),
        ("leakage", {"class_names": ["a"]}, {"class_names": ["b"]}, "tasks.readmission.class_names.0: a -> b"),
        ("evaluate", {"replicates": 50}, {}, "evaluate.replicates: 50 -> none"),
        ("extract", {"sql_sha256": "a" * 64}, {"sql_sha256": "b" * 64}, "the query of discharge changed"),
        ("split", {"salt": "one"}, {"salt": "two"}, "split.salt changed"),
        ("resolve", {"split": {"salt": "one"}}, {"split": {"salt": "two"}}, "split.salt changed"),
        ("resolve", {"tasks": {"t": {}}}, {"tasks": {"t": {}, "u": "x" * 60}}, f"tasks.u: none -> {'x' * 39}…"),
    ],
)
def test_a_setting_in_the_words_of_the_configuration(stage: str, old: Any, new: Any, told: str) -> None:
    assert reasons.texts(stage, FIT | {"cohort": "discharge"}, old, new) == [told]


def test_what_is_derived_is_told_by_the_keys_that_changed_each_once() -> None:
    old = {"window_end": "2021-10-01", "known_until": "2021-10-01"}
    new = {"window_end": "2021-11-01", "known_until": "2021-11-01"}
    config = {"source.data_end": ("2021-09-30", "2021-10-31"), "models.tiny.max_tokens": (1, 2)}
    assert reasons.texts("extract", {"cohort": "c"}, old, new, config) == ["source.data_end: 2021-09-30 -> 2021-10-31"]
    assert reasons.texts("extract", {"cohort": "c"}, old, new) == ["source changed"]


def test_equal_settings_have_no_difference_and_every_stage_has_words() -> None:
    assert reasons.texts("finetune", FIT, {"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) == []
    for stage in FIRST:
        assert reasons.texts(stage, FIT, {"unheard": 1}, {"unheard": 2})


def test_files_that_are_not_as_the_record_says(tmp_path: Path) -> None:
    for name in ("whole.json", "edited.json"):
        (tmp_path / name).write_text(name)
    written = {name: sha256(tmp_path / name) for name in ("whole.json", "edited.json")} | {"lost.json": "0" * 64}
    (tmp_path / "edited.json").write_text("edited")
    found = list(reasons.files({name: tmp_path / name for name in written}, written))
    assert found == [("edited", "edited.json"), ("missing", "lost.json")]
