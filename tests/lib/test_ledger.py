"""The ledger: who would move stops the run, ids that are not stable stop it, a merge is counted, nobody forgotten."""

import pyarrow as pa
import pytest

from lib import ledger
from lib.stage import StageError

Row = tuple[int, int, str]


def table(*rows: Row, span: str = "2019") -> pa.Table:
    columns = zip(*rows, strict=True)
    names = [("visit_id", pa.int64()), ("person_id", pa.int64()), ("key_part", pa.string())]
    arrays = {name: pa.array(values, kind) for (name, kind), values in zip(names, columns, strict=True)}
    return pa.table(arrays | {"span": pa.array([span] * len(rows), pa.string())})


MANY: list[Row] = [(i, i, "train") for i in range(100, 200)]
OLD_ROWS: list[Row] = [(1, 1, "train"), (2, 2, "test"), (3, 2, "test"), *MANY]
OLD = table(*OLD_ROWS)


def test_new_stays_and_patients_are_no_matter() -> None:
    found = ledger.compare(OLD, table(*OLD_ROWS, (4, 1, "train"), (5, 9, "tuning")), 0.05, "x")
    assert (found.stays_new, found.patients_gone, found.stays_merged, found.any()) == (2, 0, 0, True)
    assert not ledger.compare(OLD, OLD, 0, "x").any()


def test_a_patient_in_another_part_stops_the_run() -> None:
    with pytest.raises(StageError, match=r"1 of 102 patients \(2 stays\) would move to another part .* move x aside"):
        ledger.compare(OLD, table((1, 1, "train"), (2, 2, "train"), (3, 2, "train"), *MANY), 1, "x")


def test_so_does_one_who_comes_back_after_years() -> None:
    later = ledger.joined(OLD, table((1, 1, "train"), *MANY))
    assert later.num_rows == OLD.num_rows and later["span"].to_pylist()[1] == ledger.GONE
    assert ledger.compare(later, table((1, 1, "train"), *MANY), 0, "x").patients_gone == 0, "counted once"
    with pytest.raises(StageError, match="1 of 102 patients"):
        ledger.compare(later, table((1, 1, "train"), (9, 2, "train"), *MANY), 1, "x")


def test_ids_that_change_with_each_load_stop_the_run() -> None:
    renumbered = table(*((visit, person + 1000, part) for visit, person, part in OLD_ROWS))
    with pytest.raises(StageError, match="102 are gone, and 103 of 103 stays are under another patient"):
        ledger.compare(OLD, renumbered, 0.05, "x")
    assert ledger.compare(OLD, renumbered, 1, "x").stays_merged == 103


def test_windows_that_the_run_leaves_out_are_not_gone() -> None:
    found = ledger.compare(OLD, table((500, 500, "train"), span="2020"), 0, "x")
    assert (found.patients_known, found.patients_gone, found.stays_gone) == (0, 0, 0)
    both = ledger.joined(OLD, table((500, 500, "train"), span="2020"))
    assert both.num_rows == 104 and set(both["span"].to_pylist()) == {"2019", "2020"}


def test_a_merge_is_counted_and_entered() -> None:
    merged = table((1, 1, "train"), (2, 1, "train"), (3, 1, "train"), *MANY)
    found = ledger.compare(OLD, merged, 0.05, "x")
    assert (found.patients_gone, found.stays_merged, found.stays_moved_by_merge) == (1, 2, 2)
    assert ledger.joined(OLD, merged).equals(merged)
