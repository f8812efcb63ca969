import math
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from lib import contract

WINDOW = (datetime(2014, 1, 1), datetime(2015, 1, 1))
NOON = datetime(2014, 3, 5, 12)
NOTE = {
    "visit_id": 1,
    "note_id": 1,
    "person_id": 1,
    "index_time": NOON,
    "note_time": NOON,
    "note_time_kind": "written",
    "note_time_precision": "second",
    "note_role": "note",
    "text": "x",
}
STAY = {
    "visit_id": 1,
    "person_id": 1,
    "anchor_time": NOON,
    "index_time": NOON,
    "label_back": 1,
    "reason_back": None,
    "feature_age": 60.0,
    "group_sex": "male",
}


def faults_of(rows: list[dict[str, Any]], ids: pa.DataType | None = None) -> list[str]:
    """Convert and check `rows` in batches of two, as a stream would bring them."""
    ids = ids or pa.int64()
    labels = "anchor_time" in rows[0]
    columns = contract.label_columns(rows[0], ids) if labels else contract.text_columns(ids)
    faults, checks = contract.Faults(), contract.RowChecks(columns, WINDOW)
    for start in range(0, len(rows), 2):
        part = rows[start : start + 2]
        batch = {c.name: contract.convert(c, [row[c.name] for row in part], faults) for c in columns}
        checks.check(batch, faults)
    return faults.tell()


def test_text_columns_are_fixed() -> None:
    assert contract.schema(contract.text_columns(pa.string())).names == list(NOTE)
    assert contract.schema(contract.text_columns(pa.string())).field("note_id").type == pa.string()


def test_label_columns_follow_their_prefixes_in_a_fixed_order() -> None:
    found = ["reason_b", "group_g", "label_b", "label_a", "reason_a", "feature_f", "visit_id"]
    schema = contract.schema(contract.label_columns(found, pa.int64()))
    assert schema.names[4:] == ["label_a", "reason_a", "label_b", "reason_b", "feature_f", "group_g"]
    assert [str(t) for t in schema.types[4:]] == ["int64", "string", "int64", "string", "double", "string"]
    keyed = contract.label_columns([*found, "split_key"], pa.int64())
    assert contract.schema(keyed).field("split_key").type == pa.string() and not keyed[4].nullable
    dated = contract.label_columns([*found, "split_period", "split_key"], pa.int64())
    assert [(c.name, str(c.type), c.nullable) for c in dated[4:6]] == [
        ("split_key", "string", False),
        ("split_period", "string", False),
    ]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (set(NOTE) - {"index_time"}, "column index_time is missing"),
        ([*NOTE, "mrn"], "column mrn is unknown; the contract has visit_id"),
        ([*(set(NOTE) - {"note_role"}), "note_rol"], "column note_rol is unknown; did you mean note_role?"),
        ([*NOTE, "text"], "column text stands there 2 times"),
    ],
)
def test_text_column_faults(found: list[str], told: str) -> None:
    assert any(told in f for f in contract.column_faults(list(found), contract.text_columns(pa.int64()), labels=False))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (set(STAY) - {"reason_back"}, "column reason_back is missing"),
        (set(STAY) - {"label_back"}, "a reason needs its label: there is no label_back"),
        (set(STAY) - {"label_back", "reason_back"}, "there is no label_* column"),
        ([*STAY, "age"], "column age is unknown; the contract has"),
        (set(STAY) - {"anchor_time"}, "column anchor_time is missing"),
    ],
)
def test_label_column_faults(found: list[str], told: str) -> None:
    columns = contract.label_columns(found, pa.int64())
    assert any(told in fault for fault in contract.column_faults(list(found), columns, labels=True))


