"""Point in time, proven: what happens after the index time, and how the stay itself is coded and paid, change no input.

For stays drawn from the demo hospital, one a patient, every fact after the index time is deleted, what was open then
is open again, and the stay's own diagnoses and claims go; text, index time and features must come out the same.
"""

import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import demo_hospital
import omop_db
from lib import stage

WINDOW = ("2013-01-01", "2014-01-01")
DEMO = {
    "seed": 3,
    "patients": 1200,
    "start": "2011-01-01",
    "end": "2014-12-31",
    "note_words": 60,
    "cue_share": 0.5,
    "late": 0,
    "dirt": 0.3,
    "leak": [],
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("point_in_time")
    names = {"database": "hospital.sqlite", "oracle": "oracle.parquet", "manifest": "hospital.json"}
    demo_hospital.main(stage.Job(DEMO, {name: folder / file for name, file in names.items()}))
    return folder / "hospital.sqlite"


def _labels(database: Path, cohort: str) -> pa.Table:
    return omop_db.run(database, omop_db.settings(cohort, "labels", WINDOW, "2015-01-01"))


def _inputs(database: Path, cohort: str) -> dict[int, list[dict[str, Any]]]:
    """What a model may see, by stay: texts with their clock, features with theirs."""
    labels = _labels(database, cohort)
    features = [name for name in labels.column_names if name.startswith("feature_")]
    text = omop_db.run(database, omop_db.settings(cohort, "text", WINDOW))
    seen: dict[int, list[dict[str, Any]]] = {}
    for row in text.to_pylist() + labels.select(["visit_id", "index_time", *features]).to_pylist():
        seen.setdefault(row["visit_id"], []).append(row)
    return seen


# (table, what of a person is deleted); :now is the index time; a fact with a date alone is known by the end of its day.
DELETED = (
    ("visit_occurrence", "visit_start_datetime > :now"),
    ("visit_detail", "visit_detail_start_datetime > :now"),
    ("note", "coalesce(note_datetime, note_date || ' 23:59:59') > :now"),
    ("condition_occurrence", "condition_start_date || ' 23:59:59' > :now OR visit_occurrence_id = :visit"),
    ("notecast_claim", "submitted_date || ' 23:59:59' > :now OR visit_occurrence_id = :visit"),
    ("death", "death_datetime > :now"),
)
REOPENED = (
    "UPDATE visit_occurrence SET visit_end_datetime = NULL, visit_end_date = '2014-12-31', "
    "discharged_to_concept_id = 32220 WHERE person_id = :person AND visit_end_datetime > :now",
    "UPDATE payer_plan_period SET payer_plan_period_end_date = '2099-12-31' WHERE person_id = :person",
)


def _forget(connection: sqlite3.Connection, row: dict[str, Any]) -> dict[str, int]:
    """Take away what was not known of the person at the stay's index time, and the stay's own codes and claims."""
    known = {"person": row["person_id"], "visit": row["visit_id"], "now": str(row["index_time"])}
    gone = {}
    for table, later in DELETED:
        gone[table] = connection.execute(f"DELETE FROM {table} WHERE person_id = :person AND ({later})", known).rowcount
    for statement in REOPENED:
        connection.execute(statement, known)
    return gone


@pytest.mark.parametrize("cohort", ["discharge", "admission"])
def test_the_future_changes_no_input(database: Path, tmp_path: Path, cohort: str) -> None:
    before = _inputs(database, cohort)
    rows = [row for row in _labels(database, cohort).to_pylist() if row["index_time"] is not None]
    draw = random.Random(5)
    draw.shuffle(rows)
    sampled = {row["person_id"]: row for row in rows}  # one stay a person: each has its own present
    forgotten = tmp_path / "hospital.sqlite"
    shutil.copyfile(database, forgotten)
    gone: Counter[str] = Counter()
    with closing(sqlite3.connect(forgotten)) as connection:
        for row in sampled.values():
            gone.update(_forget(connection, row))
        connection.commit()
    after = _inputs(forgotten, cohort)
    assert len(sampled) > 50
    assert all(gone[table] > 0 for table, _ in DELETED), gone
    assert [v for v in (r["visit_id"] for r in sampled.values()) if after.get(v) != before[v]] == []
    changed = {row["visit_id"]: row for row in _labels(forgotten, cohort).to_pylist()}
    label = "label_readmission" if cohort == "discharge" else "label_mortality"
    assert any(changed[r["visit_id"]][label] != r[label] for r in sampled.values()), "nothing was forgotten"
