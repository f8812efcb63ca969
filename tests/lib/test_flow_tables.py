"""The flow by window and by group: which values stand alone, which tables are left out, what is hidden."""

import pyarrow as pa

from flow_cohort import PARTS, stays
from lib.flow import cohort_flow
from lib.flow_tables import MOST_VALUES


def flow_of(rows: pa.Table, min_cell: int = 10, windows: tuple[str, ...] = ("2019", "2020")) -> dict:
    return cohort_flow(rows, "t", 2, min_cell, PARTS, list(windows))


def wards(*counts: int) -> pa.Table:
    """Stays of wards w0, w1, … in two windows, all of which remain."""
    return stays(
        *(
            (count, None, None, "train", label, {"group_ward": f"w{i}", "window": window})
            for i, count in enumerate(counts)
            for window in ("2019", "2020")
            for label in (0, 1)
        )
    )


def with_persons(rows: pa.Table) -> pa.Table:
    return rows.set_column(1, "person_id", pa.array(range(rows.num_rows)))


def names(flow: dict, group: str = "ward") -> list[str]:
    return [row["value"] for row in flow["by_group"][group]["rows"]]


def test_rare_values_are_one() -> None:
    assert names(flow_of(with_persons(wards(20, 30, 2)))) == ["w0", "w1", "other"]
    assert names(flow_of(with_persons(wards(20, 30, 3)))) == ["w0", "w1", "w2"]


def test_a_value_of_few_patients_is_rare_however_many_stays_they_have() -> None:
    rows = with_persons(wards(20, 30, 30))
    few = [p if ward != "w2" else p % 4 for p, ward in enumerate(rows["group_ward"].to_pylist())]
    assert names(flow_of(rows.set_column(1, "person_id", pa.array(few)))) == ["w0", "w1", "other"]


def test_only_so_many_values_stand_alone_and_the_total_is_kept() -> None:
    rows = with_persons(wards(*range(5, 40)))
    flow = flow_of(rows)
    assert len(names(flow)) == MOST_VALUES and names(flow)[-1] == "other"
    assert sum(row["stays"] for row in flow["by_group"]["ward"]["rows"]) == rows.num_rows


def test_null_is_unknown() -> None:
    rows = with_persons(wards(20, 30))
    column = pa.array([None if v == "w0" else v for v in rows["group_ward"].to_pylist()], pa.string())
    assert names(flow_of(rows.set_column(8, "group_ward", column))) == ["w1", "unknown"]


def test_groups_that_nest_are_told_once() -> None:
    rows = with_persons(wards(20, 30, 25))
    clinic = pa.array(["one" if v == "w0" else "two" for v in rows["group_ward"].to_pylist()])
    flow = flow_of(rows.append_column("group_clinic", clinic).append_column("group_year", rows["window"]))
    assert flow["by_group"]["clinic"]["left_out"] is None
    assert flow["by_group"]["ward"] == {"rows": None, "left_out": "nests with clinic"}
    assert flow["by_group"]["year"] == {"rows": None, "left_out": "nests with window"}


def test_a_window_without_stays_has_its_row() -> None:
    rows = flow_of(with_persons(wards(20, 30)), windows=("2018", "2019", "2020"))["by_window"]
    told = [(row["value"], row["stays"], row["events"]) for row in rows]
    assert told == [("2018", 0, 0), ("2019", 100, 50), ("2020", 100, 50)]


def test_reasons_with_hidden_totals_are_one_column() -> None:
    each = [("2019", 40), ("2020", 60)]
    rows = stays(
        *((n, None, None, "train", 0, {"window": w}) for w, n in each),
        *((n, "label", "uncoded", None, None, {"window": w}) for w, n in each),
        *((n // 20, "label", "no_claim", None, None, {"window": w}) for w, n in each),
        *((n // 2, "label", "newborn", None, None, {"window": w}) for w, n in each),
    )
    columns = [(cell["reason"], cell["stays"]) for cell in flow_of(rows)["by_window"][0]["dropped"]]
    assert columns == [(None, 22), ("uncoded", 40)]


def test_where_the_flow_is_hidden_there_are_no_tables() -> None:
    flow = flow_of(stays((4, None, None, "train", 0), (40, "label", "uncoded", None, None)))
    assert flow["by_window"] is None
    assert {group["rows"] for group in flow["by_group"].values()} == {None}