def test_good_rows_have_no_faults() -> None:
    notes = [NOTE | {"note_id": n} for n in range(1, 6)] + [NOTE | {"visit_id": 2}]
    notes += [NOTE | {"visit_id": 3, "note_time": None, "note_time_kind": "none", "text": None}]
    assert faults_of(notes) == []
    stays = [STAY | {"visit_id": n} for n in (-(2**40), 0, 2**62)]
    stays.append(STAY | {"visit_id": 2**63 - 1, "index_time": None, "label_back": None, "reason_back": "late_note"})
    assert faults_of(stays) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"visit_id": None}, "column visit_id is NULL"),
        ({"visit_id": "7"}, "column visit_id is not a 64-bit integer"),
        ({"visit_id": 2**63}, "column visit_id is not a 64-bit integer"),
        ({"visit_id": True}, "column visit_id is not a 64-bit integer"),
        ({"person_id": 7.0}, "column person_id is not a 64-bit integer"),
        ({"index_time": "yesterday"}, "column index_time is not a local time"),
        ({"index_time": "2014-02-30 10:00:00"}, "column index_time is not a local time"),
        ({"index_time": "20140301"}, "column index_time is not a local time"),
        ({"index_time": datetime(2014, 3, 5, 12, tzinfo=UTC)}, "column index_time is not a local time"),
        ({"index_time": "2015-01-01 00:00:00"}, "index_time lies outside the window"),
        ({"index_time": "2013-12-31 23:59:59", "note_time": None, "note_time_kind": "none"}, "outside the window"),
        ({"note_time": datetime(2014, 3, 5, 12, 1)}, "note_time lies after index_time"),
        ({"note_time": None}, "note_time_kind is 'none' exactly where note_time is NULL"),
        ({"note_time_kind": "signed"}, "column note_time_kind is none of filed, written, date, none"),
        ({"note_role": None}, "column note_role is NULL"),
        ({"text": b"x"}, "column text is not text"),
        ({"text": contract.NOT_UTF8}, "column text is not valid UTF-8"),
        ({"person_id": 8}, "person_id or index_time differs between the notes of one visit_id"),
    ],
)
def test_faults_of_notes_are_counted_across_batches(change: dict[str, Any], told: str) -> None:
    bad = [{**NOTE, **change, "note_id": n} for n in (2, 3, 4)]
    good = [{**NOTE, "note_id": n} for n in (0, 1)]
    if "person_id" in change and change["person_id"] == 8:
        bad = bad[:1]
    found = faults_of([*good, *bad])
    assert any(told in fault and f"({len(bad)} rows)" in fault for fault in found), found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reason_back": "uncoded"}, "label_back and reason_back are both given"),
        ({"label_back": None}, "label_back and reason_back are both NULL"),
        ({"label_back": None, "reason_back": "tired"}, "column reason_back is none of no_note"),
        ({"label_back": 0.5}, "column label_back is not a 64-bit integer"),
        ({"label_back": None, "reason_back": "no_note"}, "no_note or late_note exactly where index_time is NULL"),
        ({"index_time": None}, "no_note or late_note exactly where index_time is NULL"),
        ({"anchor_time": datetime(2014, 3, 6)}, "index_time lies before anchor_time"),
        ({"anchor_time": None}, "column anchor_time is NULL"),
        ({"feature_age": math.inf}, "column feature_age is infinite"),
        ({"feature_age": math.nan}, "column feature_age is infinite or not a number"),
        ({"feature_age": "60"}, "column feature_age is not a number"),
        ({"group_sex": 1}, "column group_sex is not text"),
    ],
)
def test_faults_of_stays(change: dict[str, Any], told: str) -> None:
    found = faults_of([STAY, *({**STAY, **change, "visit_id": n} for n in (2, 3, 4))])
    assert any(told in fault and "(3 rows)" in fault for fault in found), found


def test_order_and_duplicates() -> None:
    rows = [NOTE | {"visit_id": v, "note_id": n} for v, n in ((1, 1), (1, 1), (1, 1), (2, 5), (2, 4), (1, 9))]
    found = faults_of(rows)
    assert any("visit_id, note_id repeats" in fault and "(2 rows)" in fault for fault in found)
    assert any("visit_id, note_id is not in order" in fault and "(2 rows)" in fault for fault in found)


def test_text_ids_sort_as_utf8_bytes() -> None:
    ids = sorted(["Z", "a", "é", "\uffff", "\U0001f600", "10", "9", "a\x00", "ａ"], key=str.encode)
    assert faults_of([STAY | {"visit_id": i, "person_id": i} for i in ids], pa.string()) == []
    assert faults_of([STAY | {"visit_id": 5}], pa.string()) != []


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2014-03-05", datetime(2014, 3, 5)),
        ("2014-03-05 12:00", NOON),
        ("2014-03-05T12:00:00", NOON),
        ("2014-03-05 12:00:00.5", NOON.replace(microsecond=500_000)),
        (date(2014, 3, 5), datetime(2014, 3, 5)),
        (NOON, NOON),
        ("9999-12-31 23:59:59", datetime(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_times_that_are_read(value: Any, read: datetime) -> None:
    faults = contract.Faults()
    column = contract.Column("index_time", pa.timestamp("us"))
    assert contract.convert(column, [value], faults) == [read]
    assert not faults
