"""The cohort flow starts at stays, never increases, adds up, keeps shut parts shut, and hides small cells."""

from collections import Counter
from itertools import pairwise, product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_cohort import PARTS, SCHEMA, stays
from lib.disclosure import suppress
from lib.flow import cohort_flow, stays_of
from lib.stage import StageError
from test_disclosure import largest

ROWS = stays(
    (50, None, None, "train", 0),
    (20, None, None, "train", 1),
    (30, None, None, "test", 0),
    (12, "note", "no_note", None, None),
    (15, "text", "short", None, 0),
    (11, "label", "died_in_hospital", None, None),
    (40, "label", "uncoded", None, None),
)


def flow_of(rows: pa.Table, min_cell: int = 10, opened: list[str] = PARTS, classes: int = 2) -> dict:
    return cohort_flow(rows, "t", classes, min_cell, opened, sorted(set(rows["window"].to_pylist())))


def test_it_starts_at_stays_and_adds_up() -> None:
    flow = flow_of(ROWS)
    assert [(s["step"], s["stays"], s["notes"]) for s in flow["steps"]] == [
        ("stays", 178, 166), ("note", 166, 166), ("text", 151, 151), ("label", 100, 100), ("gap", 100, 100),
    ]  # fmt: skip
    assert flow["steps"][3]["dropped"] == [
        {"reason": "died_in_hospital", "stays": 11},
        {"reason": "uncoded", "stays": 40},
    ]
    assert [s["classes"] for s in flow["steps"]] == [[95, 20], [95, 20], [80, 20], [80, 20], [80, 20]]
    assert flow["steps"][4]["events"] == 20
    assert {part: f["stays"] for part, f in flow["parts"].items()} == {"test": 30, "train": 70}


def test_small_cells_and_their_complements_are_hidden() -> None:
    rows = stays(
        (50, None, None, "train", 0), (3, "label", "uncoded", None, None), (40, "label", "no_claim", None, None)
    )
    step = flow_of(rows)["steps"][3]
    assert {d["reason"]: d["stays"] for d in step["dropped"]} == {"no_claim": None, "uncoded": None}
    assert flow_of(rows, 1)["steps"][3]["dropped"][1]["stays"] == 3


def test_a_small_step_is_not_told_by_the_steps_around_it() -> None:
    """Three stays without a text: hiding what remains there alone, the next step, which loses none, gave them away."""
    rows = stays((50, None, None, "train", 0), (3, "text", "short", None, None), (40, "label", "uncoded", None, None))
    assert [s["stays"] for s in flow_of(rows)["steps"]] == [93, 93, None, 50, 50]
    assert [s["notes"] for s in flow_of(rows)["steps"]] == [93, 93, None, 50, 50]
    assert [s["stays"] for s in flow_of(stays((50, None, None, "train", 0), (3, "gap", "gap", None, 0)))["steps"]] == [
        53, 53, 53, 53, None,
    ]  # fmt: skip


FALLEN = [(None, None), ("note", "no_note"), ("note", "late_note"), ("text", "short"), ("label", "uncoded")]
FALLEN += [("label", "no_claim"), ("gap", "gap")]


def window_of(part: str | None, rng: np.random.Generator) -> str:
    """2021 is the temporal test."""
    return str(
        rng.integers(2019, 2022) if part is None else 2021 if part == "temporal_test" else rng.integers(2019, 2021)
    )


@st.composite
def cohorts(draw) -> pa.Table:
    """Random cohorts: counts of each outcome, part and class, over few windows and groups."""
    drawn = []
    for step, reason in FALLEN:
        for part in PARTS if step is None else [None]:
            for label in (0, 1) if step in (None, "text", "gap") else (None,):
                count = draw(st.sampled_from([0, 0, 1, 2, 4, 11, 12, 30])) + 10 * ((part, label) == ("train", 0))
                drawn += [(1, step, reason, part, label)] * count
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    places = [
        {"window": window_of(row[3], rng), "person_id": int(rng.integers(40)), "feature_age": rng.normal(),
         "notes": 0 if row[1] == "note" else int(rng.integers(1, 3)), "group_sex": rng.choice(["f", "m"]),
         "group_ward": str(rng.choice(["A", "B", "C"], p=[0.6, 0.35, 0.05]))}
        for row in drawn
    ]  # fmt: skip
    return stays(*((*row, place) for row, place in zip(drawn, places, strict=True)))


