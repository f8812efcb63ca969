"""refresh: what has changed in the warehouse since its windows were extracted, and who has opted out."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import extract
import omop_db
import refresh
from lib import optouts, shards, sqltext, stage

WINDOWS = [["2014", "2014-01-01", "2015-01-01", "2015-04-01"], ["2015", "2015-01-01", "2016-01-01", "2016-04-01"]]
STAYS = {
    1: {"in": "2014-03-01 10:00", "out": "2014-03-05 12:00"},
    2: {"in": "2015-06-01 10:00", "out": "2015-06-05 12:00"},
}


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    with omop_db.Hospital(tmp_path / "hospital.sqlite") as made:
        made.history({"stays": STAYS})
    change(
        tmp_path / "hospital.sqlite",
        "INSERT INTO cdm_source VALUES ('x','x','x','','','','2016-01-01','2016-01-02','5.4',756265,'v1')",
    )
    return tmp_path / "hospital.sqlite"


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def settings(**changed: Any) -> dict[str, Any]:
    queries = {}
    for kind in ("text", "labels"):
        given = omop_db.settings("discharge", kind)
        queries[kind] = {name: value for name, value in given.items() if name not in extract.TIMES}
    windows = [[name, *(f"{day} 00:00:00" for day in days)] for name, *days in WINDOWS]
    release = companion(omop_db.ROOT / omop_db.OMOP / "release.sql")
    cohorts = {"discharge": {"queries": queries, "windows": windows}}
    return {"cohorts": cohorts, "releases": {"discharge": release}, "exclusions": None, "id_type": "integer"} | changed


def companion(path: Path) -> dict[str, Any]:
    return {"sql": str(path), "sql_sha256": sqltext.canonical_sql_hash(path)}


def extracted(database: Path) -> dict[str, dict[str, Any]]:
    """Extract both windows again; their manifests, by window and kind."""
    found, folder = {}, database.parent
    optouts.publish(folder / "exclusions.txt", [])
    for window, *days in WINDOWS:
        for kind in ("text", "labels"):
            name = f"{window}.{kind}"
            asked = omop_db.settings("discharge", kind, days[:2], days[2]) | {
                "release": settings()["releases"]["discharge"]
            }
            files = {"database": database, "exclusions": folder / "exclusions.txt"}
            files |= {"shard": folder / "extract" / f"{name}.parquet", "manifest": folder / "extract" / f"{name}.json"}
            files["fetched"] = folder / "fetched" / "discharge" / f"{name}.parquet"
            extract.main(stage.Job(asked, files, {}))
            found[name] = shards.read_json(files["manifest"])
    return found


def refreshed(database: Path, **changed: Any) -> dict[str, Any]:
    """The state after a refresh; `page` is what it told."""
    folder = database.parent / "fetched"
    files = {"database": database, "fetched": folder, "state": folder / "source.json", "page": folder / "refresh.txt"}
    refresh.main(stage.Job(settings(**changed), files, {}))
    return shards.read_json(folder / "source.json") | {"page": (folder / "refresh.txt").read_text(encoding="utf-8")}


def test_what_is_as_it_was_keeps_its_turn(hospital: Path) -> None:
    assert refreshed(hospital)["turns"] == {}  # nothing extracted yet
    manifests = extracted(hospital)
    for _ in range(2):
        found = refreshed(hospital)
        assert found["turns"] == {}
    assert "discharge: of the last 2 windows the texts of 0 and the labels of 0 have changed" in found["page"]
    assert manifests["2014.text"]["release"] == found["releases"]["discharge"]
    assert found["releases"]["discharge"][0]["source_release"] == "2016-01-01"


def test_a_late_note_a_late_code_and_a_death_move_their_windows_only(hospital: Path) -> None:
    extracted(hospital)
    change(hospital, "UPDATE note SET note_date = '2014-03-06' WHERE note_id = (SELECT min(note_id) FROM note)")
    assert refreshed(hospital)["turns"] == {}  # corrected in place: what the counts do not see
    change(hospital, "INSERT INTO death (person_id, death_date, death_type_concept_id) VALUES (1, '2015-07-01', 0)")
    assert refreshed(hospital)["turns"] == {"discharge/2015.labels": 1}
    change(
        hospital,
        "INSERT INTO note SELECT note_id + 500, person_id, note_date, note_datetime, note_type_concept_id, "
        "note_class_concept_id, note_title, note_text, encoding_concept_id, language_concept_id, provider_id, "
        "visit_occurrence_id, visit_detail_id, note_source_value, note_event_id, note_event_field_concept_id "
        "FROM note WHERE note_date < '2015-01-01' LIMIT 1",
    )
    turns = refreshed(hospital)["turns"]
    assert turns == {"discharge/2015.labels": 2, "discharge/2014.text": 1, "discharge/2014.labels": 1}
    extracted(hospital)
    assert refreshed(hospital)["turns"] == turns


def test_rows_added_removed_and_relabelled_are_counted(hospital: Path) -> None:
    extracted(hospital)
    folder = hospital.parent / "fetched"
    assert not (folder / "changes.jsonl").exists()
    extracted(hospital)
    assert not (folder / "changes.jsonl").exists()
    change(hospital, "INSERT INTO death (person_id, death_date, death_type_concept_id) VALUES (1, '2015-06-05', 0)")
    change(hospital, "UPDATE note SET note_text = note_text || ' corrected' WHERE note_date < '2015-01-01'")
    change(hospital, "DELETE FROM note WHERE note_date >= '2015-01-01'")
    extracted(hospital)
    told = {line["window"]: line for line in map(json.loads, (folder / "changes.jsonl").read_text().splitlines())}
    counts = {
        name: [line[kind] for kind in ("added", "removed", "changed", "relabelled")] for name, line in told.items()
    }
    assert counts == {"2014.text": [0, 0, 1, 0], "2015.text": [0, 1, 0, 0], "2015.labels": [0, 0, 1, 1]}


def test_without_a_fingerprint_query_every_window_is_extracted_again(hospital: Path, tmp_path: Path) -> None:
    extracted(hospital)
    given = settings()
    for kind, query in given["cohorts"]["discharge"]["queries"].items():
        own = tmp_path / Path(query["sql"]).name
        own.write_text((omop_db.ROOT / query["sql"]).read_text(encoding="utf-8"), encoding="utf-8")
        given["cohorts"]["discharge"]["queries"][kind] = query | {"sql": str(own)}
    assert set(refreshed(hospital, **given)["turns"].values()) == {1}
    assert len(refreshed(hospital, **given)["turns"]) == 4


def test_who_has_opted_out_is_asked(hospital: Path, tmp_path: Path) -> None:
    query = tmp_path / "optouts.sql"
    query.write_text("SELECT person_id FROM person UNION SELECT 77", encoding="utf-8")
    found = refreshed(hospital, exclusions=companion(query))
    ids = (tmp_path / "fetched" / "exclusions.txt").read_text(encoding="utf-8").split()
    assert ids == ["1", "77"] and f"patients who have opted out: {len(ids)}" in found["page"]
    for sql, wanted in (
        ("SELECT person_id, 1 FROM person", "the query has 2 columns"),
        ("SELECT 'Canary' AS x", "a value is no integer id"),
        ("SELECT NULL AS x", "a value is no integer id"),
        ("DELETE FROM person", "it begins with DELETE"),
    ):
        query.write_text(sql, encoding="utf-8")
        with pytest.raises(stage.StageError, match=wanted) as caught:
            refreshed(hospital, exclusions=companion(query))
        assert "Canary" not in str(caught.value)
    assert (tmp_path / "fetched" / "exclusions.txt").read_text(encoding="utf-8").split() == ids  # the last good answer
