"""evaluate: its JSON recomputed from the files by other means, the frozen threshold, small cells, empty parts."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

import command
import evaluate
import prediction_files as files
from lib import bootstrap, shards, stage
from lib.disclosure import suppress

PARTS = ["tuning", "calibration", "test", "temporal_test"]
SCRIPT = Path(evaluate.__file__)


def settings(task, parts=PARTS, **more):
    base = {"task": task, "parts": list(parts), "replicates": 60, "slope_replicates": 20, "seed": 7}
    return base | {"target_sensitivity": 0.8, "min_cell": 10, "workers": 1} | more


def run(folder, tables, task, **more):
    """Evaluate tables (part -> table) and read the JSON back."""
    folder.mkdir(exist_ok=True)
    paths = [files.write(folder / f"{part}.parquet", content) for part, content in tables.items()]
    chosen = settings(task, tables, **more)
    evaluate.main(stage.Job(chosen, {"predictions": paths, "metrics": folder / "metrics.json"}))
    return shards.read_json(folder / "metrics.json")


def truth_of(part):
    return files.outcomes(500, 2, seed=PARTS.index(part), share=[0.75, 0.25])


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binary")
    tables = {part: files.table(truth_of(part), noise=0.5) for part in PARTS}
    return tables, run(folder, tables, files.BINARY), folder


@pytest.fixture(scope="module")
def bins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bins")
    tables = {part: files.table(files.outcomes(400, 4, seed=i), noise=0.5) for i, part in enumerate(PARTS)}
    return tables, run(folder, tables, files.BINS), folder


def close(value):
    return pytest.approx(value, rel=1e-5)


def test_measures_equal_a_recomputation_from_the_file(binary):
    tables, result, _ = binary
    frame = tables["test"].to_pandas()
    block, y, p = result["parts"]["test"], frame.label, frame.p_1
    assert (block["n_rows"], block["n_persons"], block["n_events"]) == (500, frame.person_id.nunique(), y.sum())
    assert block["prevalence"] == close(y.mean())
    assert block["auroc"]["value"] == close(sk.roc_auc_score(y, p))
    assert block["auprc"]["value"] == close(sk.average_precision_score(y, p))
    assert block["brier_scaled"]["value"] == close(sk.d2_brier_score(y, p))
    assert block["log_loss"]["value"] == close(sk.log_loss(y, p))
    assert block["oe_ratio"]["value"] == close(y.sum() / p.sum())
    groups = block["curves"]["calibration"]
    assert sum(groups["n"]) == 500
    assert np.dot(groups["n"], groups["mean"]) == pytest.approx(p.sum(), rel=1e-3)
    assert np.dot(groups["n"], groups["value"]) == pytest.approx(y.sum(), rel=1e-3)
    everyone = block["curves"]["net_benefit"]["all"]
    assert everyone[9] == pytest.approx(y.mean() - (1 - y.mean()) / 9, rel=1e-3)  # threshold .10


def test_intervals_equal_percentiles_of_resampled_patients(binary):
    tables, result, _ = binary
    frame, members = tables["test"].to_pandas(), files.patients(tables["test"])
    threshold, values, refits = result["threshold"]["value"], [], []
    for b in range(60):
        drawn = np.repeat(np.arange(len(members)), bootstrap.draw(len(members), 7, b))
        rows = np.concatenate([members[i] for i in drawn])
        y, p = frame.label[rows], frame.p_1[rows]
        values.append(
            {
                "auroc": sk.roc_auc_score(y, p),
                "auprc": sk.average_precision_score(y, p),
                "brier_scaled": sk.d2_brier_score(y, p),
                "log_loss": sk.log_loss(y, p),
                "oe_ratio": y.sum() / p.sum(),
                "sensitivity": (p >= threshold)[y == 1].mean(),
                "npv": 1 - y[p < threshold].mean(),
                "alerts_per_100": 100 * (p >= threshold).mean(),
            }
        )
        if b < 20:
            model = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky")
            refits.append({"calibration_slope": model.fit(np.log(p / (1 - p)).to_numpy()[:, None], y).coef_[0, 0]})
    block = result["parts"]["test"]
    for samples in (values, refits):
        for name in samples[0]:
            found = block[name] if name in block else block["operating"][name]
            low, high = np.quantile([s[name] for s in samples], [0.025, 0.975])
            assert [found["low"], found["high"], found["left_out"]] == close([low, high, 0])
    for name in ("calibration_intercept", "ici", "e50", "e90"):
        assert block[name]["low"] < block[name]["high"]


def test_threshold_is_chosen_on_calibration_only_and_frozen(binary, tmp_path):
    tables, result, _ = binary
    threshold = result["threshold"]["value"]
    calibration, test = tables["calibration"].to_pandas(), tables["test"].to_pandas()
    events = calibration.p_1[calibration.label == 1]
    assert (events >= threshold).mean() >= 0.8 > (events >= threshold + 1e-6).mean()
    flagged = test.p_1 >= threshold
    operating = result["parts"]["test"]["operating"]
    assert operating["threshold"] == threshold
    assert operating["sensitivity"]["value"] == close(flagged[test.label == 1].mean())
    assert operating["ppv"]["value"] == close(test.label[flagged].mean())
    assert operating["alerts_per_100"]["value"] == close(100 * flagged.mean())
    assert operating["number_needed_to_evaluate"]["value"] == close(1 / test.label[flagged].mean())
    assert operating["sensitivity"]["low"] < operating["sensitivity"]["value"] < operating["sensitivity"]["high"]
    # Another test part moves neither the threshold, the recalibration, nor any other part's block.
    other = run(tmp_path, tables | {"test": files.table(files.outcomes(300, 2, seed=9))}, files.BINARY)
    assert other["threshold"] == result["threshold"]
    assert other["recalibration"]["parameters"] == result["recalibration"]["parameters"]
    assert {k: v for k, v in other["parts"].items() if k != "test"} == {
        k: v for k, v in result["parts"].items() if k != "test"
    }


def test_tuning_is_a_point_and_unseen_patients_are_scored_apart(binary):
    tables, result, _ = binary
    assert set(result["parts"]) == {*PARTS, "temporal_test_unseen"}
    tuning = result["parts"]["tuning"]
    assert tuning["auroc"]["value"] is not None and tuning["auroc"]["low"] is None and "auprc" not in tuning
    frame = tables["temporal_test"].to_pandas()
    unseen = frame[~frame.seen]
    block = result["parts"]["temporal_test_unseen"]
    assert block["n_rows"] == len(unseen) and block["curves"] is None and block["operating"] is None
    assert block["auroc"]["value"] == close(sk.roc_auc_score(unseen.label, unseen.p_1))


def test_recalibration_improves_distorted_probabilities(tmp_path):
    tables = {}
    for i, part in enumerate(PARTS):
        truth = files.outcomes(3000, 2, seed=i)
        odds = (truth["p"][:, 1] / truth["p"][:, 0]) ** 2.5 * 3
        truth["p"] = np.column_stack([1 - odds / (1 + odds), odds / (1 + odds)])
        tables[part] = files.table(truth)
    result = run(tmp_path, tables, files.BINARY, replicates=0, slope_replicates=0)
    assert result["recalibration"]["parameters"]["slope"] == pytest.approx(0.4, abs=0.05)
    for name in ("test", "temporal_test"):
        before, after = (result["recalibration"]["parts"][name][when] for when in ("before", "after"))
        assert after["log_loss"] < before["log_loss"] and after["ici"] < 0.5 * before["ici"]
        assert after["calibration_slope"] == pytest.approx(1, abs=0.15)
        assert before["log_loss"] == result["parts"][name]["log_loss"]["value"]
        assert before["ici"] == result["parts"][name]["ici"]["value"]
    assert result["parts"]["test"]["auroc"]["reason"] == "no replicates"


def test_several_ordered_classes(bins):
    tables, result, _ = bins
    frame = tables["test"].to_pandas()
    block, p = result["parts"]["test"], frame[[f"p_{k}" for k in range(4)]].to_numpy()
    names = files.BINS["class_names"]
    each = [sk.roc_auc_score(frame.label == k, p[:, k]) for k in range(4)]
    assert [block["classes"][name]["auroc"]["value"] for name in names] == close(each)
    assert block["macro_classes"] == names and block["auroc"]["value"] == close(np.mean(each))
    assert block["auroc"]["value"] == close(sk.roc_auc_score(frame.label, p, multi_class="ovr", average="macro"))
    assert block["n_events"] == {name: int((frame.label == k).sum()) for k, name in enumerate(names)}
    assert block["brier"]["value"] == close(sk.brier_score_loss(frame.label, p, scale_by_half=False))
    assert block["brier_scaled"]["value"] == close(sk.d2_brier_score(frame.label, p))
    assert block["log_loss"]["value"] == close(sk.log_loss(frame.label, p))
    assert list(block["cuts"]) == sorted(["> 0-2", "> 3", "> 4-5"])
    for k, name in enumerate(names[:-1]):
        cut = block["cuts"][f"> {name}"]
        assert cut["auroc"]["value"] == close(sk.roc_auc_score(frame.label > k, p[:, k + 1 :].sum(axis=1)))
        assert cut["n_events"] == (frame.label > k).sum() and cut["calibration_slope"]["value"] is not None
    assert result["threshold"]["cuts"]["> 3"]["value"] == block["cuts"]["> 3"]["operating"]["threshold"]
    assert result["recalibration"]["method"] == "temperature"
    assert result["recalibration"]["parts"]["test"]["before"]["log_loss"] == block["log_loss"]["value"]


def test_absent_and_rare_classes_are_listed_and_counted_out(tmp_path):
    truths = [files.outcomes(400, 4, seed=i) for i in range(4)]
    for truth in truths:
        truth["label"][truth["label"] == 1] = 0
        third = np.flatnonzero(truth["label"] == 3)
        truth["label"][third[4:]] = 2  # four rows are left
    tables = {part: files.table(truth) for part, truth in zip(PARTS, truths, strict=True)}
    block = run(tmp_path, tables, files.BINS)["parts"]["test"]
    absent = block["classes"]["3"]
    assert absent["n_events"] == 0 and absent["auroc"]["value"] is None and absent["auroc"]["reason"] == "no events"
    rare = block["classes"]["> 5"]
    assert rare["n_events"] is None and rare["suppressed"] and rare["auroc"]["value"] is None
    assert rare["auroc"]["reason"] == "fewer than 10 events or non-events"
    assert block["macro_classes"] == ["0-2", "4-5"]
    # One more class is hidden, or the total would give the rare one away; so is the cut that parts the two.
    hidden = [name for name, n in block["n_events"].items() if n is None]
    assert len(hidden) == 2 and "> 5" in hidden and block["n_events"]["3"] == 0 and block["suppressed"]
    other = block["classes"][hidden[0]]
    assert other["curves"] is None and other["prevalence"] is None and other["auroc"]["value"] is not None
    assert block["cuts"]["> 4-5"]["n_events"] is None


@pytest.mark.parametrize("task", [files.BINARY, files.BINS, files.CLASSES], ids=["binary", "bins", "classes"])
@pytest.mark.parametrize("case", ["empty", "one_class", "few", "one_patient", "constant", "certain"])
def test_odd_parts_give_null_with_a_reason_and_never_fail(tmp_path, task, case):
    classes = task["classes"]
    truth = files.outcomes({"empty": 0, "few": 15}.get(case, 120), classes)
    if case == "one_class":
        truth["label"][:] = 0
    if case == "one_patient":
        truth["person"][:] = 0
    if case == "constant":
        truth["p"][:] = 1 / classes
    if case == "certain":
        truth["p"] = np.eye(classes)[truth["label"]]
    tables = {part: files.table(truth) for part in PARTS}
    result = run(tmp_path, tables, task, replicates=20, slope_replicates=5)  # the JSON reader would accept NaN,
    assert "NaN" not in (tmp_path / "metrics.json").read_text()  # the writer refuses it
    block = result["parts"]["test"]

    def measures(value):
        if isinstance(value, dict) and {"value", "low", "left_out"} <= set(value):
            yield value
        elif isinstance(value, dict):
            for inner in value.values():
                yield from measures(inner)

    for found in measures(block):
        assert ("reason" in found) == (found["value"] is None or found["low"] is None)
    if case in ("empty", "one_class", "few"):
        assert block["auroc"]["value"] is None
    if case == "empty":
        assert block["n_rows"] == 0 and block["auroc"]["reason"] == "no rows"
    if case == "one_patient":
        assert block["auroc"]["value"] is not None and block["auroc"]["reason"] == "fewer than 10 patients"
    question = block if task is files.BINARY else block["classes"][task["class_names"][0]]
    if case == "constant":
        assert question["auroc"]["value"] == 0.5
        assert question["calibration_slope"]["reason"].startswith("the fit did not converge")
    if case == "certain":
        assert question["auroc"]["value"] == 1 and question["calibration_slope"]["value"] is None


def test_small_cells_do_not_leave(tmp_path):
    """No count from 1 to 9 anywhere, no operating table with a small cell, unseen patients not by subtraction."""
    truths = [files.outcomes(200, 2, seed=i, share=[0.9, 0.1]) for i in range(4)]
    for truth in truths:
        truth["seen"] = np.arange(200) < 5  # all minus unseen would be 5 rows
    tables = {part: files.table(truth) for part, truth in zip(PARTS, truths, strict=True)}
    result = run(tmp_path, tables, files.BINARY, replicates=10, slope_replicates=5)

    def counts(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("n", "n_rows", "n_persons", "n_events", "events", "others"):
                    listed = inner if isinstance(inner, list) else [inner]
                    yield from (c for c in listed if not isinstance(c, dict))
                else:
                    yield from counts(inner)

    found = [c for c in counts(result["parts"]) if c is not None]
    assert len(found) > 20 and not any(0 < c < 10 for c in found)
    block = result["parts"]["test"]
    operating, frame = block["operating"], tables["test"].to_pandas()
    missed = ((frame.label == 1) & (frame.p_1 < operating["threshold"])).sum()
    assert 0 < missed < 10 and operating["sensitivity"]["value"] is None
    assert operating["sensitivity"]["reason"].startswith("suppressed")
    events = block["curves"]["histogram"]["events"]
    hidden = block["n_events"] - sum(e for e in events if e is not None)
    assert events.count(None) >= 2 and hidden >= 10
    unseen = result["parts"]["temporal_test_unseen"]
    assert unseen["n_rows"] is None and unseen["n_events"] is None and unseen["suppressed"]
    shown = run(tmp_path / "open", tables, files.BINARY, replicates=10, slope_replicates=5, min_cell=1)["parts"]["test"]
    assert shown["operating"]["sensitivity"]["value"] == close(1 - missed / frame.label.sum())


@examples(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 20))
def test_suppress(counts, min_cell):
    shown = suppress(counts, min_cell)
    hidden = [c for c, s in zip(counts, shown, strict=True) if s is None]
    assert all(s in (None, c) for c, s in zip(counts, shown, strict=True))
    assert not any(s is not None and 0 < s < min_cell for s in shown)
    assert bool(hidden) == any(0 < c < min_cell for c in counts)
    if hidden and any(s for s in shown):  # something is left to hide behind: the total does not tell the small cell
        assert len(hidden) >= 2 and sum(hidden) >= min_cell


def test_bytes_do_not_depend_on_row_order_ids_workers_batches_or_who_runs_it(binary, tmp_path, monkeypatch):
    tables, _, folder = binary
    written = (folder / "metrics.json").read_bytes()
    turned = {part: t.take(np.random.default_rng(3).permutation(t.num_rows)) for part, t in tables.items()}
    run(tmp_path, turned, files.BINARY, workers=3)
    assert (tmp_path / "metrics.json").read_bytes() == written
    with monkeypatch.context() as patched:
        patched.setattr(bootstrap, "BATCH_VALUES", 1)  # one replicate a call
        run(tmp_path / "single", tables, files.BINARY)
    assert (tmp_path / "single" / "metrics.json").read_bytes() == written
    truths = {part: truth_of(part) for part in PARTS}
    ids = {part: {"person": 977 * t["person"] % 1009, "visit": 7 * np.arange(500) % 503} for part, t in truths.items()}
    renamed = {part: files.table(truths[part] | ids[part], noise=0.5) for part in PARTS}
    run(tmp_path / "renamed", renamed, files.BINARY)
    assert (tmp_path / "renamed" / "metrics.json").read_bytes() == written
    predictions = [tmp_path / f"{part}.parquet" for part in PARTS]
    out = tmp_path / "again.json"
    command.run(SCRIPT, stage.Job(settings(files.BINARY), {"predictions": predictions, "metrics": out}, code="c"))
    assert out.read_bytes() == written
    record = json.loads(Path(f"{out}.record.jsonl").read_text())
    assert record["outputs"] == {"again.json": shards.sha256(out)}


def test_no_row_of_a_patient_is_in_the_file(binary):
    """No probability of the input, at full or six digits, is written as a threshold, edge or curve point."""
    tables, result, _ = binary

    def values(value):
        if isinstance(value, dict):
            for inner in value.values():
                yield from values(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from values(inner)
        elif isinstance(value, float):
            yield value

    own = {v for t in tables.values() for v in t["p_1"].to_pylist()}
    assert not own & set(values(result))


def test_development_mode_and_wrong_lists(binary, tmp_path):
    tables, result, _ = binary
    two = {part: tables[part] for part in ("tuning", "calibration")}
    small = run(tmp_path, two, files.BINARY)
    assert small["parts"] == {part: result["parts"][part] for part in two}
    assert small["threshold"] == result["threshold"] and small["recalibration"]["parts"] == {}
    alone = run(tmp_path, {"test": tables["test"]}, files.BINARY)
    assert alone["threshold"]["reason"] == "no calibration part" and alone["parts"]["test"]["operating"] is None
    with pytest.raises(stage.StageError, match="1 prediction files for 2 parts"):
        evaluate.main(
            stage.Job(settings(files.BINARY, two), {"predictions": [tmp_path / "x"], "metrics": tmp_path / "m"})
        )
    broken = files.write(tmp_path / "broken.parquet", pa.table({"visit_id": [1]}))
    with pytest.raises(stage.StageError, match="no column"):
        evaluate.main(stage.Job(settings(files.BINARY, ["test"]), {"predictions": [broken]}))
