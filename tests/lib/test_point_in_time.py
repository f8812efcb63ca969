from pathlib import Path

import pytest

import omop_db
from lib import point_in_time
from lib.config_errors import ConfigError
from lib.demo_schema import columns

OMOP = omop_db.ROOT / omop_db.OMOP
GOOD = "facts:\n  - {table: note, patient: person_id, later: 'note_date > :now'}\n"


def test_the_shipped_file_names_columns_that_are_there() -> None:
    known = point_in_time.read(OMOP)
    assert known
    for fact in known["facts"]:
        there = columns(fact["table"])
        assert fact["patient"] in there
        assert set(fact["reopened"]["set"] if fact["reopened"] else ()) <= set(there)


def test_null_and_numbers_are_sql(tmp_path: Path) -> None:
    reopened = "reopened: {when: 'a > :now', set: {b: NULL, c: 7, d: '''x'''}}"
    (tmp_path / point_in_time.NAME).write_text(f"facts:\n  - {{table: t, patient: p, {reopened}}}\n")
    known = point_in_time.read(tmp_path)
    assert known and known["facts"][0]["reopened"]["set"] == {"b": "NULL", "c": "7", "d": "'x'"}


def test_without_the_file_nothing_is_known(tmp_path: Path) -> None:
    assert point_in_time.read(tmp_path) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("table: note", "tabel: note", "facts.0.tabel: unknown key; there is no 'tabel'; did you mean 'table'?"),
        ("> :now", "> :index", "facts.0.later: there is no :index; there is :data_end, :now, :person, :visit"),
        ("> :now", "> :now; DROP TABLE note", "facts.0.later: write one SQL expression"),
        ("> :now", "> ''x", "is opened and not closed"),
        (", later: 'note_date > :now'", "", "facts.0: give later, coding or reopened"),
        ("table: note", "table: 'a b'", "facts.0.table: String should match"),
        ("facts:", "facts: [", "it is not YAML"),
        (GOOD, "", "Input should be"),
    ],
)
def test_faults_are_told_with_the_file(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / point_in_time.NAME
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        point_in_time.read(tmp_path)
    assert str(path) in str(caught.value) and told in str(caught.value)
