"""The oracle: for each task and stay with its note, the probabilities from which the label was drawn, and the label.

No stage but the report reads it. The label is null where the data do not show it by their end (30 days not over, in
hospital, uncoded, no decision), or where the stay is not eligible for the task.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from lib import demo_risk
from lib.demo_history import ACUTE, Person, Stay
from lib.demo_notes import visit_id
from lib.demo_streams import DAY

SCHEMA = pa.schema(
    [("task", pa.string()), ("visit_id", pa.int64()), ("p", pa.list_(pa.float64())), ("label", pa.int64())]
)


class Oracle:
    """Collects stays as they are written; `table()` gives all, sorted by task and visit."""

    def __init__(self, last_day: int) -> None:
        self._last, self._until = last_day, (last_day + 1) * DAY - 1
        self._rows: dict[str, list[tuple[int, Any, int | None]]] = {task: [] for task in demo_risk.CLASSES}

    def add(self, person: Person, stay: Stay) -> None:
        facts, number = stay.admission, visit_id(person, stay.number)
        if facts is None:
            return
        if stay.hp_filed is not None and stay.hp_filed <= self._until:
            ended, coded = stay.end <= self._until, stay.coded is not None and stay.coded <= self._last
            decided = bool(stay.claims) and stay.claims[0].decided <= self._last
            dies = demo_risk.mortality(facts.findings, facts.age)
            denied = demo_risk.denial(facts.insurer, facts.papers)
            posterior = demo_risk.chronic_posterior(facts.age, facts.stated, facts.balanced)
            self._put("mortality", number, stay, [1 - dies, dies], stay.hp_counts and ended)
            stays = list(demo_risk.length_of_stay(facts.findings, facts.age))
            self._put("length_of_stay", number, stay, stays, stay.hp_counts and ended)
            self._put("comorbidity", number, stay, posterior, stay.hp_counts and coded)
            self._put("denial", number, stay, [1 - denied, denied], stay.hp_counts and decided)
        if stay.summary_filed is not None and stay.summary_filed <= self._until:
            back = demo_risk.readmission(stay.needs, stay.age)
            known = stay.summary_counts and stay.department in ACUTE and stay.end + 30 * DAY <= self._until
            self._put("readmission", number, stay, [1 - back, back], known)

    def _put(self, task: str, number: int, stay: Stay, p: list[float], known: bool) -> None:
        self._rows[task].append((number, p, stay.outcome[task] if known else None))

    def table(self) -> pa.Table:
        parts = []
        for task, rows in sorted(self._rows.items()):
            rows.sort(key=lambda row: row[0])
            p = np.array([row[1] for row in rows], dtype=float).reshape(len(rows), -1)
            if task == "comorbidity" and rows:
                p = demo_risk.charlson_classes(p)  # so far the posterior of each condition
            columns = [[task] * len(rows), [r[0] for r in rows], p.tolist(), [r[2] for r in rows]]
            parts.append(pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA))
        return pa.concat_tables(parts)
