"""flow: on a small demo hospital its numbers are those that plain Python counts in the database."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import clean
import demo_hospital
import eligibility
import extract
import flow
import omop_db
import readmission_oracle
import split
from checkout import small_config
from lib import optouts, shards, stage
from lib.config import Config
from lib.config_errors import validated
from lib.plan import Plan

CLEANING = {"steps": [], "drop_duplicates": False}  # so that a text is lost only if it is NULL
TEMPORAL = datetime(2021, 1, 1)
KINDS = {9201: "inpatient", 262: "emergency to inpatient", 9203: "emergency", 581385: "observation"}
TO = {4216643: "died", 4021968: "against advice"}
CHOICES = omop_db.PARAMETERS["discharge"] | {"readmission_horizon_days": 30, "readmission_maturity_days": 0}
CHOICES |= {"window": ("2018-01-01", "2022-01-01")}
NO_MORE_NOTES = {"history": "none", "summary": "none"}  # than those of the table


def planned(**changes: Any) -> Plan:
    config = small_config(source={"demo": {"patients": 600}}, clean=CLEANING, min_cell=0, **changes)
    return Plan(validated(Config, config), main_process=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The real stages up to flow's inputs, run on a demo hospital; and its database."""
    folder, which = tmp_path_factory.mktemp("flow"), planned()
    database = {name: folder / name for name in ("database", "oracle", "manifest")}

    def run(module: Any, name: str, files: dict[str, Any], **wildcards: str) -> None:
        settings = stage.json.loads(which.settings(name)(wildcards))
        module.main(stage.Job(settings, files))

    run(demo_hospital, "demo_hospital", database)
    optouts.publish(folder / "exclusions", [])
    with closing(sqlite3.connect(database["database"])) as connection, connection:
        connection.execute("UPDATE note SET note_text = NULL WHERE note_id % 20 = 0")
    found: dict[str, list[Path]] = {"labels": [], "texts": [], "split": [], "clean": [], "dropped": []}
    for window in which.windows:
        given = {"cohort": "discharge", "window": window}
        for name in found:
            found[name].append(folder / f"{window}.{name}")
        labels, texts, parts, cleaned, dropped = (paths[-1] for paths in found.values())
        manifest = {"manifest": folder / "window.json"}
        for kind, shard in (("text", texts), ("labels", labels)):
            extracted = {"shard": shard, "manifest": shard.with_suffix(f".{kind}.json")}
            source = {"database": database["database"], "exclusions": folder / "exclusions"}
            source["fetched"] = folder / "fetched" / "discharge" / f"{window}.{kind}.parquet"
            run(extract, "extract", source | extracted, kind=kind, **given)
        run(clean, "clean", {"text": texts, "shard": cleaned, "dropped": dropped} | manifest, **given)
        run(split, "split", {"labels": labels, "shard": parts} | manifest, **given)
    rows = {"rows": folder / "rows", "manifest": folder / "rows.json"}
    inputs = {name: found[name] for name in ("labels", "split", "clean", "dropped")}
    run(eligibility, "eligibility", inputs | rows, task="readmission")
    return {name: found[name] for name in ("labels", "split", "texts")} | {
        "rows": rows["rows"],
        "database": database["database"],
        "extracts": sorted(folder.glob("*.labels.json")),
    }


def flow_of(made: dict[str, Any], out: Path, **changes: Any) -> dict[str, Any]:
    settings = stage.json.loads(planned(**changes).settings("flow")({"task": "readmission"}))
    flow.main(stage.Job(settings, made | {"flow": out}))
    return shards.read_json(out)


