"""The plan: windows, fits, and settings that hold what a stage uses and nothing else."""

import doctest
import json
import subprocess
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout import merged, small_config
from lib import plan
from lib.config import Config
from lib.config_errors import ConfigError, validated
from lib.plan import Plan
from lib.provenance import SCRIPTS
from lib.windows import windows


def planned(**changes) -> Plan:
    return Plan(validated(Config, merged(small_config(), changes)), main_process=False)


def settings(which: Plan, stage: str, **wildcards: str) -> dict:
    return json.loads(which.settings(stage)(wildcards))


def test_examples_in_the_docs() -> None:
    assert doctest.testmod(plan).failed == 0


@given(
    st.dates(date(2000, 1, 1), date(2030, 1, 1)),
    st.integers(0, 3000),
    st.sampled_from(["month", "quarter", "year", "decade"]),
)
def test_windows_cover_the_span_once_and_in_order(start: date, days: int, unit: str) -> None:
    last = date.fromordinal(start.toordinal() + days)
    found = list(windows(start, last, unit))
    borders = [border for _, pair in found for border in pair]
    assert borders[0] == start and borders[-1].toordinal() == last.toordinal() + 1
    assert all(end == begin for (_, (_, end)), (_, (begin, _)) in pairwise(found))
    names = [name for name, _ in found]
    assert names == sorted(set(names))


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        ("month", ["2020-11", "2020-12", "2021-01"]),
        ("quarter", ["2020Q4", "2021Q1"]),
        ("year", ["2020", "2021"]),
        ("decade", ["2020s"]),
    ],
)
def test_window_names(unit: str, names: list[str]) -> None:
    assert [name for name, _ in windows(date(2020, 11, 5), date(2021, 1, 31), unit)] == names


def test_labels_are_known_until_the_horizon_or_the_end_of_the_data() -> None:
    which = planned(source={"window": "month", "data_end": "2021-03-15"})
    until = {
        window: settings(which, "extract", cohort="discharge", window=window, kind="labels")["known_until"]
        for window in ("2020-12", "2021-02", "2021-03")
    }
    assert until == {
        "2020-12": "2021-01-31 00:00:00",
        "2021-02": "2021-03-16 00:00:00",
        "2021-03": "2021-03-16 00:00:00",
    }


def test_a_later_end_of_the_data_changes_the_censored_windows_only() -> None:
    one, two = (planned(source={"window": "month", "data_end": end}) for end in ("2021-08-31", "2021-09-30"))

    def changed(kind: str) -> list[str]:
        return [
            window
            for window in one.windows
            if settings(one, "extract", cohort="discharge", window=window, kind=kind)
            != settings(two, "extract", cohort="discharge", window=window, kind=kind)
        ]

    assert changed("text") == []
    assert changed("labels") == ["2021-08"]


def test_a_text_job_knows_no_parameter_of_the_labels() -> None:
    which = planned()
    text = settings(which, "extract", cohort="discharge", window="2019", kind="text")
    labels = settings(which, "extract", cohort="discharge", window="2019", kind="labels")
    assert "readmission_horizon_days" in labels["parameters"]
    assert "readmission_horizon_days" not in text["parameters"] and "known_until" not in text


def test_a_replay_asks_as_the_extracts_were_asked_for() -> None:
    which = planned()
    told = settings(which, "replay", cohort="discharge")
    assert [name for name, *_ in told["windows"]] == list(which.windows)
    for name, *bounds in told["windows"]:
        for kind, query in told["queries"].items():
            asked = query | dict(zip(("window_start", "window_end", "known_until"), bounds, strict=True))
            extracted = settings(which, "extract", cohort="discharge", window=name, kind=kind)
            assert extracted.pop("release")["sql"] == "workflow/sql/omop/release.sql"  # which the replay does not ask
            assert extracted.pop("hospital") == told["hospital"]
            assert {key: asked[key] for key in extracted} == extracted
    assert {fact["table"] for fact in told["point_in_time"]["facts"]} >= {"note", "visit_occurrence"}


def test_a_replay_of_many_windows_fits_a_command_line() -> None:
    which = planned(source={"window": "month", "data_start": "2000-01-01"})
    assert len(which.windows) > 250 and len(which.settings("replay")({"cohort": "admission"})) < 60_000


def test_neutral_keys_are_in_no_settings() -> None:
    one, two = planned(), planned(source={"batch_rows": 7, "look_back": 1})
    wildcards = {"cohort": "discharge", "window": "2019", "kind": "text"}
    assert one.settings("extract")(wildcards) == two.settings("extract")(wildcards)
    assert one.settings("resolve")({}) == two.settings("resolve")({})
    assert '\\"batch_rows\\":7' in two.environment()