@settings(max_examples=30, deadline=None)
@given(cohorts())
def test_no_step_increases_and_all_sums_are_exact(rows: pa.Table) -> None:
    flow = flow_of(rows, 1)
    steps = flow["steps"]
    assert steps[0]["stays"] == rows.num_rows and steps[0]["notes"] == sum(rows["notes"].to_pylist())
    for before, after in pairwise(steps):
        assert before["stays"] - sum(d["stays"] for d in after["dropped"]) == after["stays"]
        for name in ("patients", "notes", "events"):
            assert before[name] >= after[name]
    for name in ("stays", "notes", "events"):
        assert sum(part[name] for part in flow["parts"].values()) == steps[-1][name]
    for table in (flow["by_window"], flow["by_group"]["sex"]["rows"], flow["by_group"]["ward"]["rows"]):
        if table:
            assert sum(row["stays"] for row in table) == steps[0]["stays"]
            assert sum(row["remaining"] for row in table) == steps[-1]["stays"]
            assert sum(row["events"] for row in table) == steps[-1]["events"]
            assert all(row["stays"] == row["remaining"] + sum(d["stays"] for d in row["dropped"]) for row in table)


def labels_of(rows: pa.Table, opened: list[str]) -> pa.Table:
    """The rows with a label only where their part is opened, as `stays_of` leaves it."""
    told = zip(rows["part"].to_pylist(), rows["label"].to_pylist(), strict=True)
    labels = [None if part not in (*opened, None) else label for part, label in told]
    return rows.set_column(SCHEMA.get_field_index("label"), "label", pa.array(labels, pa.int64()))


def all_told(flow: dict) -> list[tuple[dict[str, list], int | None]]:
    """Every count of stays or of a class that the flow has, with the cells that it sums."""
    order = ["note", "text", "label", "gap", None]
    told: list[tuple[dict[str, list], int | None]] = []

    def classes(wanted: dict[str, list], counts: list) -> None:
        told.extend((wanted | {"label": [k]}, count) for k, count in enumerate(counts))

    for k, step in enumerate(flow["steps"]):
        told.append(({"step": order[k:]}, step["stays"]))
        told += [({"step": [step["step"]], "reason": [d["reason"]]}, d["stays"]) for d in step["dropped"]]
        classes({"step": order[k:]}, step["classes"])
    for part, described in flow["parts"].items():
        told.append(({"part": [part]}, described["stays"]))
        classes({"part": [part]}, described["classes"])
    for row in flow["by_window"] or []:
        window = {"window": [row["value"]]}
        told += [(window, row["stays"]), (window | {"step": [None]}, row["remaining"])]
        named = (d for d in row["dropped"] if d["reason"])
        told += [(window | {"step": [d["step"]], "reason": [d["reason"]]}, d["stays"]) for d in named]
        classes(window | {"step": [None]}, row["classes"])
    return told


@settings(max_examples=60, deadline=None)
@given(cohorts(), st.sampled_from([2, 5, 10]), st.sampled_from([PARTS, PARTS[:3]]))
def test_no_small_count_is_told_by_all_that_is_shown(rows: pa.Table, min_cell: int, opened: list[str]) -> None:
    """What a linear program can tell of the counts of (window, step, reason, part, class), given all that is shown."""
    rows = labels_of(rows, opened)
    flow = flow_of(rows, min_cell, opened)
    ends = [(step, reason, None) for step, reason in FALLEN[1:]] + [(None, None, part) for part in PARTS]
    keys = ("window", "step", "reason", "part", "label")
    cells = [
        dict(zip(keys, (window, *end, label), strict=True))
        for window, end, label in product(sorted(set(rows["window"].to_pylist())), ends, (None, 0, 1))
        # A stay that remains has a class if its part is opened, else none; of the others it depends.
        if ((label is not None) == (end[2] in opened) and (end[2] == "temporal_test") == (window == "2021"))
        or (end[2] is None and (label is None or end[0] in ("text", "gap")))
    ]
    counted = Counter(tuple(row[k] for k in keys) for row in rows.select(keys).to_pylist())
    held = [counted[tuple(cell.values())] for cell in cells]
    sums = [
        ([i for i, cell in enumerate(cells) if all(cell[k] in v for k, v in wanted.items())], value)
        for wanted, value in all_told(flow)
    ]
    for part in opened[1:]:  # what evaluate tells of the parts that it scores
        of_part = [
            [i for i, cell in enumerate(cells) if cell["part"] == part and cell["label"] in v]
            for v in ([0, 1], [0], [1])
        ]
        whole, *classes = (sum(held[i] for i in members) for members in of_part)
        sums += zip(of_part, [*suppress([whole], min_cell), *suppress(classes, min_cell)], strict=True)
    shown = [(members, value) for members, value in sums if value is not None]
    assert all(value == sum(held[i] for i in members) for members, value in shown)
    for members, _ in sums:
        if 0 < sum(held[i] for i in members) < min_cell:
            assert largest(members, shown, len(held)) >= min_cell - 1e-6


