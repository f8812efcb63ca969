"""check_source: the demo hospital passes; a cut, a thin tail, a missing label and a misspelt feature are told."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

import check_source
import command
import omop_db
import replay_job
from lib import optouts, shards, stage
from lib.config import Config
from lib.config_errors import validated
from lib.plan import Plan

SCRIPT = omop_db.ROOT / "scripts" / "check_source.py"
Made = Callable[..., stage.Job]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replay_job.hospital(tmp_path_factory.mktemp("source"))


@pytest.fixture
def made(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A job with the settings that the workflow gives it, the config changed, and the database by `statements`."""
    monkeypatch.chdir(omop_db.ROOT)

    def make(*statements: str, sql: dict[str, str] | None = None, **changed: Any) -> stage.Job:
        mine = tmp_path / "mine.sqlite"
        mine.write_bytes(database.read_bytes())
        with closing(sqlite3.connect(mine)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        config = yaml.safe_load((omop_db.ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
        source = {"sqlite": str(mine), "data_start": "2011-01-01", "data_end": "2014-12-31", "window": "quarter"}
        config |= {"source": source, "split": {"salt": "check"}} | changed
        for cohort, path in (sql or {}).items():
            config["cohorts"][cohort]["sql"] = path
        settings = json.loads(Plan(validated(Config, config), False).settings("check_source")({}))
        optouts.publish(tmp_path / "exclusions.txt", [])
        files = {"database": mine, "exclusions": tmp_path / "exclusions.txt"}
        files |= {"report": tmp_path / "source.json", "page": tmp_path / "source.txt"}
        return stage.Job(settings, files, {})

    return make


def query(folder: Path, cohort: str, kind: str, *changes: tuple[str, str]) -> str:
    """The shipped queries of a cohort, one of them rewritten, as files; their path without the ending."""
    for ending in (".sql", ".labels.sql"):
        sql = (omop_db.ROOT / omop_db.OMOP / f"{cohort}{ending}").read_text(encoding="utf-8")
        for old, new in changes if ending == {"text": ".sql", "labels": ".labels.sql"}[kind] else ():
            assert sql.count(old) == 1, old
            sql = sql.replace(old, new)
        (folder / f"{cohort}{ending}").write_text(sql, encoding="utf-8")
    return str(folder / cohort)


def refused(job: stage.Job) -> str:
    with pytest.raises(stage.StageError) as caught:
        check_source.main(job)
    return str(caught.value)


def test_the_demo_hospital_has_no_warning_and_its_counts_are_the_extracts(made: Made, tmp_path: Path) -> None:
    job = made()
    assert "4 queries return the columns" in command.run(SCRIPT, job)
    found = shards.read_json(job.path("report"))
    assert found["warnings"] == []
    discharge = found["cohorts"]["discharge"]
    assert (discharge["windows"], discharge["windows_read"]) == (16, 12)
    window = ("2011-01-01", "2015-01-01")
    for cohort, of in found["cohorts"].items():
        labels = omop_db.run(job.path("database"), omop_db.settings(cohort, "labels", window, "2015-01-01"))
        noted = labels.num_rows - labels["index_time"].null_count
        assert of["total"]["stays"] == labels.num_rows and of["total"]["with_note"] == noted
        for name, label in of["total"]["labels"].items():
            known = labels.num_rows - labels[f"label_{name}"].null_count
            assert label["known"] in (known, None)
    page = job.path("page").read_text(encoding="utf-8")
    assert "discharge: labels of 16 windows, texts of 12" in page and "readmission" in page
    assert max(map(len, page.splitlines())) <= 100


def test_all_texts_are_read_where_that_is_asked_for_and_extrapolated_otherwise(made: Made) -> None:
    plans = []
    for windows in (16, 4):
        job = made(check_source={"text_windows": windows})
        check_source.main(job)
        plans.append(shards.read_json(job.path("report"))["plan"]["cohorts"])
    for cohort, whole in plans[0].items():
        assert plans[1][cohort]["stays"] == whole["stays"]
        assert abs(plans[1][cohort]["bytes"] / whole["bytes"] - 1) < 0.2
    with closing(sqlite3.connect(job.path("database"))) as connection:
        asked = "SELECT sum(length(CAST(note_text AS BLOB))) FROM note WHERE note_class_concept_id = 44814637"
        (size,) = connection.execute(asked).fetchone()
    assert 0.8 * size < plans[0]["discharge"]["bytes"] <= 1.02 * size  # late summaries are not extracted


def test_the_same_source_gives_the_same_but_for_the_time(made: Made) -> None:
    seen = set()
    for batch_rows in (7, 1000):
        job = made()
        job.neutral["batch_rows"] = batch_rows
        check_source.main(job)
        found = shards.read_json(job.path("report"))
        assert found["plan"].pop("extract_seconds") > 0
        seen.add(json.dumps(found, sort_keys=True))
    assert len(seen) == 1


def test_texts_cut_at_4000_characters_are_told(made: Made) -> None:
    longer = " || ".join(["note_text || char(10)"] * 9)
    job = made(f"UPDATE note SET note_text = substr({longer}, 1, 4000)")
    check_source.main(job)
    told = shards.read_json(job.path("report"))["warnings"]
    assert len(told) == 2 and all("exactly 4,000 characters, and none is longer" in warning for warning in told)
    job = made(f"UPDATE note SET note_text = {longer}")
    check_source.main(job)
    assert shards.read_json(job.path("report"))["warnings"] == []


def test_months_that_thin_out_are_told(made: Made) -> None:
    job = made("DELETE FROM visit_occurrence WHERE visit_end_date >= '2014-10-01' AND visit_occurrence_id % 5 > 0")
    check_source.main(job)
    told = shards.read_json(job.path("report"))["warnings"]
    assert any(w.startswith("discharge: stays fall to ") and "data_end 2014-12-31 may be too late" in w for w in told)


def test_a_label_that_the_query_lacks_is_told_before_a_row_is_read(made: Made, tmp_path: Path) -> None:
    renamed = (
        ("AS label_mortality", "AS label_death"),
        ("    reason_mortality,\n", "    reason_mortality AS reason_death,\n"),
    )
    job = made(sql={"admission": query(tmp_path, "admission", "labels", *renamed)})
    told = refused(job)
    assert "task mortality: cohort admission, labels query: there is no 'label_mortality'" in told
    assert not job.path("report").exists() and not job.path("page").exists()


def test_a_misspelt_feature_and_whatever_else_is_wrong_are_told_together(made: Made, tmp_path: Path) -> None:
    labels = query(tmp_path, "admission", "labels", ("AS feature_age,", "AS featur_age,"))
    texts = query(
        tmp_path,
        "discharge",
        "text",
        ("AS note_time_precision", "AS precision"),
        ("JOIN note ON note.visit", "JOIN notes AS note ON note.visit"),
    )
    told = refused(made(sql={"admission": labels, "discharge": texts}))
    assert "column featur_age is unknown; did you mean feature_" in told
    assert "discharge.sql: the database has no table notes" in told


def test_an_older_check_does_not_stay_beside_a_failure(made: Made) -> None:
    job = made()
    check_source.main(job)
    with closing(sqlite3.connect(job.path("database"))) as connection:
        connection.execute("DROP TABLE note")
        connection.commit()
    assert "the database has no table note" in refused(job)
    assert not job.path("report").exists() and not job.path("page").exists()


def test_rows_that_break_the_contract_are_told_at_the_end_with_the_table(made: Made, tmp_path: Path) -> None:
    job = made(
        sql={"admission": query(tmp_path, "admission", "labels", ("age AS feature_age", "'old' AS feature_age"))}
    )
    told = refused(job)
    assert "admission.labels.sql, window 2011-01-01" in told and "column feature_age is not a number" in told
    assert "and 15 more windows of this query" in told and "source.txt" in told
    assert "discharge" in job.path("page").read_text(encoding="utf-8")


def test_a_patient_who_opted_out_is_not_counted(made: Made, tmp_path: Path) -> None:
    job = made(min_cell=0)
    check_source.main(job)
    before = shards.read_json(job.path("report"))["cohorts"]["admission"]["total"]["stays"]
    with closing(sqlite3.connect(job.path("database"))) as connection:
        visits = "SELECT person_id, count(*) FROM visit_occurrence GROUP BY person_id ORDER BY 2 DESC LIMIT 40"
        people = [person for person, _ in connection.execute(visits)]
    optouts.publish(job.path("exclusions"), [str(person) for person in people])
    check_source.main(job)
    assert shards.read_json(job.path("report"))["cohorts"]["admission"]["total"]["stays"] <= before - len(people)


def test_small_cells_are_hidden(made: Made) -> None:
    job = made(min_cell=100_000)
    check_source.main(job)
    found = shards.read_json(job.path("report"))
    for cohort in found["cohorts"].values():
        for row in [*cohort["periods"], cohort["total"]]:
            assert row["stays"] in (None, 0) and row["with_note"] in (None, 0)
            assert all(label["known"] in (None, 0) and label["mean"] is None for label in row["labels"].values())
            assert row["characters"] in (None, {})
    assert {size for cohort in found["plan"]["cohorts"].values() for size in (cohort["stays"], cohort["notes"])} == {
        None
    }


def test_notes_that_break_the_contract_do_not_end_the_count(made: Made) -> None:
    job = made("UPDATE note SET note_text = x'ff00' WHERE note_id % 2 = 0")
    told = refused(job)
    assert told.count("column text is not ") == 2 and "source.txt" in told
    assert shards.read_json(job.path("report"))["cohorts"]["discharge"]["total"]["characters"]["median"] > 0


def test_a_start_tells_its_size_by_its_config(made: Made, tmp_path: Path) -> None:
    shape = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072, "vocab_size": 30522}
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(shape), encoding="utf-8")
    hub = {"hub": "site/bert", "revision": "0" * 40}
    models = {
        name: {"start": start, "tokenizer": "notes"} for name, start in (("a", {"folder": str(folder)}), ("b", hub))
    }

    def sizes() -> dict[str, Any]:
        job = made(models=models, private_root=str(tmp_path / "private"))
        return {name: model["shape"] for name, model in job.settings["plan"]["models"].items()}

    known = {"hidden_size": 768, "layers": 12, "intermediate_size": 3072, "vocabulary": 30522}
    assert sizes() == {"a": known, "b": None}
    cached = tmp_path / "private/demo/cache/hub/models--site--bert/snapshots" / hub["revision"] / "config.json"
    cached.parent.mkdir(parents=True)
    cached.write_text(json.dumps(shape), encoding="utf-8")
    assert sizes() == {"a": known, "b": known}
