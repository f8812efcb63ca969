"""The drawn pipeline: which boxes and ways there are, and where."""

import re
from typing import Any

from lib.crate_diagram import diagram


def job(stage: str, wrote: str, *read: str) -> dict[str, Any]:
    return {
        "stage": stage,
        "wildcards": {},
        "output": wrote,
        "outputs": {wrote: "0"},
        "inputs": dict.fromkeys(read, "0"),
    }


JOBS = [
    *(job("extract", f"<private>/e{i}") for i in range(3)),
    job("clean", "<private>/c", "<private>/e0", "<private>/e1"),
    job("flow", "<results>/f", "<private>/c", "<private>/e2"),
    job("report", "<results>/r", "<results>/f", "<private>/gone"),
    {"stage": "ledger", "wildcards": {}, "output": "<private>/l", "missing": True},
]


def test_a_box_a_stage_below_what_it_reads_and_no_way_twice() -> None:
    drawn = diagram(JOBS, "odbc")
    boxes = {name: (float(x), float(y)) for x, y, name in
             re.findall(r'<text x="([\d.]+)" y="([\d.]+)" font-weight="600">(\w+)<', drawn)}  # fmt: skip
    assert set(boxes) == {"warehouse", "extract", "clean", "flow", "report", "ledger"}
    heights = [boxes[name][1] for name in ("warehouse", "extract", "clean", "flow", "report")]
    assert heights == sorted(set(heights)) and boxes["ledger"][1] == heights[0]
    assert drawn.count("<path ") == 4  # what flow reads of extract is told by the way over clean
    assert ">3 jobs<" in drawn and ">odbc<" in drawn and drawn.count(">1 job<") == 4


def test_the_demos_hospital_stands_for_the_warehouse() -> None:
    drawn = diagram([job("demo_hospital", "<private>/h"), job("extract", "<private>/e", "<private>/h")], "demo")
    assert "warehouse" not in drawn and ">demo hospital<" in drawn and drawn.count("<path ") == 1
    assert drawn == diagram([job("demo_hospital", "<private>/h"), job("extract", "<private>/e", "<private>/h")], "demo")
