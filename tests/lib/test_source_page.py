"""The page: 100 columns at most, hidden and unread cells said so, the plan and the warnings in words."""

from typing import Any

import pytest

from lib.source_months import shown
from lib.source_page import WIDTH, page
from lib.source_plan import Counted, pull
from test_source_months import MONTHS, hospital
from test_source_plan import SETTINGS


def found(a_month: int = 400, warnings: tuple[str, ...] = (), more_labels: int = 0, **plan: Any) -> dict[str, Any]:
    stays, notes = hospital(a_month)
    cohort: dict[str, Any] = shown(stays, notes, MONTHS, 10)
    cohort |= {"anchor": "discharge", "windows": 24, "windows_read": 12}
    for i in range(more_labels):
        cohort["labels"][f"another_long_label_{i}"] = "binary"
        for row in [*cohort["periods"], cohort["total"]]:
            row["labels"][f"another_long_label_{i}"] = row["labels"]["back"]
    told = pull({"stays": Counted(stays, notes)}, SETTINGS, 10, None) | plan
    days = {"first_day": "2020-01-01", "last_day": "2021-12-31"}
    return {"name": "site", "cohorts": {"stays": cohort}, "plan": told, "warnings": list(warnings)} | days


@pytest.mark.parametrize("a_month", [1, 40, 400])
@pytest.mark.parametrize("more_labels", [0, 7])
def test_no_line_is_wider_than_a_terminal(a_month: int, more_labels: int) -> None:
    told = page(found(a_month, ("a warning of many words " * 20,), more_labels))
    assert max(map(len, told.splitlines())) <= WIDTH
    assert not [line for line in told.splitlines() if line != line.rstrip()]


def test_every_period_and_label_is_there() -> None:
    told = page(found(more_labels=7))
    for month in MONTHS:
        assert f"\n{month}  " in told
    for name in ("back", "days", *(f"another_long_label_{i}" for i in range(7))):
        assert name in told
    assert "stays: labels of 24 windows, texts of 12" in told and "filed after discharge" in told


def test_a_row_reads_as_its_figures() -> None:
    content = found()
    row = content["cohorts"]["stays"]["periods"][0]
    line = next(line for line in page(content).splitlines() if line.startswith("2020-01"))
    cells = line.replace(" %", "%").replace(" h", "h").split()
    known = round(100 * row["labels"]["back"]["known"] / 400)
    assert cells[:3] == ["2020-01", "400", f"{round(row['with_note'] / 4)}%"]
    assert cells[3] == f"{row['characters']['median']:,}" and cells[5:7] == ["2.0h", "2.0h"]
    assert cells[7:9] == [f"{known}%", f"{round(100 * row['labels']['back']['mean'])}%"]


def test_hidden_and_unread_cells_say_so() -> None:
    content = found()
    row = content["cohorts"]["stays"]["periods"][0]
    row |= {"stays": None, "with_note": None, "characters": None, "lag_minutes": {}}
    row["labels"]["back"] = {"known": None, "mean": None}
    row["labels"]["days"] = {"known": 0, "mean": None}
    line = next(line for line in page(content).splitlines() if line.startswith("2020-01"))
    assert line.split() == ["2020-01", "hidden", "hidden", "·", "·", *["hidden"] * 5, "–"]


def test_the_plan_and_the_warnings() -> None:
    told = page(found(ticket="the ticket ends in 4.0 h", warnings=("texts look cut",)))
    assert "  ticket      the ticket ends in 4.0 h" in told and "  ! texts look cut" in told and "1 warning (" in told
    assert "6 finetunes" in told and "GPU-hours at 1 TFLOP/s" in told
    quiet = found()
    quiet["plan"]["models"]["m"]["gpu_hours"] = None
    told = " ".join(page(quiet).split())
    assert "GPU-hours unknown" in told and "No warnings" in told and "ticket" not in told


def test_hidden_totals_in_the_plan() -> None:
    content = found()
    content["plan"]["cohorts"]["stays"] = {"stays": None, "notes": None, "bytes": None}
    assert "  stays       hidden stays, hidden notes, hidden of text" in page(content)