def test_a_shut_test_gives_no_event_away() -> None:
    """Whatever the labels of parts that are not opened, the flow is the same."""
    rows = stays(
        *((40, None, None, part, label, {"group_sex": "f", "window": w}) for part in PARTS for label in (0, 1)
          for w in ("2019", "2020")),
    )  # fmt: skip
    table = {
        "visit_id": pa.array(range(rows.num_rows)),
        **{name: rows[name] for name in ("window", "person_id", "step", "reason", "part", "label")},
    }
    visits = pa.table({"visit_id": table["visit_id"]})
    split = visits.append_column("part", rows["part"])
    told = []
    for test_label in (0, 1):
        both = zip(rows["part"].to_pylist(), rows["label"].to_pylist(), strict=True)
        labels = pa.array([test_label if part == "test" else label for part, label in both])
        given_rows = pa.table(table | {"label": labels})
        told.append(flow_of(stays_of(given_rows, visits, split, visits, PARTS[:3]), 5, PARTS[:3]))
    assert told[0] == told[1]
    assert told[0]["events_of"] == PARTS[:3]
    assert (told[0]["parts"]["test"]["stays"], told[0]["parts"]["test"]["classes"]) == (160, [None, None])
    assert told[0]["steps"][0]["classes"] == told[0]["steps"][-1]["classes"] == [240, 240]
    assert sum(row["events"] for row in told[0]["by_window"]) == 240


def test_a_stay_that_fell_out_of_a_shut_part_counts_no_event_either() -> None:
    visits = pa.table({"visit_id": range(4)})
    fallen = {"window": ["w"] * 4, "person_id": range(4), "step": ["text"] * 4, "reason": ["short"] * 4}
    rows = pa.table({"visit_id": range(4)} | fallen | {"part": pa.nulls(4, pa.string()), "label": [1] * 4})
    split = visits.append_column("part", pa.array(["test", "train", "test", "tuning"]))
    assert flow_of(stays_of(rows, visits, split, visits, PARTS[:2]), 1, PARTS[:2])["steps"][0]["events"] == 2


def test_other_stays_or_notes_are_refused() -> None:
    visits = pa.table({"visit_id": [1, 2]})
    names = ("window", "person_id", "step", "reason", "part", "label")
    rows = pa.table({"visit_id": [1, 2]} | {name: ["x", "y"] for name in names})
    split = visits.append_column("part", pa.array(["train", "train"]))
    with pytest.raises(StageError, match="2 stays are decided, the labels have 2, or others"):
        stays_of(rows, pa.table({"visit_id": [1, 3]}), split, visits, PARTS)
    with pytest.raises(StageError, match="2 notes are extracted, 1 of them for the stays at hand"):
        stays_of(rows.set_column(6, "label", pa.array([0, 1])), visits, split, pa.table({"visit_id": [1, 7]}), PARTS)


def test_rows_without_a_part_or_a_step_are_a_defect() -> None:
    with pytest.raises(StageError, match="the parts do not add up to the last step"):
        flow_of(stays((5, None, None, None, 0)), 1)


@pytest.mark.parametrize(("opted_out", "min_cell", "shown"), [(0, 10, 0), (9, 10, None), (10, 10, 10), (1, 1, 1)])
def test_stays_of_patients_who_opted_out_are_counted_apart(opted_out: int, min_cell: int, shown: int | None) -> None:
    flow = cohort_flow(ROWS, "t", 2, min_cell, PARTS, ["2020"], opted_out)
    assert flow["opted_out"] == shown
    assert flow["steps"][0]["stays"] == 178


def test_no_stays_at_all() -> None:
    flow = cohort_flow(pa.Table.from_pylist([], SCHEMA), "t", 2, 10, PARTS, ["2020"])
    assert [s["stays"] for s in flow["steps"]] == [0] * 5
    assert flow["by_window"][0]["stays"] == 0