def test_another_hospital_is_in_the_settings_of_who_asks_it() -> None:
    """And a later end of the same one, with more rows, is not."""
    window = {"cohort": "discharge", "window": "2019", "kind": "text"}
    same, later, leaking = (
        planned(source=source).settings("extract")(window)
        for source in ({}, {"data_end": "2021-12-30"}, {"demo": {"leak": ["label_words"]}})
    )
    assert same == later != leaking


def test_equal_values_are_equal_settings() -> None:
    one = planned(models={"tiny": {"training": {"learning_rate": 2e-05, "weight_decay": 0}}})
    two = planned(models={"tiny": {"training": {"weight_decay": 0.0, "learning_rate": 0.00002}}})
    wildcards = {"task": "readmission", "model": "tiny", "size": "all", "seed": "0"}
    assert one.settings("finetune")(wildcards) == two.settings("finetune")(wildcards)


def test_a_baseline_is_fitted_once_unless_the_seed_matters() -> None:
    found = planned(seeds=[0, 1], sizes=[100, "all"]).fits
    by_model = {name: [(f.size, f.seed) for f in found if f.model == name] for name in ("tiny", "tfidf", "shuffled")}
    assert by_model["tiny"] == [("100", 0), ("100", 1), ("all", 0), ("all", 1)]
    assert by_model["tfidf"] == [("100", 0), ("100", 1), ("all", 0)]
    assert by_model["shuffled"] == [(size, draw) for size in ("100", "all") for draw in (0, 1, 2)]


def test_development_opens_tuning_and_calibration_only() -> None:
    which = planned(evaluation="development")
    assert which.opened == ["tuning", "calibration"] and which.headline == "calibration"
    wildcards = {"task": "readmission", "model": "tiny", "size": "all", "seed": "0"}
    assert settings(which, "evaluate", **wildcards)["parts"] == ["tuning", "calibration"]
    assert settings(which, "flow", task="readmission")["opened"] == ["train", "tuning", "calibration"]


def test_of_periods_a_tokenizer_sees_every_window_and_there_is_a_temporal_test() -> None:
    """Any window may hold training rows; `tokenizer` reads no others."""
    which = planned(split={"temporal_from": None, "temporal_periods": ["2020 - 2022"]})
    windows_of = which.files("{window}", {"tokenizer": "notes", "cohort": "discharge"})
    assert windows_of == list(which.windows) and which.parts[-1] == "temporal_test"
    for stage in ("eligibility", "leakage"):
        told = settings(which, stage, task="readmission")
        assert (told["temporal_from"], told["temporal_periods"]) == (None, ["2020 - 2022"])
    assert settings(which, "split", cohort="discharge", window="2019")["temporal_periods"] == ["2020 - 2022"]


def test_a_task_of_codes_on_discharge_notes_is_titled_so() -> None:
    which = planned(
        cohorts={"discharge": {"labels": {"readmission": {"horizon_days": 30, "outcome": "coding"}}}},
    )
    [task] = settings(which, "report")["tasks"]
    assert task["coding"] and task["title"].endswith(" (coding, not prediction)")
    assert settings(which, "certificate", task="readmission")["task"]["title"] == task["title"]
    [task] = settings(planned(), "report")["tasks"]
    assert not task["coding"] and "coding" not in task["title"]


def test_a_tokenizer_sees_nothing_of_the_temporal_test() -> None:
    assert planned().files("{cohort}/{window}", {"tokenizer": "notes"}) == [
        f"{cohort}/{year}" for cohort in ("discharge", "admission") for year in (2018, 2019, 2020)
    ]


def test_the_configurations_hash_is_of_what_it_says() -> None:
    assert planned().config_hash == planned(private_root="/elsewhere").config_hash != planned(seeds=[3]).config_hash


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cohorts": {"discharge": {"sql": "workflow/sql/none"}}}, "cohorts.discharge.sql: there is no file workflow/"),
        (
            {"cohorts": {"discharge": {"parameters": {"max_dely": 1}}}},
            "max_dely is in the configuration",
        ),
        (
            {"clean": {"steps": ["markup", "whitspace"]}},
            "clean.steps.1: there is no 'whitspace'; did you mean",
        ),
        ({"clean": {"steps": ["mine:step"]}}, "clean.steps.0: there is no file mine.py"),
        ({"source": {"demo": None, "sqlite": "none.sqlite"}}, "source.sqlite: there is no such file"),
        ({"source": {"exclusions": "none.txt"}}, "source.exclusions: there is no file none.txt"),
        ({"source": {"exclusions_sql": "none.sql"}}, "source.exclusions_sql: there is no file none.sql"),
        ({"source": {"exclusions": "README.md"}}, "README.md names patients; put it outside the clone"),
        (
            {"models": {"tiny": {"start": {"scratch": None, "folder": "none/here"}}}},
            "models.tiny.start.folder: there is no folder none/here",
        ),
    ],
)
def test_files_and_parameters_are_checked_before_anything_runs(changes: dict, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(**changes)
    assert said in str(caught.value)


def test_a_secret_salt_stands_in_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"split": {"salt": None, "salt_env": "NOTECAST_SALT"}}
    for value, said in ((None, "NOTECAST_SALT is not set"), ("short", "is shorter than 16 characters")):
        monkeypatch.delenv("NOTECAST_SALT", raising=False) if value is None else monkeypatch.setenv(
            "NOTECAST_SALT", value
        )
        with pytest.raises(ConfigError, match=f"split.salt_env: .*{said}"):
            planned(**changes)
    given = []
    for secret in ("the salt is a secret", "the salt is another one"):
        monkeypatch.setenv("NOTECAST_SALT", secret)
        which = planned(**changes)
        given.append(which.settings("split")({"cohort": "discharge", "window": "2019"}))
        for told in (given[-1], which.settings("resolve")({}), which.environment()):
            assert secret not in told
    assert given[0] != given[1], "another salt is another split"


