"""replay: the shipped queries pass, one that sees the future is caught by its column, the database stays as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import command
import omop_db
import replay
import replay_job
from lib import shards, stage

SCRIPT = omop_db.ROOT / "scripts" / "replay.py"
LATE_ADDENDA = """note_text || coalesce((
        SELECT group_concat(late.note_text) FROM note AS late
        WHERE late.visit_occurrence_id = clock.visit_id AND late.note_title IN (:addendum_titles)
    ), '') AS text"""
OF_THE_STAY = "(SELECT {} FROM {} AS own WHERE own.visit_occurrence_id = reasoned.visit_id) AS feature_leaky"
LEAKY_FEATURES = {
    "the stay's own Charlson index": "charlson AS feature_leaky",
    "the stay's own claims": OF_THE_STAY.format("count(*)", "notecast_claim"),
    "its length": "midnights AS feature_leaky",
    "the discharging department": OF_THE_STAY.format("care_site_id", "visit_occurrence"),
    "notes to come": OF_THE_STAY.format("count(*)", "note"),
    "moves to come": OF_THE_STAY.format("count(*)", "visit_detail"),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replay_job.hospital(tmp_path_factory.mktemp("replay"))


def query(folder: Path, name: str, old: str, new: str) -> str:
    """A shipped query with one place rewritten, as a file."""
    sql = (omop_db.ROOT / omop_db.OMOP / name).read_text(encoding="utf-8")
    assert sql.count(old) == 1
    (folder / name).write_text(sql.replace(old, new), encoding="utf-8")
    return str(folder / name)


def refused(job: stage.Job) -> str:
    with pytest.raises(stage.StageError) as caught:
        replay.main(job)
    assert not job.path("certificate").exists() and not job.path("work").exists()
    return str(caught.value)


@pytest.mark.parametrize("cohort", ["discharge", "admission"])
def test_the_shipped_queries_pass_and_the_database_stays_as_it_was(database: Path, tmp_path: Path, cohort: str) -> None:
    content, folder = database.read_bytes(), sorted(database.parent.iterdir())
    job = replay_job.made(database, tmp_path, cohort, stays=100)
    replay.main(job)
    told = shards.read_json(job.path("certificate"))
    assert (told["verdict"], told["stays"]) == ("pass", 100)
    assert {count for found in told["differences"].values() for count in found.values()} == {0}
    assert {"text", "note_time", "index_time"} < told["differences"]["text"].keys()
    assert {"feature_prior_charlson", "index_time"} < told["differences"]["labels"].keys()
    for table in ("visit_occurrence", "note", "condition_occurrence", "notecast_claim"):
        assert told["facts_deleted"][table] > 10
    assert not [n for n in (*told["facts_deleted"].values(), *told["labels_changed"].values()) if n in range(1, 10)]
    assert any(n != 0 for n in told["labels_changed"].values())
    assert database.read_bytes() == content and sorted(database.parent.iterdir()) == folder
    assert not job.path("work").exists()


def test_the_same_stays_give_the_same_bytes(database: Path, tmp_path: Path) -> None:
    job = replay_job.made(database, tmp_path, "discharge", stays=50)
    seen = set()
    for batch_rows in (7, 1000):
        job.neutral["batch_rows"] = batch_rows
        replay.main(job)
        seen.add(job.path("certificate").read_bytes())
    assert len(seen) == 1


def test_addenda_filed_after_the_index_time_are_caught(database: Path, tmp_path: Path) -> None:
    sql = query(tmp_path, "discharge.sql", "note_text AS text", LATE_ADDENDA)
    told = refused(replay_job.made(database, tmp_path, "discharge", text=sql, min_cell=1))
    assert "cohort discharge sees the future" in told
    assert "text column text: " in told and told.count("column ") == 1
    assert "Addendum" not in told


@pytest.mark.parametrize("leak", LEAKY_FEATURES.values(), ids=LEAKY_FEATURES)
def test_a_feature_of_the_future_is_caught(database: Path, tmp_path: Path, leak: str) -> None:
    sql = query(tmp_path, "admission.labels.sql", "    age AS feature_age,", f"    age AS feature_age,\n    {leak},")
    told = refused(replay_job.made(database, tmp_path, "admission", labels=sql, min_cell=1))
    assert "labels column feature_leaky: " in told and told.count("column ") == 1


def test_a_moved_index_time_is_caught(database: Path, tmp_path: Path) -> None:
    """By the last summary instead of the first: without the later ones it is another."""
    sql = query(tmp_path, "discharge.sql", "min(CASE WHEN note_role", "max(CASE WHEN note_role")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM note WHERE note_class_concept_id = 44814637").fetchone()[0]
    job = replay_job.made(database, tmp_path, "discharge", text=sql)
    assert "text column " in refused(job)


def test_small_counts_are_hidden_in_the_accusation_too(database: Path, tmp_path: Path) -> None:
    sql = query(tmp_path, "discharge.sql", "note_text AS text", LATE_ADDENDA)
    told = refused(replay_job.made(database, tmp_path, "discharge", text=sql, min_cell=10_000))
    assert told.endswith("text column text: hidden (stays, of hidden)")


def test_a_query_that_breaks_the_contract_without_the_future_says_so(database: Path, tmp_path: Path) -> None:
    """`died` of a patient whose stay was never closed is then both given and excluded."""
    sql = query(tmp_path, "admission.labels.sql", "CASE WHEN reason_mortality IS NULL THEN died END", "died")
    with pytest.raises(stage.StageError):
        replay_job.made(database, tmp_path, "admission", labels=sql)
    old = "CASE WHEN reason_mortality IS NULL THEN died END AS label_mortality"
    new = "CASE WHEN reason_mortality IS NULL OR end_time IS NULL THEN died END AS label_mortality"
    sql = query(tmp_path, "admission.labels.sql", old, new)
    told = refused(replay_job.made(database, tmp_path, "admission", labels=sql))
    assert told.startswith("the future forgotten, admission.labels.sql, window 2012-01-01")


def test_a_database_that_has_changed_accuses_nobody(database: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.sqlite"
    mine.write_bytes(database.read_bytes())
    job = replay_job.made(mine, tmp_path, "discharge")
    with closing(sqlite3.connect(mine)) as connection:
        connection.execute("UPDATE note SET note_text = note_text || ' (corrected)'")
        connection.commit()
    told = refused(job)
    assert told.startswith("the database has changed since cohort discharge was extracted")
    assert "text column text: " in told and "corrected" not in told


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"point_in_time": None}, "there is no point_in_time.yaml"),
        ({"windows": "none"}, "no stay has an index time"),
        ({"point_in_time": "less"}, "point_in_time.yaml does not know death, which the queries read"),
    ],
)
def test_what_cannot_be_known_is_not_verifiable_and_never_zero(
    database: Path, tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    job = replay_job.made(database, tmp_path, "discharge")
    known = job.settings["point_in_time"]
    if changed == {"windows": "none"}:
        changed = {"windows": []}
        job.files |= {"texts": [], "labels": []}
    if changed == {"point_in_time": "less"}:
        changed = {"point_in_time": known | {"facts": [f for f in known["facts"] if f["table"] != "death"]}}
    job.settings |= changed
    replay.main(job)
    told = shards.read_json(job.path("certificate"))
    assert told["verdict"] == "not verifiable" and told["detail"].startswith(why)
    assert not job.path("work").exists()
    counts = ("stays", "facts_deleted", "facts_reopened", "differences", "labels_changed")
    assert [told[name] for name in counts] == [None] * 5


def test_the_copy_is_removed_when_the_queries_fail(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replay_job.made(database, tmp_path, "discharge")

    def failing(asked: stage.Job, copy: Path, _: Any) -> None:
        assert copy.is_file() and copy.is_relative_to(asked.path("work"))
        raise MemoryError

    monkeypatch.setattr(replay, "_asked", failing)
    with pytest.raises(MemoryError):
        replay.main(job)
    assert not job.path("work").exists()


def test_labels_that_do_not_change_are_told(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = replay_job.made(database, tmp_path, "discharge")
    for fact in job.settings["point_in_time"]["facts"]:
        fact |= {"later": "0", "coding": None, "reopened": None}
    replay.main(job)
    assert set(shards.read_json(job.path("certificate"))["labels_changed"].values()) == {0}
    assert "no label has changed" in capsys.readouterr().err


def test_as_a_command(database: Path, tmp_path: Path) -> None:
    job = replay_job.made(database, tmp_path, "discharge", stays=60)
    command.run(SCRIPT, job)
    assert shards.read_json(job.path("certificate"))["verdict"] == "pass"
    assert job.path("certificate").with_name("discharge.replay.json.record.jsonl").is_file()
