"""clean: one text a stay, every dropped note and stay counted, duplicates by the earliest."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import clean
from lib import shards, stage
from stay_tables import START, text_extract

SETTINGS = {
    "steps": ["markup", "unicode", "whitespace", "empty", {"short": {"min_words": 2}}],
    "drop_duplicates": True,
    "notes": "first",
    "addenda": "merge",
}
LONG = "Patient stable and discharged home"
ROWS = [
    {"visit_id": 1, "text": f"<p>{LONG}</p>", "index_time": START + timedelta(days=2)},
    {"visit_id": 2, "text": LONG, "index_time": START},
    {"visit_id": 3, "text": None},
    {"visit_id": 4, "text": "   "},
    {"visit_id": 5, "note_id": 50, "text": "Main note"},
    {"visit_id": 5, "note_id": 51, "text": "Late result", "note_role": "addendum", "note_time": START},
    {"visit_id": 6, "text": "word"},
    {"visit_id": 7, "note_id": 70, "text": "Only an addendum", "note_role": "addendum"},
]


def run(tmp_path: Path, rows: list[dict], identity=None, **changes) -> tuple[pa.Table, dict, dict]:
    files = {name: tmp_path / name for name in ("shard", "dropped", "manifest")}
    text = text_extract(tmp_path / "text", rows, identity)
    clean.main(stage.Job(SETTINGS | changes, {"text": text, **files}))
    gone = shards.read_parquet(files["dropped"]).to_pylist()
    patients = {str(row["visit_id"]): str(row.get("person_id", row["visit_id"])) for row in rows}
    assert all(str(row["person_id"]) == patients[str(row["visit_id"])] for row in gone)
    return (
        shards.read_parquet(files["shard"]),
        {row["visit_id"]: row["reason"] for row in gone},
        shards.read_json(files["manifest"]),
    )


def test_every_stay_is_kept_or_dropped_with_a_reason(tmp_path: Path) -> None:
    kept, gone, manifest = run(tmp_path, ROWS)
    assert dict(zip(kept["visit_id"].to_pylist(), kept["text"].to_pylist(), strict=True)) == {
        2: LONG,
        5: "Main note\nLate result",
    }
    assert gone == {1: "duplicate text", 3: "null", 4: "empty", 6: "short", 7: "only addenda"}
    counts = manifest["counts"]
    assert counts["notes"] == {
        "in": 8,
        "addenda merged": 1,
        "dropped: null": 1,
        "dropped: empty": 1,
        "dropped: short": 1,
    }
    assert counts["stays"]["kept"] + sum(counts["stays"]["dropped"].values()) == 7


def test_duplicates_stay_when_asked(tmp_path: Path) -> None:
    kept, gone, _ = run(tmp_path, ROWS, drop_duplicates=False)
    assert kept["visit_id"].to_pylist() == [1, 2, 5]
    assert 1 not in gone


def test_the_earliest_wins_in_whatever_row_it_stands(tmp_path: Path) -> None:
    rows = [{"visit_id": v, "text": LONG, "index_time": START + timedelta(days=d)} for v, d in ((1, 5), (2, 3), (3, 4))]
    kept, gone, _ = run(tmp_path, rows)
    assert kept["visit_id"].to_pylist() == [2]
    assert gone == {1: "duplicate text", 3: "duplicate text"}


def test_copies_are_counted_by_whose_text_was_kept(tmp_path: Path) -> None:
    rows = [
        {"visit_id": v, "person_id": p, "text": LONG, "index_time": START} for v, p in ((1, 1), (2, 1), (3, 2), (4, 2))
    ]
    assert run(tmp_path, rows)[2]["counts"]["copies"] == {"same patient": 1, "another patient": 2}
    kept = run(tmp_path, rows, drop_duplicates=False)[2]
    assert kept["counts"]["copies"] == {"same patient": 0, "another patient": 0}


def test_text_ids_and_an_empty_window(tmp_path: Path) -> None:
    kept, _, _ = run(tmp_path, [{"visit_id": "10000032-DS-21", "text": LONG}], pa.string())
    assert kept["visit_id"].to_pylist() == ["10000032-DS-21"]
    kept, gone, manifest = run(tmp_path, [])
    assert (kept.num_rows, gone, manifest["rows"]) == (0, {}, 0)


def test_a_failing_step_of_the_users_own_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_step.py").write_text("def fail(text):\n    raise ValueError(text)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="stable"):
        run(tmp_path, ROWS, steps=["broken_step:fail"])
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("__")) == ["broken_step.py", "text"]
