"""The demo hospital proves itself: its tables are OMOP's, its notes carry the risk, and its outcomes follow from it."""

import csv
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import note_reader
import omop_db
from lib import demo_risk, shards, stage
from lib.demo_facts import NEEDS

SETTINGS: dict[str, Any] = {
    "seed": 1,
    "patients": 1500,
    "start": "2011-01-01",
    "end": "2021-12-31",
    "note_words": 100,
    "cue_share": 0.2,
    "late": 0.0,
    "dirt": 0.1,
    "leak": [],
}
NOTE_OF = dict.fromkeys(demo_risk.CLASSES, 44814638) | {"readmission": 44814637}
BINS = {"length_of_stay": ("length_of_stay_days", (3, 4, 6)), "comorbidity": ("charlson", (1, 3, 5, 8))}
SCHEMAS = Path(__file__).with_name("schemas") / "omop-5.4.csv"
Make = Callable[..., Path]


def made(folder: Path, **changes: Any) -> Path:
    """The folder with a hospital of the settings above, changed."""
    return omop_db.demo(folder, SETTINGS | changes).parent


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("hospital"))


def rows(folder: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{folder / 'database'}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()


def known(folder: Path, task: str) -> tuple[list[str], NDArray[np.float64], NDArray[np.int64]]:
    """First note, risk (n, classes) and label (n,) of each stay whose label is known and whose note has a text."""
    texts = dict(  # of several notes of a stay the first one stays
        rows(
            folder,
            "SELECT visit_occurrence_id, note_text FROM note "
            "WHERE note_class_concept_id = ? AND note_title <> 'Addendum' ORDER BY note_id DESC",
            NOTE_OF[task],
        )
    )
    truth = [r for r in shards.read_parquet(folder / "oracle").to_pylist() if r["task"] == task]
    told = [r for r in truth if r["label"] is not None and (texts.get(r["visit_id"]) or "").strip()]
    return [texts[r["visit_id"]] for r in told], np.array([r["p"] for r in told]), np.array([r["label"] for r in told])


def auroc(p: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    return float(np.mean([roc_auc_score(label == k, p[:, k]) for k in range(p.shape[1])]))


def share(reached: float, ceiling: float) -> float:
    return (reached - 0.5) / (ceiling - 0.5)


@pytest.mark.parametrize("changes", [{}, {"cue_share": 1.0}, {"late": 1.0, "cue_share": 0.0, "dirt": 1.0}])
def test_a_reader_of_the_text_reaches_the_oracle(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = made(tmp_path, **changes)
    for task in demo_risk.CLASSES:
        texts, p, label = known(folder, task)
        read = np.array([note_reader.risk(task, note_reader.plain(text)) for text in texts])
        assert share(auroc(read, label), auroc(p, label)) >= 0.98, task


@pytest.mark.parametrize("task", demo_risk.CLASSES)
def test_outcomes_have_the_risk_that_the_oracle_tells(hospital: Path, task: str) -> None:
    _, p, label = known(hospital, task)
    for k in range(p.shape[1]):
        error = np.sqrt((p[:, k] * (1 - p[:, k])).sum())
        assert abs((label == k).sum() - p[:, k].sum()) < 4 * error, f"class {k}"


def test_the_queries_find_the_outcomes_that_were_drawn(hospital: Path) -> None:
    window = ("2011-01-01", "2022-01-01")
    labels: dict[str, dict[int, Any]] = {}
    for cohort in ("discharge", "admission"):
        given = omop_db.settings(cohort, "labels", window, known_until="2022-01-01")
        labels[cohort] = {row["visit_id"]: row for row in omop_db.run(hospital / "database", given).to_pylist()}
    compared = dict.fromkeys(demo_risk.CLASSES, 0)
    for row in shards.read_parquet(hospital / "oracle").to_pylist():
        name, edges = BINS.get(row["task"], (row["task"], ()))
        found = labels["discharge" if row["task"] == "readmission" else "admission"].get(row["visit_id"])
        if found is not None and found[f"label_{name}"] is not None:
            value = found[f"label_{name}"]
            assert (sum(value >= edge for edge in edges) if edges else value) == row["label"], row["task"]
            compared[row["task"]] += 1
    assert min(compared.values()) > 2000, compared


def bag_of_words(folder: Path, task: str) -> float:
    """Share of the oracle that unigrams and logistic regression reach, trained on the first half of the stays."""
    texts, p, label = known(folder, task)
    half = len(texts) // 2
    words = CountVectorizer(min_df=5, binary=True)
    model = LogisticRegression(C=0.1, max_iter=500).fit(words.fit_transform(texts[:half]), label[:half])
    reached = roc_auc_score(label[half:], model.predict_proba(words.transform(texts[half:]))[:, 1])
    return share(float(reached), float(roc_auc_score(label[half:], p[half:, 1])))


def test_cue_share_decides_how_far_words_alone_go(tmp_path: Path) -> None:
    plain, balanced = (made(tmp_path / str(cue), cue_share=cue, patients=3000) for cue in (0.0, 1.0))
    assert bag_of_words(plain, "readmission") > bag_of_words(balanced, "readmission") + 0.25


def test_late_facts_stand_behind_512_words(tmp_path: Path) -> None:
    folder = made(tmp_path, late=1.0, patients=100)
    texts, _, _ = known(folder, "readmission")
    beginnings = [" ".join(text.split()[:512]) for text in texts]
    assert texts and not any(note_reader.status(text, need.key) for text in beginnings for need in NEEDS)


def test_equal_settings_give_equal_bytes(hospital: Path, tmp_path: Path) -> None:
    again = made(tmp_path)
    for name in ("database", "oracle", "manifest"):
        assert shards.sha256(again / name) == shards.sha256(hospital / name)


def test_a_later_end_adds_rows_and_closes_what_was_open(tmp_path: Path) -> None:
    early, late = (made(tmp_path / end, end=end, patients=300) for end in ("2019-06-30", "2019-07-31"))
    for table, key in (("note", "note_id"), ("condition_occurrence", "condition_occurrence_id")):
        before, after = (
            {row[0]: row for row in rows(folder, f"SELECT {key}, * FROM {table}")} for folder in (early, late)
        )
        assert before.items() <= after.items() and len(after) > len(before), table
    open_stays = "SELECT visit_occurrence_id FROM visit_occurrence WHERE visit_end_datetime IS NULL"
    settled = "SELECT visit_occurrence_id, * FROM visit_occurrence WHERE visit_end_datetime IS NOT NULL"
    assert set(rows(early, settled)) <= set(rows(late, settled))
    assert {stay for (stay,) in rows(early, open_stays)} <= {
        stay for (stay,) in rows(late, "SELECT visit_occurrence_id FROM visit_occurrence")
    }


def test_notes_are_as_dirty_and_as_long_as_in_a_warehouse(hospital: Path) -> None:
    texts = [text for (text,) in rows(hospital, "SELECT note_text FROM note")]
    told = [text for text in texts if text]
    for name, sign in {"HTML": "</p>", "RTF": "{\\rtf", "CRLF": "\r\n", "control": "\x0b", "unicode": "\u00a0"}.items():
        assert any(sign in text for text in told), name
    assert None in texts and any(text is not None and not text.strip() for text in texts)
    assert len(set(told)) < len(told), "exact duplicates"
    assert rows(hospital, "SELECT count(*) FROM note WHERE note_title = 'Addendum'")[0][0] > 50
    main = rows(
        hospital, "SELECT note_text FROM note WHERE note_title IN ('Discharge summary', 'History and physical')"
    )
    lengths = np.array([len(text.split()) for (text,) in main if text])
    assert 80 < np.median(lengths) < 200 and np.log(lengths[lengths > 30]).std() > 0.3
    assert (lengths > 400).sum() >= 5, "beyond 512 tokens"
    for phrase in ("Denies ", "No ", "H/o ", "resolved", "former"):
        assert any(phrase in text for text in told), phrase


def test_codes_change_their_system_in_october_2015(hospital: Path) -> None:
    systems = (
        "SELECT c.vocabulary_id, min(o.condition_end_date), max(o.condition_end_date) FROM condition_occurrence o "
    )
    systems += "JOIN concept c ON c.concept_id = o.condition_source_concept_id GROUP BY 1"
    found = {name: (first, last) for name, first, last in rows(hospital, systems)}
    assert found["ICD9CM"][1] < "2015-10-01" <= found["ICD10CM"][0]


def test_the_tables_are_omops(hospital: Path) -> None:
    with open(SCHEMAS, encoding="utf-8", newline="") as file:
        published: dict[str, set[str]] = {}
        for row in csv.DictReader(file):
            published.setdefault(row["table"], set()).add(row["column"])
    for (table,) in rows(hospital, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        if table != "notecast_claim":
            columns = {row[0] for row in rows(hospital, "SELECT name FROM pragma_table_info(?)", table)}
            assert columns == published[table], table


def test_leaks_are_planted_on_demand_only(hospital: Path, tmp_path: Path) -> None:
    leaky = made(tmp_path, leak=["label_words", "patient_copies", "late_filing"])
    told = (
        "SELECT count(*) FROM note WHERE note_text LIKE '%Pt expired.%' OR note_text LIKE '%Pt was readmitted since.%'"
    )
    assert (rows(hospital, told)[0][0], rows(leaky, told)[0][0] > 100) == (0, True)
    copies = "SELECT count(*) FROM (SELECT 1 FROM note WHERE note_text <> '' GROUP BY note_text "
    copies += "HAVING count(DISTINCT person_id) > 1 AND length(note_text) > 300)"
    assert rows(leaky, copies)[0][0] > rows(hospital, copies)[0][0] + 20


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cue_share": 1.5}, "cue_share: a number from 0 to 1"),
        ({"patients": "many"}, "patients: a number"),
        ({"end": "2010-01-01"}, "start, end: 2011-01-01 <= start <= end"),
        ({"end": "soon"}, "start, end: dates written YYYY-MM-DD"),
        ({"leak": ["labels"]}, "leak: names 1 unknown; choose from label_words"),
    ],
)
def test_settings_out_of_range_are_told_and_leave_nothing(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(stage.StageError, match=said):
        made(tmp_path, **changes)
    assert not list(tmp_path.iterdir())
