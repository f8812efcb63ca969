"""lib.predictions: what is refused and how it is told, independence of row order, the questions of a task."""

import numpy as np
import pyarrow as pa
import pytest

import prediction_files as files
from lib import predictions
from lib.stage import StageError


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize("text", [False, True])
def test_row_order_does_not_matter(tmp_path, text):
    content = files.table(files.outcomes(200, 3), text=text)
    turned = content.take(np.random.default_rng(0).permutation(200))
    one = predictions.read(files.write(tmp_path / "a.parquet", content), 3)
    other = predictions.read(files.write(tmp_path / "b.parquet", turned), 3)
    assert one.keys.equals(other.keys)
    assert (one.person == other.person).all() and (one.p == other.p).all() and (one.label == other.label).all()
    ids = one.keys["person_id"].to_pylist()
    assert one.persons == len(set(ids))
    assert len(set(zip(ids, one.person.tolist(), strict=True))) == one.persons  # one number a patient
    some = one.where(one.seen)
    assert some.rows == one.seen.sum() and some.persons == len(np.unique(one.person[one.seen]))
    assert some.person.max() == some.persons - 1


def test_the_order_by_content_is_the_same_under_other_ids(tmp_path):
    """Ties are what could tell: rounded probabilities make patients equal in one fit, in both, or in a part."""
    truth = files.outcomes(300, 3)
    other = truth | {"visit": np.random.default_rng(1).permutation(300), "person": truth["person"] * 7919 % 211}
    assert len(set(truth["person"])) == len(set(other["person"]))
    ordered = []
    for ids in (truth, other):
        contents = [files.table(ids, noise=noise) for noise in (0.0, 0.5)]
        rounded = []
        for i, content in enumerate(contents):
            p = np.round(np.stack([content[f"p_{k}"].to_numpy() for k in (0, 1)]), 1)
            for k, values in enumerate([*p, 1 - p.sum(axis=0).clip(max=1)]):
                content = with_column(content, f"p_{k}", np.abs(values))
            rounded.append(predictions.read(files.write(tmp_path / f"{len(ordered)}-{i}.parquet", content), 3))
        ordered.append(predictions.by_content(rounded))
    for one, two in zip(*ordered, strict=True):
        assert (one.person == two.person).all() and (one.label == two.label).all() and (one.p == two.p).all()
        assert not one.keys.equals(two.keys)
    assert ordered[0][0].keys.equals(ordered[0][1].keys)
    assert (np.diff(ordered[0][0].person) >= 0).all() and len({p.tobytes() for p in ordered[0][0].p}) < 100


def test_an_empty_file_is_read(tmp_path):
    rows = predictions.read(files.write(tmp_path / "a.parquet", files.table(files.outcomes(0))), 2)
    assert (rows.rows, rows.persons, rows.p.shape) == (0, 0, (0, 2))
    assert predictions.by_content([rows])[0].rows == 0


def test_what_is_refused(tmp_path):
    good = files.table(files.outcomes(30))
    p = good["p_1"].to_numpy().copy()
    wrong_sum, negative, nan = p.copy(), p.copy(), p.copy()
    wrong_sum[:4] += 0.01
    negative[5] = -0.2
    nan[7] = np.nan
    cases = {
        "no column seen": good.drop_columns("seen"),
        "no column p_0, p_1": good.drop_columns(["p_0", "p_1"]),
        "no column p_1": good.rename_columns([{"p_1": "p_7"}.get(c, c) for c in good.column_names]),
        "probabilities of 3 classes, the task has 2": files.table(files.outcomes(30, 3)),
        "2 of 30 values of label are null": with_column(good, "label", [None, None, *[0] * 28]),
        "3 of 30 labels are outside 0..1": with_column(good, "label", [2, 5, -1, *[0] * 27]),
        "4 of 30 rows of p_": with_column(good, "p_1", wrong_sum),
        "1 of 30 rows of p_": with_column(good, "p_1", negative),
        "test.parquet: 1 of 30 rows": with_column(good, "p_1", nan),
        "2 of 30 rows repeat a visit_id": with_column(good, "visit_id", [1, 1, 1, *range(2, 29)]),
    }
    for message, content in cases.items():
        with pytest.raises(StageError, match=message):
            predictions.read(files.write(tmp_path / "test.parquet", content), 2)


def test_same_rows(tmp_path):
    truth = files.outcomes(40)

    def read(content):
        return predictions.read(files.write(tmp_path / "x.parquet", content))

    base = read(files.table(truth))
    predictions.require_same_rows(base, read(files.table(truth, noise=1.0)), "a", "b")
    content = files.table(truth)
    others = {
        "3 stays are only in the first, 0 only in the second": content.slice(3),
        "1 labels differ": with_column(content, "label", [1 - truth["label"][0], *truth["label"][1:]]),
        "2 have another note_id": with_column(content, "note_id", [1, 2, *content["note_id"].to_pylist()[2:]]),
        "different types": files.table(truth, text=True),
    }
    for message, other in others.items():
        with pytest.raises(StageError, match=message):
            predictions.require_same_rows(base, read(other), "a", "b")


def test_questions_of_each_kind():
    truth = files.outcomes(50, 4)
    (event,) = predictions.questions(files.BINARY, truth["label"] % 2, truth["p"][:, :2])
    assert (event.group, event.name) == ("event", "yes") and (event.y == (truth["label"] % 2 == 1)).all()
    found = predictions.questions(files.BINS, truth["label"], truth["p"])
    assert [q.key for q in found] == [
        *("classes/0-2", "classes/3", "classes/4-5", "classes/> 5"),
        *("cuts/> 0-2", "cuts/> 3", "cuts/> 4-5"),
    ]
    assert (found[5].y == (truth["label"] >= 2)).all()
    assert found[5].p == pytest.approx(truth["p"][:, 2:].sum(axis=1))
    assert (found[6].y == found[3].y).all() and found[6].p == pytest.approx(found[3].p)
    plain = predictions.questions(files.CLASSES, truth["label"] % 3, truth["p"][:, :3])
    assert [q.group for q in plain] == ["classes"] * 3
    with pytest.raises(StageError, match="2 names"):
        predictions.questions(files.BINS | {"class_names": ["a", "b"]}, truth["label"], truth["p"])
    with pytest.raises(StageError, match="binary task has 4"):
        predictions.questions(files.BINS | {"kind": "binary"}, truth["label"], truth["p"])
