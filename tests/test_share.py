"""Share: the report's figures come out of it, and nothing else does."""

import datetime
import re

import numpy as np
import pyarrow as pa
import pytest

import compare
import evaluate
import prediction_files as files
import share
from checkout import merged, small_config
from lib import recomputation, shards, stage
from lib.config import Config
from lib.config_errors import ConfigError, validated
from lib.plan import Plan
from lib.stage import StageError

PARTS = ["tuning", "calibration", "test", "temporal_test"]
FITS = [
    {"model": "tiny", "kind": "transformer", "size": "all", "seed": 0, "control": False},
    {"model": "tiny", "kind": "transformer", "size": "all", "seed": 1, "control": False},
    {"model": "tfidf", "kind": "tfidf", "size": "all", "seed": 0, "control": False},
    {"model": "shuffled", "kind": "tfidf", "size": "all", "seed": 0, "control": True},
    {"model": "shuffled", "kind": "tfidf", "size": "all", "seed": 1, "control": True},
]
NAMED = {"name": "readmission", "title": "Readmission"}


def path_of(fit):
    return f"{fit['model']}/{fit['size']}-{fit['seed']}"


def labels_shard(path, tables):
    """A shard of all stays and some more: ages in two bands and a few very old, two sexes, one of them unknown."""
    stays = np.unique(np.concatenate([table["visit_id"].to_numpy() for table in tables]))
    draw = np.random.default_rng(5)
    ages = np.where(draw.random(len(stays)) < 0.02, "90+", np.where(draw.random(len(stays)) < 0.5, "0-64", "65-89"))
    sexes = np.where(draw.random(len(stays)) < 0.5, "female", "male")
    content = pa.table(
        {
            "visit_id": pa.array([*stays.tolist(), 10**9]),
            "index_time": pa.array([datetime.datetime(2015, 3, 1)] * (len(stays) + 1), pa.timestamp("us")),
            "group_age_band": pa.array([*ages, "0-64"]),
            "group_sex": pa.array([*sexes, None]),
        }
    )
    return files.write(path, content)


def published(folder, task, parts=PARTS):
    """Predictions of all fits and parts, evaluated and compared as in a run; the job that shares them."""
    predictions, metrics, tables = {}, [], []
    for i, part in enumerate(parts):
        truth = files.outcomes(300, task["classes"], seed=i)
        truth |= {"visit": truth["visit"] + 10_000 * i}
        for j, fit in enumerate(FITS):
            tables.append(files.table(truth, noise=0.3 + j / 3, seed=j))
            predictions[path_of(fit), part] = files.write(folder / path_of(fit) / f"{part}.parquet", tables[-1])
    for fit in FITS:
        settings = {"task": task, "parts": parts, "replicates": 30, "slope_replicates": 8, "seed": 7}
        settings |= {"target_sensitivity": 0.8, "min_cell": 10}
        out = folder / "results" / "evaluate" / "readmission" / f"{path_of(fit)}.json"
        read = [predictions[path_of(fit), part] for part in parts]
        evaluate.main(stage.Job(settings, {"predictions": read, "metrics": out}))
        metrics.append(out)
    headline = "test" if "test" in parts else "calibration"
    settings = {"task": task | NAMED, "fits": FITS, "headline": headline, "reference": "tfidf"}
    out = {
        kind: folder / "results" / "compare" / f"readmission.{ending}"
        for kind, ending in (("table", "json"), ("csv", "csv"))
    }
    read = [predictions[path_of(fit), headline] for fit in FITS]
    compare.main(stage.Job(settings | {"replicates": 40, "seed": 7}, {"predictions": read, "metrics": metrics} | out))
    chosen = {"task": task | NAMED, "fits": [path_of(f) for f in FITS], "parts": parts}
    chosen |= {"groups": ["age_band", "sex"], "min_group": 10}
    paths = {
        "predictions": list(predictions.values()),
        "labels": [labels_shard(folder / "2015.labels.parquet", tables)],
    }
    # fit by fit, and for each the parts, as the plan lists them
    paths["predictions"] = [predictions[path_of(fit), part] for fit in FITS for part in parts]
    paths |= {"key": folder / "share.key", "table": folder / "results" / "share" / "readmission.parquet"}
    return stage.Job(chosen, paths | {"manifest": folder / "results" / "share" / "readmission.json"})


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("share")
    job = published(folder, files.BINARY)
    share.main(job)
    return job, shards.read_parquet(job.path("table")), folder


@pytest.mark.parametrize("task", [files.BINARY, files.BINS], ids=["binary", "bins"])
def test_every_published_figure_comes_out_of_it(tmp_path, task):
    """All measures, intervals and curves of evaluate and compare, by equality of the files."""
    job = published(tmp_path, task)
    share.main(job)
    found = dict(recomputation.recomputed(job.path("table"), tmp_path / "results"))
    assert len(found) == len(FITS) + 1 and all(found.values()), found


def test_another_label_or_probability_is_noticed(shared, tmp_path):
    _, table, folder = shared
    for column, change in (("label", lambda v: 1 - v), ("tiny/all-0/p_1", lambda v: v[::-1])):
        values = table[column].to_numpy().copy()
        values[:40] = change(values[:40])
        changed = table.set_column(table.column_names.index(column), column, pa.array(values))
        if column != "label":
            other = table.column_names.index("tiny/all-0/p_0")
            changed = changed.set_column(other, "tiny/all-0/p_0", pa.array(1 - values))
        path = files.write(tmp_path / column / "readmission.parquet", changed)
        differing = {file for file, equal in recomputation.recomputed(path, folder / "results") if not equal}
        fits = {f"evaluate/readmission/{path_of(fit)}.json" for fit in FITS} if column == "label" else set()
        assert differing == fits | {"evaluate/readmission/tiny/all-0.json", "compare/readmission.json"}


