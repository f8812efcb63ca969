"""compare: the table recomputed from the files by other means, pairing, seeds, and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import command
import compare
import evaluate
import prediction_files as files
from lib import bootstrap, shards, stage

FITS = [
    {"model": "tfidf", "kind": "baseline", "size": "all", "seed": 0},
    {"model": "tiny", "kind": "transformer", "size": "all", "seed": 0},
    {"model": "tiny", "kind": "transformer", "size": "all", "seed": 1},
    {"model": "tiny", "kind": "transformer", "size": "all", "seed": 2},
    {"model": "tiny", "kind": "transformer", "size": 100, "seed": 0},
]
NOISE = [1.2, 0.5, 0.6, 0.7, 1.5]


def prepare(folder, task, tables, fits=FITS, headline="test", **more):
    """Evaluate one table a fit and give the job that compares them."""
    folder.mkdir(exist_ok=True)
    predictions, metrics = [], []
    for i, content in enumerate(tables):
        path = files.write(folder / f"{i}" / f"{headline}.parquet", content)
        settings = {"task": task, "parts": [headline], "replicates": 20, "slope_replicates": 10, "seed": 7}
        settings |= {"target_sensitivity": 0.8, "min_cell": 10, "workers": 1}
        evaluate.main(stage.Job(settings, {"predictions": [path], "metrics": folder / f"{i}.json"}))
        predictions.append(path)
        metrics.append(folder / f"{i}.json")
    named = task | {"name": "readmission", "title": "Readmission within 30 days"}
    chosen = {"task": named, "fits": fits, "headline": headline, "reference": "tfidf", "replicates": 50, "seed": 11}
    out = {"table": folder / "table.json", "csv": folder / "table.csv"}
    return stage.Job(chosen | more, {"predictions": predictions, "metrics": metrics} | out)


def tables_of(task, rows=400):
    truth = files.outcomes(rows, task["classes"], seed=4)
    return [files.table(truth, noise=noise, seed=i) for i, noise in enumerate(NOISE)]


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    tables = tables_of(files.BINARY)
    job = prepare(tmp_path_factory.mktemp("compare"), files.BINARY, tables)
    compare.main(job)
    return tables, job, shards.read_json(job.path("table"))


def resampled(tables, replicates=50, seed=11):
    """Row positions of each replicate."""
    members = files.patients(*tables)
    for b in range(replicates):
        drawn = np.repeat(np.arange(len(members)), bootstrap.draw(len(members), seed, b))
        yield np.concatenate([members[i] for i in drawn])


def macro(table, rows=slice(None)):
    frame = table.to_pandas().iloc[rows]
    classes = sum(c.startswith("p_") for c in frame.columns)
    picked = [1] if classes == 2 else range(classes)
    return np.mean([roc_auc_score(frame.label == k, frame[f"p_{k}"]) for k in picked])


def close(value):
    return pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("task", [files.BINARY, files.BINS], ids=["binary", "bins"])
def test_table_equals_a_recomputation_from_the_files(tmp_path, task):
    tables = tables_of(task)
    job = prepare(tmp_path, task, tables)
    compare.main(job)
    table = shards.read_json(job.path("table"))
    points = [macro(t) for t in tables]
    samples = np.array([[macro(t, rows) for t in tables] for rows in resampled(tables)])
    assert [(row["model"], row["size"]) for row in table["rows"]] == [("tfidf", "all"), ("tiny", "all"), ("tiny", 100)]
    reference, tiny, small = table["rows"]
    assert [seed["auroc"] for seed in tiny["seeds"]] == close(points[1:4])
    assert tiny["auroc"]["value"] == close(np.mean(points[1:4]))
    assert tiny["auroc_sd"]["value"] == close(np.std(points[1:4], ddof=1))
    of_mean = samples[:, 1:4].mean(axis=1)
    assert [tiny["auroc"]["low"], tiny["auroc"]["high"]] == close(list(np.quantile(of_mean, [0.025, 0.975])))
    paired = np.quantile(of_mean - samples[:, 0], [0.025, 0.975])
    assert tiny["difference"]["value"] == pytest.approx(np.mean(points[1:4]) - points[0], abs=1e-6)
    assert [tiny["difference"]["low"], tiny["difference"]["high"]] == pytest.approx(list(paired), abs=1e-6)
    assert reference["difference"]["reason"] == "the reference itself"
    assert small["difference"]["reason"] == "no reference of this training size"
    assert reference["auroc_sd"] == {"value": None, "reason": "one seed"}
    frame = tables[0].to_pandas()
    assert (table["n_rows"], table["n_persons"]) == (400, frame.person_id.nunique())
    assert table["n_events"] == {name: int((frame.label == k).sum()) for k, name in enumerate(task["class_names"])}
    assert table["task"]["title"] == "Readmission within 30 days"
    assert table["prevalence"] == (close(frame.label.mean()) if task is files.BINARY else None)


def test_pairing_narrows_the_difference(tmp_path):
    """Nearly equal models on the same draws: their difference varies far less over patients than either of them."""
    truth = files.outcomes(400, seed=4)
    job = prepare(tmp_path, files.BINARY, [files.table(truth, 0.5), files.table(truth, 0.55)], FITS[:2])
    compare.main(job)
    tiny = shards.read_json(job.path("table"))["rows"][1]
    assert (
        0
        < tiny["difference"]["high"] - tiny["difference"]["low"]
        < 0.2 * (tiny["auroc"]["high"] - tiny["auroc"]["low"])
    )


def test_without_a_reference_there_is_no_difference(binary, tmp_path):
    _, job, table = binary
    out = {"table": tmp_path / "table.json", "csv": tmp_path / "table.csv"}
    compare.main(stage.Job(job.settings | {"reference": None}, job.files | out))
    other = shards.read_json(out["table"])
    assert all(row["difference"]["reason"] == "no reference" for row in other["rows"])
    assert [row["auroc"] for row in other["rows"]] == [row["auroc"] for row in table["rows"]]


def test_a_model_against_itself_differs_by_nothing(tmp_path):
    truth = files.outcomes(300, seed=8)
    same = files.table(truth, noise=0.5)
    fits = [FITS[0], {**FITS[1], "model": "twin"}]
    job = prepare(tmp_path, files.BINARY, [same, same], fits)
    compare.main(job)
    twin = shards.read_json(job.path("table"))["rows"][1]
    assert [twin["difference"][key] for key in ("value", "low", "high")] == [0, 0, 0]


def test_what_evaluate_wrote_stands_beside(binary):
    _, job, table = binary
    written = [shards.read_json(path)["parts"]["test"] for path in job.paths("metrics")]
    assert table["rows"][0]["calibration_slope"] == written[0]["calibration_slope"]["value"]
    assert table["rows"][1]["auprc"] == close(np.mean([block["auprc"]["value"] for block in written[1:4]]))
    assert table["rows"][0]["auroc"]["value"] == written[0]["auroc"]["value"]


def test_csv_is_the_same_table(binary):
    _, job, table = binary
    with open(job.path("csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == [row["model"] for row in table["rows"]]
    for cells, row in zip(rows, table["rows"], strict=True):
        assert cells["task"] == "readmission" and cells["seeds"] == str(len(row["seeds"]))
        numbers = {
            "auroc": row["auroc"]["value"],
            "auroc_high": row["auroc"]["high"],
            "difference_low": row["difference"]["low"],
            "auroc_sd": row["auroc_sd"]["value"],
            "ici": row["ici"],
        }
        for name, value in numbers.items():
            assert cells[name] == ("" if value is None else repr(value))


def test_rows_may_come_in_any_order_and_bytes_are_the_same(binary, tmp_path):
    tables, job, _ = binary
    turned = [t.take(np.random.default_rng(i).permutation(t.num_rows)) for i, t in enumerate(tables)]
    again = prepare(tmp_path, files.BINARY, turned, workers=3)
    compare.main(again)
    for name in ("table", "csv"):
        assert again.path(name).read_bytes() == job.path(name).read_bytes()
    out = {name: tmp_path / f"cli.{name}" for name in ("table", "csv")}
    command.run(Path(compare.__file__), stage.Job(again.settings, again.files | out))
    assert out["table"].read_bytes() == job.path("table").read_bytes()


def test_too_few_events_give_null_with_a_reason(tmp_path):
    truth = files.outcomes(60, seed=5)
    truth["label"][np.flatnonzero(truth["label"])[4:]] = 0
    job = prepare(tmp_path, files.BINARY, [files.table(truth)], FITS[:1])
    compare.main(job)
    table = shards.read_json(job.path("table"))
    assert table["rows"][0]["auroc"]["reason"] == "fewer than 10 events or non-events"
    assert table["rows"][0]["auprc"] is None and table["prevalence"] is None
    assert table["n_events"] == {"no": None, "yes": None}


def test_what_is_refused(binary, tmp_path):
    tables, job, _ = binary

    def again(message, fits=FITS, changed=None, **settings):
        names = {"predictions": job.paths("predictions"), "metrics": job.paths("metrics")} | (changed or {})
        with pytest.raises(stage.StageError, match=message):
            compare.main(stage.Job(job.settings | {"fits": fits} | settings, names))

    again("4 fits, 5 prediction files", FITS[:4])
    again("given twice: tiny/all-0", [*FITS[:2], FITS[1], *FITS[3:]])
    again("no part temporal_test", headline="temporal_test")
    fewer = files.write(tmp_path / "test.parquet", tables[2].slice(5))
    paths = job.paths("predictions")
    again(
        "400 rows, tiny/all-1 395; 5 stays are only in the first",
        changed={"predictions": [*paths[:2], fewer, *paths[3:]]},
    )
    swapped = [paths[0], paths[4], *paths[2:4], paths[1]]
    again("its metrics file says", changed={"predictions": swapped})
    other = shards.read_json(job.paths("metrics")[1])
    other["task"]["class_names"] = ["a", "b"]
    shards.write_json(tmp_path / "other.json", other)
    metrics = job.paths("metrics")
    again("another task", changed={"metrics": [metrics[0], tmp_path / "other.json", *metrics[2:]]})


def test_a_controls_interval_is_over_permutations_too(tmp_path):
    """Models of permuted labels lean to one side by chance: over patients alone the mean looks surer than it is."""
    truth = files.outcomes(400, seed=11)
    tables = [files.table(truth, noise=noise) for noise in (0.3, 1.0, 4.0)]
    rows = {}
    for control in (False, True):
        fits = [{"model": "shuffled", "kind": "tfidf", "size": "all", "seed": k, "control": control} for k in range(3)]
        job = prepare(tmp_path / str(control), files.BINARY, tables, fits)
        compare.main(job)
        rows[control] = shards.read_json(job.path("table"))["rows"][0]["auroc"]
    points = [macro(t) for t in tables]
    assert rows[True]["value"] == rows[False]["value"] == close(np.mean(points))
    samples = np.array([[macro(t, drawn) for t in tables] for drawn in resampled(tables)])
    shares = np.array([bootstrap.draw(3, job.settings["seed"] + 1, b) for b in range(len(samples))]) / 3
    both = np.quantile((samples * shares).sum(axis=1), [0.025, 0.975])
    assert [rows[True]["low"], rows[True]["high"]] == close(list(both))
    assert rows[True]["high"] - rows[True]["low"] > 1.5 * (rows[False]["high"] - rows[False]["low"])