def test_every_stage_has_settings_and_code() -> None:
    which = planned()
    wildcards = {"task": "readmission", "model": "tiny", "size": "all", "seed": "0"}
    for stage in ("finetune", "predict", "evaluate"):
        assert json.loads(which.settings(stage)(wildcards)) and len(which.code(stage)) == 64


def test_the_head_imports_nothing_heavy() -> None:
    """It starts with every command: pyarrow once made that twice as slow, by way of a helper's import."""
    program = "import sys, lib.plan; print({'pyarrow', 'numpy', 'torch', 'sqlite3'} & set(sys.modules) or '')"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_a_plan_touches_no_folder_before_it_is_told_to(tmp_path: Path) -> None:
    """It once did in its constructor: a test made a folder at the root of the machine, and failed for all but root."""
    which = Plan(validated(Config, small_config(private_root=str(tmp_path / "rooms"))))
    assert not list(tmp_path.iterdir())
    which.make_private()
    assert (tmp_path / "rooms" / "small").stat().st_mode & 0o777 == 0o700


def test_a_private_root_that_cannot_be_made_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"private_root: .*rooms/small cannot be made its owner's alone \(Not a dir"):
        Plan(validated(Config, small_config(private_root=str(tmp_path / "rooms")))).make_private()


def test_those_who_opted_out_are_in_no_setting_but_another_list_is_another_version(tmp_path: Path) -> None:
    given = tmp_path / "list.txt"

    def told(content: str) -> tuple[str, str]:
        given.write_text(content, encoding="utf-8")
        changes = {"private_root": str(tmp_path / "private"), "source": {"exclusions": str(given)}}
        which = Plan(validated(Config, small_config(**changes)))
        which.list_exclusions()
        every = [which.settings("inventory")({"cohort": "discharge"}), which.settings("resolve")({})]
        every += [which.settings("extract")({"cohort": "discharge", "window": "2019", "kind": "text"})]
        assert "8675309" not in "".join(every) and str(given) not in "".join(every)
        return every[0], every[2]

    first, again, more = told("8675309\n"), told("# by letter\n8675309\n8675309\n"), told("8675309\n5\n")
    assert first == again and more[0] != first[0], "a comment is no other list"
    assert more[1] == first[1], "no window is extracted again"


def test_a_list_that_cannot_be_read_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("12\nJones\n", encoding="utf-8")
    changes = {"private_root": str(tmp_path / "private"), "source": {"exclusions": str(tmp_path / "list.txt")}}
    with pytest.raises(ConfigError, match=r"^source.exclusions: line 2 is not a whole number") as caught:
        Plan(validated(Config, small_config(**changes))).list_exclusions()
    assert "Jones" not in str(caught.value)


def test_a_model_of_the_hub_that_is_not_in_the_cache_is_told_with_what_fetches_it(tmp_path: Path) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    hub = {"scratch": None, "hub": "clinic/tiny", "revision": revision}
    which = planned(private_root=str(tmp_path), models={"tiny": {"start": hub}})
    assert settings(which, "fetch_models") == {"models": [{"hub": "clinic/tiny", "revision": revision}]}
    wildcards = {"task": "readmission", "model": "tiny", "size": "all", "seed": "0"}
    with pytest.raises(ConfigError, match=r"models\.tiny\.start: clinic/tiny .* run once, .*snakemake fetch_models"):
        which.settings("finetune")(wildcards)
    there = which.cached("clinic/tiny", revision)
    there.mkdir(parents=True)
    (there / "config.json").write_text("{}", encoding="utf-8")
    assert settings(which, "finetune", **wildcards)["model"]["start"] == {"hub": "clinic/tiny", "revision": revision}