def test_it_holds_no_id_no_time_and_no_order(shared):
    job, table, _ = shared
    assert set(table.column_names) == {
        *("row", "cluster", "part", "label", "group_age_band", "group_sex"),
        *(f"{path_of(fit)}/{name}" for fit in FITS for name in ("seen", "p_0", "p_1")),
    }
    before = [shards.read_parquet(path) for path in job.paths("predictions")[: len(PARTS)]]
    ids = {str(v) for t in before for name in ("visit_id", "note_id", "person_id") for v in t[name].to_pylist()}
    # Without the hashes and without compression: both are digits by chance, other ones with each key.
    manifest = re.sub(r"[0-9a-f]{64}", "", job.path("manifest").read_text(encoding="utf-8"))
    content = manifest + str(table.to_pylist()) + str(table.schema)
    assert not ids & {v for name in ("row", "cluster") for v in table[name].to_pylist()}
    assert "2015-" not in content and "timestamp" not in content
    assert not [i for i in ids if len(i) > 4 and i in manifest]
    assert table["row"].to_pylist() == sorted(table["row"].to_pylist())
    # the order of the keys follows the order of the stays no more than chance does
    p = {value: i for i, value in enumerate(np.concatenate([t["p_1"].to_numpy() for t in before]))}
    place = np.array([p[value] for value in table["tiny/all-0/p_1"].to_pylist()])
    assert abs(np.corrcoef(place, np.arange(len(place)))[0, 1]) < 0.15
    assert len(set(table["cluster"].to_pylist())) == len({v for t in before for v in t["person_id"].to_pylist()})


def test_small_groups_are_coarsened_in_every_part(shared):
    _, table, _ = shared
    frame = table.to_pandas()
    assert "90+" not in set(frame.group_age_band) and {"0-64", "65-89", "other"} >= set(frame.group_age_band)
    assert {"female", "male"} <= set(frame.group_sex)
    for by in (["group_age_band"], ["group_sex"], ["group_age_band", "group_sex"]):
        assert frame.groupby(["part", *by]).cluster.nunique().min() >= 10


def test_the_same_bytes_again_and_other_keys_at_another_site(shared, tmp_path):
    job, table, folder = shared
    again = {"table": tmp_path / "a" / "readmission.parquet", "manifest": tmp_path / "a" / "readmission.json"}
    share.main(stage.Job(job.settings, job.files | again))
    assert again["table"].read_bytes() == job.path("table").read_bytes()
    assert again["manifest"].read_bytes() == job.path("manifest").read_bytes()
    share.main(stage.Job(job.settings, job.files | again | {"key": tmp_path / "share.key"}))
    other = shards.read_parquet(again["table"])
    assert not set(other["row"].to_pylist()) & set(table["row"].to_pylist())
    assert all(equal for _, equal in recomputation.recomputed(again["table"], folder / "results"))


def test_the_manifest_tells_what_was_done(shared):
    job, table, _ = shared
    manifest = shards.read_json(job.path("manifest"))
    assert manifest["files"]["readmission.parquet"]["sha256"] == shards.sha256(job.path("table"))
    assert (manifest["rows"], manifest["parts"], manifest["min_group"]) == (table.num_rows, PARTS, 10)
    assert manifest["groups"]["sex"] == sorted(set(table["group_sex"].to_pylist()))
    assert any("left out: ids, times" in line for line in manifest["done"])
    assert sharing_secret(job) not in job.path("manifest").read_text()


def sharing_secret(job):
    return job.path("key").read_text()


def test_what_is_refused(shared, tmp_path):
    job, _, _ = shared
    out = {"table": tmp_path / "readmission.parquet", "manifest": tmp_path / "readmission.json"}
    with pytest.raises(StageError, match=re.escape("no column group_ward; share.groups names it")):
        share.main(stage.Job(job.settings | {"groups": ["ward"]}, job.files | out))
    with pytest.raises(StageError, match="19 prediction files for 5 fits and 4 parts"):
        share.main(stage.Job(job.settings, job.files | out | {"predictions": job.paths("predictions")[:-1]}))
    mixed = job.paths("predictions")
    mixed[0], mixed[1] = mixed[1], mixed[0]
    with pytest.raises(StageError, match="only in the first"):
        share.main(stage.Job(job.settings, job.files | out | {"predictions": mixed}))
    few = shards.read_parquet(job.paths("labels")[0]).slice(0, 100)
    with pytest.raises(StageError, match="predicted stays are in no labels shard"):
        share.main(stage.Job(job.settings, job.files | out | {"labels": [files.write(tmp_path / "few.parquet", few)]}))
    assert not out["table"].exists()


def planned(**changes):
    return Plan(validated(Config, merged(small_config(), changes)), main_process=False)


def test_off_by_default_and_refused_when_asked_for_by_name():
    with pytest.raises(ConfigError, match=r"share\.enabled is false"):
        planned().settings("share")({"task": "readmission"})


def test_development_shares_no_test_part():
    which = planned(evaluation="development", share={"enabled": True})
    assert '"parts":["tuning","calibration"]' in which.settings("share")({"task": "readmission"})
    pattern = "<private>/predict/{task}/{fit}/{part}.parquet"
    read = which.files(pattern, {"task": "readmission"}, part=which.opened)
    assert read and not [path for path in read if "test" in path.rsplit("/", 1)[1]]
