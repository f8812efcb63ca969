"""The bring-your-own example: a table of texts and labels, nothing else, becomes a cohort."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import omop_db
from lib import sqltext

ROWS = [
    (1, "Colectomy.", "Surgery"),
    (2, "Chest pain.", "Cardiology"),
    (3, "Colectomy.", "Gastroenterology"),  # a copy of 1 under another specialty
    (4, None, "Surgery"),
    (5, None, "Radiology"),
    (6, "Unsorted.", None),
    (7, "colectomy.", "Gastroenterology"),  # another text
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "texts.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mtsamples (note_id INTEGER, transcription TEXT, medical_specialty TEXT)")
        connection.executemany("INSERT INTO mtsamples VALUES (?, ?, ?)", ROWS)
        connection.commit()
    return path


def extracted(database: Path, kind: str, year: int = 2020) -> pa.Table:
    sql = f"workflow/sql/texts/notes{'.labels' if kind == 'labels' else ''}.sql"
    used = sqltext.parameters_of((omop_db.ROOT / sql).read_text(encoding="utf-8"))
    given: dict[str, Any] = {"dated": "2020-01-01 00:00:00", "positive_values": ["Surgery"]}
    settings = {
        "kind": kind,
        "sql": sql,
        "sql_sha256": sqltext.canonical_sql_hash(omop_db.ROOT / sql),
        "id_type": "integer",
        "window_start": f"{year}-01-01 00:00:00",
        "window_end": f"{year + 1}-01-01 00:00:00",
        "known_until": "2021-01-01 00:00:00",
        "parameters": {name: value for name, value in given.items() if name in used},
    }
    return omop_db.run(database, settings)


def test_copies_of_a_text_stay_together_and_share_a_label(database: Path) -> None:
    texts, labels = extracted(database, "text").to_pylist(), extracted(database, "labels").to_pylist()
    assert [(row["visit_id"], row["note_id"]) for row in texts] == [
        (1, 1),
        (1, 3),
        (2, 2),
        (4, 4),
        (5, 5),
        (6, 6),
        (7, 7),
    ]
    assert {row["visit_id"]: row["label_surgery"] for row in labels} == {1: 1, 2: 0, 4: 1, 5: 0, 6: None, 7: 0}
    assert [row["visit_id"] for row in labels if row["reason_surgery"] == "undetermined"] == [6]
    assert {(r["visit_id"], r["person_id"], r["index_time"]) for r in texts} == {
        (r["visit_id"], r["person_id"], r["index_time"]) for r in labels
    }


def test_texts_stand_in_one_window_only(database: Path) -> None:
    assert extracted(database, "text", 2019).num_rows == extracted(database, "labels", 2019).num_rows == 0
