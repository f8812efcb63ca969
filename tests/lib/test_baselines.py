import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from lib import baselines, stage, subsets, terms

TASKS = {
    2: {"kind": "binary", "classes": 2, "class_names": ["no", "yes"]},
    4: {"kind": "bins", "classes": 4, "class_names": ["0-2", "3", "4-5", ">5"]},
}


def settings(kind: str = "tfidf", classes: int = 2, **changes) -> dict:
    tfidf = {"ngrams": [1, 2], "min_patients": 3, "max_terms": 5000}
    base = {"kind": kind, "task": TASKS[classes], "size": "all", "seed": 1, "tfidf": tfidf, "c_grid": [0.1, 1, 10]}
    return base | changes


def part(rows: int, seed: int, classes: int = 2, text_ids: bool = False) -> pa.Table:
    """Notes of made-up words and three features that both follow the label; two notes a person."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, rows)
    common = np.array([f"word{i}" for i in range(60)])
    texts = [
        " ".join([*rng.choice(common, 12), *rng.choice([f"sign{k}", f"sign{rng.integers(classes)}", "no"], 4)])
        for k in label
    ]
    ids = np.arange(rows) + 1000 * seed
    person = [f"p{i // 2}" for i in ids] if text_ids else ids // 2
    known = rng.random(rows) < 0.8
    return pa.table(
        {
            "visit_id": ids,
            "note_id": ids,
            "person_id": person,
            "label": label,
            "text": texts,
            "feature_age": 60 + 5.0 * label + rng.normal(0, 8, rows),
            "feature_lab": pa.array(np.where(known, label + rng.normal(0, 2, rows), 0), mask=~known),
            "feature_constant": np.ones(rows),
            "feature_empty": pa.nulls(rows, pa.float64()),
        }
    )


def fitted_folder(tmp_path, train, tuning, wanted):
    fitted = baselines.fit(train, tuning, wanted)
    baselines.save(fitted, tmp_path / "model.json", tmp_path / "model.safetensors", tmp_path / "manifest.json")
    return fitted


@pytest.mark.parametrize("classes", [2, 4])
def test_tfidf_equals_sklearn(tmp_path, classes):
    train, tuning = part(400, 1, classes), part(120, 2, classes)
    fitted = fitted_folder(tmp_path, train, tuning, settings(classes=classes))
    held: dict[str, set] = {}
    analyse = TfidfVectorizer(ngram_range=(1, 2)).build_analyzer()
    for person, text in zip(train["person_id"].to_pylist(), train["text"].to_pylist(), strict=True):
        for term in analyse(text):
            held.setdefault(term, set()).add(person)
    vocabulary = sorted(term for term, people in held.items() if len(people) >= 3)
    assert fitted.model["terms"] == vocabulary
    assert 100 < len(vocabulary) < len(held)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, vocabulary=vocabulary)
    matrix = vectorizer.fit_transform(train["text"].to_pylist())
    regression = LogisticRegression(C=fitted.facts["C"], max_iter=1000).fit(matrix, train["label"].to_numpy())
    expected = regression.predict_proba(vectorizer.transform(tuning["text"].to_pylist()))
    np.testing.assert_allclose(baselines.predict(tmp_path, tuning), expected, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 4])
def test_structured_equals_sklearn(tmp_path, classes):
    train, tuning = part(300, 1, classes), part(100, 2, classes)
    fitted = fitted_folder(tmp_path, train, tuning, settings("structured", classes))
    names = ["feature_age", "feature_constant", "feature_lab"]
    assert fitted.model["features"] == names
    imputer, scaler = SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
    matrix = scaler.fit_transform(imputer.fit_transform(train.select(names).to_pandas()))
    regression = LogisticRegression(C=fitted.facts["C"], max_iter=1000).fit(matrix, train["label"].to_numpy())
    expected = regression.predict_proba(scaler.transform(imputer.transform(tuning.select(names).to_pandas())))
    np.testing.assert_allclose(baselines.predict(tmp_path, tuning), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["tfidf", "structured"])
@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_do_not_depend_on_the_batch(tmp_path, kind, classes):
    fitted_folder(tmp_path, part(300, 1, classes), part(100, 2, classes), settings(kind, classes))
    test = part(137, 3, classes)
    whole = baselines.predict(tmp_path, test)
    for size in (1, 10, 64):
        pieces = [baselines.predict(tmp_path, test.slice(i, size)) for i in range(0, test.num_rows, size)]
        assert np.array_equal(np.concatenate(pieces), whole)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-12)
    assert baselines.predict(tmp_path, test.slice(0, 0)).shape == (0, classes)


def test_a_text_without_known_words_gets_the_intercept(tmp_path):
    fitted = fitted_folder(tmp_path, part(300, 1), part(100, 2), settings())
    empty = part(2, 3).set_column(4, "text", pa.array(["", "zzz qqq"]))
    expected = 1 / (1 + np.exp(-fitted.arrays["intercepts"][0]))
    np.testing.assert_allclose(baselines.predict(tmp_path, empty)[:, 1], expected, rtol=1e-12)


def test_a_term_counts_its_persons_not_its_notes(monkeypatch):
    texts = ["rare name here"] * 6 + ["common word here"] * 3
    persons = np.array([0, 0, 0, 0, 0, 1, 2, 3, 4])
    for block in (2, 5, 1000):  # the same whatever is counted together
        monkeypatch.setattr(terms, "BLOCK_WORDS", block)
        learnt = terms.learn(texts, persons, (1, 3), min_patients=3, max_terms=100)
        assert learnt.terms == ["common", "common word", "common word here", "here", "word", "word here"]
    assert terms.learn(texts, persons, (1, 2), 2, max_terms=1).terms == ["here"]


def test_counting_is_the_same_in_any_blocks(monkeypatch):
    texts = part(60, 1)["text"].to_pylist()
    vocabulary = terms.learn(texts, np.arange(60), (1, 2), 2, 1000)
    whole = terms.counts(vocabulary, terms.number(texts, vocabulary.words))
    monkeypatch.setattr(terms, "BLOCK_WORDS", 7)
    for a, b in zip(whole, terms.counts(vocabulary, terms.number(texts, vocabulary.words)), strict=True):
        assert np.array_equal(a, b)


def test_ids_may_be_text(tmp_path):
    wanted = settings()
    numbers = baselines.fit(part(200, 1), part(80, 2), wanted)
    names = baselines.fit(part(200, 1, text_ids=True), part(80, 2, text_ids=True), wanted)
    assert numbers.model == names.model
    assert numbers.facts == names.facts


def test_c_is_chosen_on_tuning_and_ties_go_to_the_smaller():
    fitted = baselines.fit(part(300, 1), part(100, 2), settings(c_grid=[10, 0.001, 0.1]))
    grid = fitted.facts["tuning"]["grid"]
    assert [step["C"] for step in grid] == [0.001, 0.1, 10]
    best = max(step["auroc"] for step in grid)
    assert fitted.facts["tuning"]["value"] == best
    assert fitted.facts["C"] == min(step["C"] for step in grid if step["auroc"] == best)
    tie = baselines.fit(part(300, 1), part(100, 2), settings(c_grid=[1e-7, 1e-8, 1e-9]))  # order of scores fixed by now
    assert len({step["auroc"] for step in tie.facts["tuning"]["grid"]}) == 1
    assert tie.facts["C"] == 1e-9
    assert tie.facts["C_at_edge_of_grid"] == "lower"


def test_tuning_rows_teach_nothing_but_c():
    train, one_c = part(300, 1), settings(c_grid=[1.0])
    first, second = baselines.fit(train, part(100, 2), one_c), baselines.fit(train, part(90, 5), one_c)
    assert first.model == second.model
    assert all(np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays)
    assert first.facts["C_at_edge_of_grid"] is None


def test_shuffled_labels_destroy_the_signal(tmp_path):
    from sklearn.metrics import roc_auc_score

    train, tuning, test = part(400, 1), part(150, 2), part(400, 3)
    scores = {}
    for seed in range(4):
        for shuffled in (False, True):
            fitted_folder(tmp_path, train, tuning, settings(seed=seed, shuffle_labels=shuffled))
            p = baselines.predict(tmp_path, test)[:, 1]
            scores.setdefault(shuffled, []).append(roc_auc_score(test["label"].to_numpy(), p))
    assert min(scores[False]) > 0.75
    assert abs(np.mean(scores[True]) - 0.5) < 0.12
    assert len(set(scores[True])) == 4
    assert len(set(scores[False])) == 1  # the seed moves nothing else when all rows are used


def test_a_class_without_training_rows_gets_zero(tmp_path):
    train = part(300, 1, 4)
    train = train.filter(pa.compute.not_equal(train["label"], 1))
    fitted = fitted_folder(tmp_path, train, part(100, 2, 4), settings(classes=4))
    assert fitted.model["fitted_classes"] == [0, 2, 3]
    p = baselines.predict(tmp_path, part(50, 3, 4))
    assert (p[:, 1] == 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)


def test_a_size_takes_its_own_rows(tmp_path):
    train, tuning = part(300, 1), part(100, 2)
    fitted = baselines.fit(train, tuning, settings(size=120, seed=5))
    chosen = train.take(subsets.subset(train["note_id"], 120, 5))
    assert fitted.facts["rows"] == 120
    assert fitted.facts["persons"] == len(set(chosen["person_id"].to_pylist()))
    same = baselines.fit(chosen, tuning, settings(seed=5))
    assert same.model == fitted.model
    assert np.array_equal(same.arrays["coefficients"], fitted.arrays["coefficients"])


def only_class(table: pa.Table, k: int) -> pa.Table:
    return table.filter(pa.compute.equal(table["label"], k))


@pytest.mark.parametrize(
    ("train", "tuning", "wanted", "message"),
    [
        (part(0, 1), part(9, 2), settings(), "the train part has no rows"),
        (part(9, 1), part(0, 2), settings(), "the tuning part has no rows"),
        (only_class(part(40, 1), 0), part(20, 2), settings(), r"all \d+ rows of the train part are of class 'no'"),
        (part(40, 1), only_class(part(20, 2), 1), settings(), r"all \d+ rows of the tuning part are of class 'yes'"),
        (part(40, 1, 4), part(20, 2), settings(), "labels outside 0..1"),
        (part(4, 1).drop(["text"]), part(40, 2), settings(), "use the encoding text"),
        (part(40, 1), part(40, 2), settings(tfidf={"ngrams": [2, 1], "min_patients": 1, "max_terms": 9}), "ngrams"),
        (part(40, 1), part(40, 2), settings(tfidf={"ngrams": [1, 1], "min_patients": 99, "max_terms": 9}), "no term"),
        (part(40, 1).drop(["feature_age", "feature_lab", "feature_constant"]), part(40, 2), settings("structured"),
         "none of 1 feature_"),
        (part(40, 1), part(40, 2).drop(["feature_age"]), settings("structured"), "no column feature_age"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_from_is_said(train, tuning, wanted, message):
    with pytest.raises(stage.StageError, match=message):
        baselines.fit(train, tuning, wanted)


def test_infinite_features_are_counted():
    train = part(40, 1)
    infinite = train.set_column(
        train.column_names.index("feature_age"), "feature_age", pa.array([np.inf] * 3 + [50.0] * 37)
    )
    with pytest.raises(stage.StageError, match="feature_age: 3 infinite values"):
        baselines.fit(infinite, part(40, 2), settings("structured"))
