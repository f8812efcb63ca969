"""What is remembered of an extraction: equal rows are equal, and each kind of change is counted as what it is."""

from pathlib import Path
from typing import Any

from lib import fetched
from lib.fetched import Seen

ROWS: dict[str, list[Any]] = {"visit_id": [1, 2, 3], "label_x": [0, 1, None], "reason_x": [None, None, "no_note"]}
ROWS |= {"feature_age": [40.0, None, 60.0]}


def seen(**changed: list[Any]) -> Seen:
    made = Seen(("visit_id",), ROWS)
    made.add(ROWS | changed)
    return made


def test_changes_are_counted_by_kind(tmp_path: Path) -> None:
    path = tmp_path / "w.parquet"
    assert seen().changes(path) is None
    seen().write(path, [{"notes": "3"}])
    assert fetched.fingerprint(path) == [{"notes": "3"}]
    none = dict.fromkeys(fetched.CHANGES, 0)
    assert seen().changes(path) == none
    assert seen(feature_age=[41.0, None, 60.0]).changes(path) == none | {"changed": 1}
    relabelled = {"label_x": [1, 1, 0], "reason_x": [None, None, None]}
    assert seen(**relabelled).changes(path) == none | {"changed": 2, "relabelled": 2}
    assert seen(visit_id=[1, 2, 4]).changes(path) == none | {"added": 1, "removed": 1}


def test_no_id_and_no_text_is_kept(tmp_path: Path) -> None:
    seen(visit_id=["Ingrid", "Canary", "1234567"]).write(tmp_path / "w.parquet", None)
    content = (tmp_path / "w.parquet").read_bytes()
    assert not [word for word in (b"Ingrid", b"Canary", b"1234567") if word in content]


def test_what_a_kill_cut_off_tells_no_more(tmp_path: Path) -> None:
    path = tmp_path / "w.parquet"
    seen().write(path, None)
    path.write_bytes(path.read_bytes()[:-20])
    assert seen().changes(path) is None
    assert fetched.fingerprint(path) is None
    assert fetched.fingerprint(tmp_path / "none.parquet") is None


def test_values_are_told_apart_by_type_and_by_where_they_end() -> None:
    rows = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("1", "x"), (1, "x"), (None, "x"), ("None", "x")]
    rows += [("é", "\0"), ("é\0", ""), ("\ud800", "x"), (1.0, "x"), (True, "x")]
    assert len({fetched._hash(row) for row in rows}) == len(rows)
