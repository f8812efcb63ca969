"""Every stay of a cohort gets a part or the step and reason it falls out; contradictions stop the run."""

import pytest

from lib.eligibility import Rules, decide
from lib.stage import StageError
from stay_tables import window_tables


def rules(**changes) -> Rules:
    base = {
        "label": "x",
        "kind": "binary",
        "edges": [],
        "values": [],
        "horizon_days": 30,
        "temporal_from": "2020-06-01",
        "temporal_periods": [],
        "drop_duplicates": True,
    }
    return Rules(**base | changes)


def decided(*windows: list[dict], by: Rules | None = None) -> dict[int, tuple]:
    by = by or rules()
    rows = [row for i, stays in enumerate(windows) for row in decide(by, str(i), window_tables(stays))]
    return {row["visit_id"]: (row["step"], row["reason"], row["part"], row["label"]) for row in rows}


def test_each_step_takes_its_stays() -> None:
    found = decided(
        [
            {"visit_id": 1, "label": 1},
            {"visit_id": 2, "text": None, "reason": "no_note"},
            {"visit_id": 3, "dropped": "short"},
            {"visit_id": 4, "reason": "died_in_hospital"},
            {"visit_id": 5, "day": 125},
            {"visit_id": 6, "day": 155, "part": "temporal_test", "label": 1},
            {"visit_id": 7, "day": 100, "part": "test"},
        ]
    )
    assert found == {
        1: (None, None, "train", 1),
        2: ("note", "no_note", None, None),
        3: ("text", "short", None, 0),
        4: ("label", "died_in_hospital", None, None),
        5: ("gap", "label window reaches the temporal test", None, 0),
        6: (None, None, "temporal_test", 1),
        7: (None, None, "test", 0),
    }


@pytest.mark.parametrize(("day", "step"), [(121, None), (122, "gap"), (151, "gap")])
def test_the_gap_begins_where_the_label_window_touches_the_temporal_test(day: int, step: str | None) -> None:
    """2020-06-01 is day 152: day 122 + 30 reaches it, day 121 + 30 does not."""
    assert decided([{"visit_id": 1, "day": day}])[1][0] == step


def test_of_identical_texts_the_earliest_window_keeps_its() -> None:
    windows = [{"visit_id": 1, "text": "same"}], [{"visit_id": 2, "text": "same"}, {"visit_id": 3}]
    assert decided(*windows)[2][:2] == ("text", "duplicate text")
    assert decided(*windows)[1][0] is None and decided(*windows)[3][0] is None
    assert decided(*windows, by=rules(drop_duplicates=False))[2][0] is None


@pytest.mark.parametrize(
    ("kind", "edges", "values", "raw", "expected"),
    [
        ("bins", [3, 4, 6], [], [0, 2, 3, 4, 5, 6, 400], [0, 0, 1, 2, 2, 3, 3]),
        ("classes", [], [7, 3], [3, 7], [1, 0]),
        ("binary", [], [], [0, 1], [0, 1]),
    ],
)
def test_raw_labels_become_classes(kind: str, edges: list, values: list, raw: list, expected: list) -> None:
    by = rules(kind=kind, edges=edges, values=values)
    assert [by.label_class(value) for value in raw] == expected


@pytest.mark.parametrize(("kind", "value"), [("binary", 2), ("classes", 1), ("bins", -1)])
def test_a_value_that_is_no_class_stops_the_run(kind: str, value: int) -> None:
    with pytest.raises(StageError, match="label_x holds a value outside"):
        rules(kind=kind, edges=[3], values=[3, 7]).label_class(value)


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (([{"visit_id": 1}], [{"visit_id": 1, "note_id": 2, "text": "b"}]), "window 1: 1 stays stand in an earlier"),
        (([{"visit_id": 1}], [{"visit_id": 2, "note_id": 1, "text": "b"}]), "window 1: 1 notes stand in an earlier"),
    ],
)
def test_a_stay_or_note_in_two_windows_stops_the_run(windows, said: str) -> None:
    with pytest.raises(StageError, match=said):
        decided(*windows)


def test_the_two_queries_must_agree_on_who_has_a_note() -> None:
    tables = window_tables([{"visit_id": 1}, {"visit_id": 2}])
    tables["clean"] = tables["clean"].slice(0, 1)
    with pytest.raises(StageError, match="index_time to 1 stays without a row in the text query, none to 0"):
        list(decide(rules(), "0", tables))


def test_split_and_labels_must_hold_the_same_stays() -> None:
    tables = window_tables([{"visit_id": 1}, {"visit_id": 2}])
    tables["split"] = tables["split"].slice(0, 1)
    with pytest.raises(StageError, match="run split again"):
        list(decide(rules(), "0", tables))


def told(windows: list[list[dict]], periods: list[str]) -> Rules:
    by = rules(temporal_from=None, temporal_periods=periods)
    tables = [window_tables(stays) for stays in windows]
    by.tell_temporal((window["labels"], window["split"]) for window in tables)
    return by


def test_of_periods_a_window_reaches_the_patients_own_temporal_stays_only() -> None:
    """Dates are shifted patient by patient: those of two patients cannot be compared, those of one can."""
    old, new = {"period": "2008 - 2010"}, {"period": "2020 - 2022", "part": "temporal_test"}
    windows = [
        [{"visit_id": 1, "person_id": 1, "day": 100} | old, {"visit_id": 2, "person_id": 2, "day": 100} | old],
        [
            {"visit_id": 3, "person_id": 1, "day": 130} | new,
            {"visit_id": 4, "person_id": 1, "day": 140} | new,
            {"visit_id": 5, "person_id": 1, "day": 99} | old,
        ],
    ]
    found = decided(*windows, by=told(windows, ["2020 - 2022"]))
    assert {visit: row[0] for visit, row in found.items()} == {1: "gap", 2: None, 3: None, 4: None, 5: None}


def test_a_period_that_no_stay_has_stops_the_run() -> None:
    windows = [[{"visit_id": 1, "period": "2008 - 2010"}], [{"visit_id": 2, "period": "2020 - 2022"}]]
    told(windows, ["2020 - 2022", "2008 - 2010"])
    with pytest.raises(StageError, match=r"no stay of any window has the split_period '2020-2022'; write it as"):
        told(windows, ["2020-2022", "2008 - 2010"])
