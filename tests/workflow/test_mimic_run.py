"""The MIMIC-IV example with only a configuration, on a database in MIMIC's shape, through the whole workflow."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

import mimic_db
import mimic_patients
from checkout import Checkout, merged
from lib import shards

pytestmark = pytest.mark.slow
EXAMPLE = yaml.safe_load((mimic_db.ROOT / "config/examples/mimic-iv.yaml").read_text(encoding="utf-8"))
# The example, small: the database's decades, sizes that take seconds, and the test parts opened to see them scored.
SMALL: dict[str, Any] = {
    "evaluation": "final",
    "source": {"data_start": "2110-01-01", "data_end": "2139-12-31"},
    "tokenizers": {"notes": {"wordpiece": {"vocab_size": 500, "min_patients": 3}}},
    "models": {
        "small": {
            "start": {"scratch": {"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64}},
            "max_tokens": 64,
            "training": {"global_batch_size": 16, "epochs": 1, "evaluations_per_epoch": 1},
        }
    },
    "baselines": {name: {"c_grid": [1.0]} for name in ("tfidf", "structured")} | {"shuffled": {"permutations": 2}},
    "evaluate": {"replicates": 50, "slope_replicates": 10},
}
[PERIOD] = EXAMPLE["split"]["temporal_periods"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The example with only a configuration, on 800 patients of three decades."""
    folder = tmp_path_factory.mktemp("mimic_run") / "notecast"
    made = Checkout(folder, merged(EXAMPLE, SMALL))
    (folder / "results/private").mkdir(parents=True)
    mimic_db.write(folder / EXAMPLE["source"]["sqlite"], mimic_patients.generated(1, 800, (2110, 2130)))
    made.snakemake()
    return made


def test_the_example_runs_end_to_end(run: Checkout) -> None:
    private, results = run.folder / "results/private/mimic", run.folder / "results/mimic"
    windows = sorted(path.name.split(".")[0] for path in (private / "extract/discharge").glob("*.text.parquet"))
    assert windows == ["2110s", "2120s", "2130s"]
    for task in ("readmission", "death"):
        compared = shards.read_json(results / f"compare/{task}.json")
        reached = {row["model"]: row["auroc"]["value"] for row in compared["rows"]}
        assert reached["tfidf"] > 0.6 > reached["shuffled"], "the texts tell something, and shuffled labels do not"
    summary = (results / "summary.txt").read_text(encoding="utf-8")
    assert "comorbidity: coding, not prediction" in summary
    assert "Comorbidity (Charlson index) (coding, not prediction)" in (results / "index.html").read_text("utf-8")
    assert run.planned() == Counter()
    for window in windows:
        notes = shards.read_parquet(private / f"extract/discharge/{window}.text.parquet")
        assert not any("RADIOLOGY" in text for text in notes["text"].to_pylist())


@pytest.mark.parametrize("task", ("readmission", "death"))
def test_the_temporal_test_is_the_last_anchor_years(run: Checkout, task: str) -> None:
    private = run.folder / "results/private/mimic"
    periods: dict[str, str] = {}
    for path in (private / "extract/discharge").glob("*.labels.parquet"):
        labels = shards.read_parquet(path, ["visit_id", "split_period"])
        periods |= dict(zip(*(column.to_pylist() for column in labels.columns), strict=True))
    rows = [row for row in shards.read_parquet(private / f"eligibility/{task}.parquet").to_pylist() if row["part"]]
    assert all((row["part"] == "temporal_test") == (periods[row["visit_id"]] == PERIOD) for row in rows)
    assert {row["window"] for row in rows if row["part"] == "temporal_test"} == {
        row["window"] for row in rows if row["part"] == "train"
    }, "no date divides them"
    [certificate] = [shards.read_json(run.folder / f"results/mimic/leakage/{task}.json")]
    found = {check["check"]: check for check in certificate["checks"]}
    assert found["label windows that reach the temporal test"]["verdict"] == "pass"
    assert found["temporal test rows before its first day"]["verdict"] == "not verifiable"
    assert found["patients of the temporal test seen in training"]["value"] == 0
    scored = shards.read_json(run.folder / f"results/mimic/evaluate/{task}/tfidf/all-0.json")
    assert scored["parts"]["temporal_test"]["n_rows"] == scored["parts"]["temporal_test_unseen"]["n_rows"] > 50


def test_a_tokenizer_learns_from_training_rows_of_all_decades(run: Checkout) -> None:
    seen = shards.read_json(run.folder / "results/private/mimic/tokenizers/notes/manifest.json")["seen"]
    assert set(seen["parts"]) == {"train"}
    assert [window["window"] for window in seen["windows"]] == ["2110s", "2120s", "2130s"]


def test_nothing_of_the_future_is_seen(run: Checkout) -> None:
    run.snakemake("replay")
    told = shards.read_json(run.folder / "results/mimic/replay/discharge.json")
    assert (told["verdict"], told["stays"]) == ("pass", 200)
    # A fact of each table was there to be forgotten, and what was forgotten matters to each label.
    assert all(told["facts_deleted"][t] for t in ("admissions", "diagnoses_icd", "discharge", "services"))
    assert told["facts_reopened"]["patients"] and all(told["labels_changed"].values())


def test_a_period_that_nobody_has_is_an_error(run: Checkout, tmp_path: Path) -> None:
    other = run.clone(tmp_path / "other")
    other.configure(merged(run.config, {"split": {"temporal_periods": ["2017-2019"]}}))
    ended = other.snakemake(check=False)
    assert ended.returncode and "no stay of any window has the split_period '2017-2019'" in ended.stdout + ended.stderr