def histories(database: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each patient as the oracle of readmission reads one; notes carry whether they have a text."""
    with closing(sqlite3.connect(database)) as connection:
        people = {
            person: {"born": born[:10], "stays": {}, "notes": []}
            for person, born in connection.execute("SELECT person_id, birth_datetime FROM person")
        }
        for person, died in connection.execute("SELECT person_id, coalesce(death_datetime, death_date) FROM death"):
            people[person]["died"] = died
        sites = dict(connection.execute("SELECT care_site_id, care_site_name FROM care_site"))
        for visit, person, kind, begins, ends, to, site in connection.execute(
            "SELECT visit_occurrence_id, person_id, visit_concept_id, coalesce(visit_start_datetime, visit_start_date),"
            " coalesce(visit_end_datetime, visit_end_date), discharged_to_concept_id, care_site_id"
            " FROM visit_occurrence"
        ):
            if kind not in KINDS:  # visits to the clinic
                continue
            out = "still in" if to == 32220 else ends
            stay = {"kind": KINDS[kind], "in": begins, "out": out, "department": sites.get(site)}
            people[person]["stays"][visit] = stay | NO_MORE_NOTES | {"to": TO.get(to, "home")}
        for visit, person, filed, title, text in connection.execute(
            "SELECT visit_occurrence_id, person_id, coalesce(note_datetime, note_date), note_title, note_text FROM note"
            " WHERE note_class_concept_id = 44814637"
        ):
            note = {"stay": visit, "class": "summary", "filed": filed, "text": text is not None}
            people[person]["notes"].append(note | ({"addendum": True} if title == "Addendum" else {}))
    yield from people.items()


def moment(told: str) -> datetime:
    return datetime.fromisoformat(told if len(told) > 10 else f"{told} 23:59:59")


def outcomes(database: Path, known: dict[str, datetime]) -> Iterator[dict[str, Any]]:
    """Each stay of the windows: window, person, notes, step, reason, label. `known`: how far a window's labels see."""
    for person, told in histories(database):
        for visit, stay in told["stays"].items():
            if stay["kind"] not in ("inpatient", "emergency to inpatient") or stay["out"] == "still in":
                continue
            discharge = moment(stay["out"])
            own = [note | {"at": moment(note["filed"])} for note in told["notes"] if note["stay"] == visit]
            first = min((note["at"] for note in own if "addendum" not in note), default=None)
            in_time = first is not None and first <= discharge + timedelta(hours=72)
            placed = max(discharge, first) if in_time else discharge
            window = str(placed.year)
            if window not in known:
                continue
            outcome = readmission_oracle.expected(told, known[window], CHOICES)[visit]["readmission"]
            notes = [note for note in own if in_time and note["at"] <= placed]
            step, reason = ("label", outcome) if isinstance(outcome, str) else (None, None)
            if not in_time:
                step = "note"
            elif not any(note["text"] for note in notes if "addendum" not in note):
                step, reason = "text", "null"
            elif step is None and placed < TEMPORAL <= placed + timedelta(days=30):
                step, reason = "gap", "label window reaches the temporal test"
            label = outcome if isinstance(outcome, int) else None
            row = {"window": window, "person": person, "notes": len(notes), "step": step, "reason": reason}
            yield row | {"label": label}


def test_its_numbers_are_those_of_the_database(made: dict[str, Any], tmp_path: Path) -> None:
    found = flow_of(made, tmp_path / "flow.json")
    end = datetime(2021, 10, 1)
    known = {str(year): min(datetime(year + 1, 1, 31), end) for year in range(2018, 2022)}
    remaining = list(outcomes(made["database"], known))
    assert len(remaining) > 300
    assert {row["step"] for row in remaining} == {None, "note", "text", "label", "gap"}
    for step in found["steps"]:
        gone = [row for row in remaining if row["step"] == step["step"]]
        reasons = Counter(row["reason"] for row in gone)
        assert {cell["reason"]: cell["stays"] for cell in step["dropped"]} == reasons
        remaining = [row for row in remaining if row["step"] != step["step"]]
        assert {name: step[name] for name in ("stays", "patients", "notes", "events")} == {
            "stays": len(remaining),
            "patients": len({row["person"] for row in remaining}),
            "notes": sum(row["notes"] for row in remaining),
            "events": sum(row["label"] == 1 for row in remaining),
        }
    everything = list(outcomes(made["database"], known))
    for row in found["by_window"]:
        here = [one for one in everything if one["window"] == row["value"]]
        counted = Counter((one["step"], one["reason"]) for one in here)
        assert row["stays"] == len(here)
        assert {(cell["step"], cell["reason"]): cell["stays"] for cell in row["dropped"] if cell["stays"]} == {
            key: n for key, n in counted.items() if key[0]
        }
        assert row["remaining"] == counted[None, None]
        assert row["events"] == sum(one["label"] == 1 for one in here if one["step"] is None)


def test_every_group_column_has_its_table(made: dict[str, Any], tmp_path: Path) -> None:
    found = flow_of(made, tmp_path / "flow.json")
    names = [name for name in shards.parquet_schema(made["labels"][0]).names if name.startswith("group_")]
    assert sorted(found["by_group"]) == sorted(name.removeprefix("group_") for name in names)
    assert found["by_group"]["year"] == {"rows": None, "left_out": "nests with window"}
    column = pa.concat_tables([shards.read_parquet(path, ["group_sex"]) for path in made["labels"]])["group_sex"]
    told = {row["value"]: row["stays"] for row in found["by_group"]["sex"]["rows"]}
    assert told == Counter(column.to_pylist())
    assert {"age", "emergency"} <= set(found["notes"]["features"])


def test_development_shows_no_event_of_the_test(made: dict[str, Any], tmp_path: Path) -> None:
    final, shut = (flow_of(made, tmp_path / f"{how}.json", evaluation=how) for how in ("final", "development"))
    assert shut["events_of"] == ["train", "tuning", "calibration"]
    assert [step["stays"] for step in shut["steps"]] == [step["stays"] for step in final["steps"]]
    for part in ("test", "temporal_test"):
        assert shut["parts"][part] == final["parts"][part] | {"classes": [None, None], "events": None}
    for name in shut["events_of"]:
        assert shut["parts"][name] == final["parts"][name]
    opened = sum(shut["parts"][name]["events"] for name in shut["events_of"])
    assert shut["steps"][-1]["events"] == opened < final["steps"][-1]["events"]
    assert sum(row["events"] for row in shut["by_window"]) == opened
    assert shut["by_window"][-1]["events"] == 0  # the last window is all temporal test


def test_small_cells_are_hidden(made: dict[str, Any], tmp_path: Path) -> None:
    found = flow_of(made, tmp_path / "flow.json")
    settings = stage.json.loads(planned().settings("flow")({"task": "readmission"})) | {"min_cell": 10}
    flow.main(stage.Job(settings, made | {"flow": tmp_path / "hidden.json"}))
    hidden = shards.read_json(tmp_path / "hidden.json")
    for whole, told in zip(found["by_window"], hidden["by_window"], strict=True):
        assert told["stays"] in (None, whole["stays"])
        assert all(cell["stays"] is None or cell["stays"] == 0 or cell["stays"] >= 10 for cell in told["dropped"])
