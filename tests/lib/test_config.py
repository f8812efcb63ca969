"""The configuration is typed and closed, and says what is wrong so that it can be mended."""

import copy
from pathlib import Path

import pytest
import yaml

from config_reference import README, SCHEMA, readme, schema
from lib.config import Config
from lib.config_errors import ConfigError, validated

ROOT = Path(__file__).resolve().parents[2]
DEMO = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def fault_of(path: str, value: object) -> str:
    """What the demo's configuration with `value` at `path` (dots between keys) is refused with."""
    raw = copy.deepcopy(DEMO)
    *above, last = path.split(".")
    block = raw
    for key in above:
        block = block[key]
    block[last] = value
    with pytest.raises(ConfigError) as caught:
        validated(Config, raw)
    return str(caught.value)


@pytest.mark.parametrize("example", sorted((ROOT / "config" / "examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_example_is_valid(example: Path) -> None:
    validated(Config, yaml.safe_load(example.read_text(encoding="utf-8")))


def test_an_omop_site_has_the_cohorts_of_the_demo() -> None:
    """Its two queries are the demo's, so it needs the same parameters and clocks."""
    site = yaml.safe_load((ROOT / "config" / "examples" / "omop-site.yaml").read_text(encoding="utf-8"))
    for name, cohort in DEMO["cohorts"].items():
        assert site["cohorts"][name]["parameters"].keys() == cohort["parameters"].keys()
        assert site["cohorts"][name]["labels"] == cohort["labels"]


def test_the_demo_is_valid_and_opens_its_test_parts() -> None:
    assert validated(Config, DEMO).evaluation == "final"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("sourc", {}, "sourc: unknown key; there is no 'sourc'; did you mean 'source'?"),
        ("source.windw", "year", "source.windw: unknown key; there is no 'windw'; did you mean 'window'?"),
        ("models.tiny.training.learning_rte", 1, "did you mean 'learning_rate'?"),
        (
            "models.tiny.training.learning_rate",
            "1e-5",
            "is text to YAML, which wants a point before an exponent; write 1.0e-05",
        ),
        (
            "models.tiny.training.epochs",
            "many",
            "models.tiny.training.epochs: Input should be a valid integer, not str",
        ),
        ("models.tiny.tokenizer", "note", "models.tiny.tokenizer: there is no 'note'; did you mean 'notes'?"),
        ("tasks.readmission.cohort", "discharged", "did you mean 'discharge'?"),
        ("tasks.readmission.label", "readmissions", "tasks.readmission.label: there is no 'readmissions'"),
        ("tasks.mortality.cohort", "discharge", "tasks.mortality.label: there is no 'mortality'"),
        ("source.data_end", "2010-12-31", "data_end 2010-12-31 lies before data_start 2011-01-01"),
        ("source.window", "week", "source.window: Input should be 'month', 'quarter', 'year' or 'decade'"),
        ("source.sqlite", "x.sqlite", "give exactly one of demo, sqlite and odbc"),
        ("split.parts.train", 0.6, "split.parts: the four shares add up to 0.9, not 1"),
        ("split.temporal_from", "2022-06-01", "split.temporal_from: 2022-06-01 lies outside"),
        ("split.temporal_periods", ["2020 - 2022"], "split: give at most one of temporal_from and temporal_periods"),
        ("tasks.length_of_stay.edges", [4, 3, 6], "bins need edges, strictly increasing"),
        ("tasks.length_of_stay.class_names", ["a", "b"], "2 class_names for 4 classes"),
        ("tasks.readmission.edges", [1], "kind binary takes no edges"),
        ("evaluate.reference", "tf_idf", "evaluate.reference: there is no 'tf_idf'; did you mean 'tfidf'?"),
        ("tokenizers.notes.folder", "x", "give exactly one of wordpiece, folder, hub"),
        ("models.tiny.start", {"hub": "a/b"}, "hub and revision go together"),
        ("seeds", [0, 0], "each value once"),
        ("cohorts.discharge.labels.readmission.horizon_days", True, "Input should be a valid integer, not bool"),
    ],
)
def test_a_fault_names_its_key_and_the_mend(path: str, value: object, said: str) -> None:
    assert said in fault_of(path, value)


def test_a_discharge_note_states_what_happened_during_the_stay() -> None:
    raw = copy.deepcopy(DEMO)
    raw["cohorts"]["discharge"]["labels"]["mortality"] = raw["cohorts"]["admission"]["labels"]["mortality"]
    raw["tasks"]["mortality"]["cohort"] = "discharge"
    with pytest.raises(ConfigError, match=r"tasks\.mortality: a discharge note states mortality"):
        validated(Config, raw)


def test_periods_make_a_temporal_test_in_place_of_a_day() -> None:
    raw = copy.deepcopy(DEMO)
    del raw["split"]["temporal_from"]
    raw["evaluate"]["headline"] = "temporal_test"
    with pytest.raises(ConfigError, match=r"temporal_test needs split\.temporal_from or split\.temporal_periods"):
        validated(Config, raw)
    raw["split"]["temporal_periods"] = ["2020 - 2022"]
    assert validated(Config, raw).split.has_temporal_test
    raw["split"]["temporal_periods"] *= 2
    with pytest.raises(ConfigError, match="temporal_periods: each value once"):
        validated(Config, raw)


def test_codes_read_from_a_discharge_note_are_no_prediction() -> None:
    raw = copy.deepcopy(DEMO)
    assert not any(validated(Config, raw).is_coding(task) for task in raw["tasks"]), "at admission it is one"
    raw["cohorts"]["discharge"]["labels"]["charlson"] = raw["cohorts"]["admission"]["labels"]["charlson"]
    raw["tasks"]["comorbidity"]["cohort"] = "discharge"
    config = validated(Config, raw)
    assert [task for task in raw["tasks"] if config.is_coding(task)] == ["comorbidity"]


def test_every_fault_is_told_at_once() -> None:
    raw = copy.deepcopy(DEMO) | {"sourc": {}, "min_cel": 3}
    with pytest.raises(ConfigError) as caught:
        validated(Config, raw)
    assert "'source'" in str(caught.value) and "'min_cell'" in str(caught.value)


def test_the_reference_is_what_the_model_says() -> None:
    assert README.read_text(encoding="utf-8") == readme(), "run `make docs`"
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "run `make docs`"


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_is_complete_and_keeps_the_test_shut(path: Path) -> None:
    """To open the test is the site's own, deliberate act."""
    assert validated(Config, yaml.safe_load(path.read_text(encoding="utf-8"))).evaluation == "development"
