"""The cohort flow of a task: from all stays down to the parts, what fell out at each step and why (TRIPOD+AI 20a).

It starts at stays, with a note or without, never increases, and adds up: what falls out at a step and what remains
are what was there before, in stays and in notes. Events are counted over the opened parts' stays alone (`events_of`),
whatever step they fall out at: the difference of two steps then tells nothing of a test that is shut.

What is hidden: counts below `min_cell`, and what would give one away. Each step's counts, each step's reasons, the
parts, and the events of steps and parts are protected together, so that no difference of two figures is a small cell.
Notes are hidden where stays are, which they often equal. `evaluate` tells the stays and classes of each part that it
scores, so what has to be hidden besides a small part is the training part (which holds `min_cell` stays, or nothing
could be trained). The tables by window and by group (`flow_tables`) take the totals that are shown here as known.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib import disclosure
from lib.contract import REASONS
from lib.eligibility import STEPS
from lib.flow_notes import compare
from lib.flow_tables import Frame, by_group, by_window
from lib.splits import PARTS, TEMPORAL
from lib.stage import StageError

TITLES = {
    "stays": "Stays in the cohort's windows",
    "note": "with an eligible note",
    "text": "with a text of their own",
    "label": "with a known label",
    "gap": "clear of the temporal test",
}
TRAIN = "train"
LABELLED = {"text", "gap"}  # the steps at which stays with a label fall out


@dataclass(frozen=True)
class Counts:
    """How many patients, stays, notes and stays of each class there are."""

    patients: int
    stays: int
    notes: int
    classes: tuple[int, ...]


def stays_of(rows: pa.Table, labels: pa.Table, split: pa.Table, texts: pa.Table, opened: list[str]) -> pa.Table:
    """One row a stay: what `eligibility` decided, the number of its notes, its groups and features.

    `rows`: window, visit_id, person_id, step, reason, part, label; `labels` and `split` (visit_id, part) have the same
    stays in the same order; `texts` has the visit_id of every note. The label is null outside the `opened` parts.
    """
    for name, other in (("labels", labels), ("split", split)):
        if not other["visit_id"].combine_chunks().equals(rows["visit_id"].combine_chunks()):
            raise StageError(
                f"{rows.num_rows} stays are decided, the {name} have {other.num_rows}, or others: run eligibility anew"
            )
    behind = texts.group_by("visit_id").aggregate([([], "count_all")])
    places = pc.index_in(rows["visit_id"], value_set=behind["visit_id"].combine_chunks())
    notes = pc.fill_null(pc.take(behind["count_all"], places), 0)
    if (pc.sum(notes).as_py() or 0) != texts.num_rows:
        raise StageError(f"{texts.num_rows} notes are extracted, {pc.sum(notes).as_py()} of them for the stays at hand")
    is_open = pc.is_in(split["part"], value_set=pa.array(opened, pa.string()))
    label = pc.if_else(is_open, rows["label"], pa.scalar(None, pa.int64()))
    columns = {name: rows[name] for name in ("window", "person_id", "step", "reason", "part")}
    described = {name: labels[name] for name in labels.column_names if name.startswith(("group_", "feature_"))}
    return pa.table(columns | {"notes": notes, "label": label} | described)


def count(stays: pa.Table, classes: int) -> Counts:
    by_class = tuple(pc.sum(pc.equal(stays["label"], k)).as_py() or 0 for k in range(classes))
    notes = pc.sum(stays["notes"]).as_py() or 0
    return Counts(pc.count_distinct(stays["person_id"]).as_py(), stays.num_rows, notes, by_class)


def cohort_flow(
    stays: pa.Table,
    task: str,
    classes: int,
    min_cell: int,
    opened: list[str],
    windows: list[str],
    opted_out: int = 0,
) -> dict[str, Any]:
    """The flow as JSON: `steps` and `parts`; `by_window` and `by_group`; `notes`, stays with one and without.

    `opted_out` counts the stays that never left the warehouse, as their patients did not want it.

    A step has step, title, patients, stays, notes, classes, events, dropped. `events` counts label 1 of a binary task,
    else it is null. A hidden count is null, and so are the classes of a part that is not opened.
    """
    counts, fallen = [count(stays, classes)], []
    remaining = stays
    for step in STEPS:
        fallen.append(remaining.filter(pc.equal(remaining["step"], step)))
        remaining = remaining.filter(pc.fill_null(pc.not_equal(remaining["step"], step), True))
        counts.append(count(remaining, classes))
    reasons = [{r["values"]: r["counts"] for r in rows["reason"].value_counts().to_pylist()} for rows in fallen]
    _check_names(reasons, stays)
    names = sorted(part for part in stays["part"].unique().to_pylist() if part)
    parts = {part: count(stays.filter(pc.equal(stays["part"], part)), classes) for part in names}
    _check(counts, [count(rows, classes) for rows in fallen], reasons, parts)
    published = _Published(counts, reasons, parts, opened, min_cell)
    all_open = set(names) <= set(opened)
    frame = Frame(
        stays,
        remaining,
        published.steps,
        published.hidden_steps,
        published.parts.get(TEMPORAL),
        min_cell,
        windows,
        all_open,
    )
    tables = {"window": by_window(frame)} | by_group(frame)
    return {
        "task": task,
        "unit": "stays",
        "opted_out": disclosure.suppress([opted_out], min_cell)[0],
        "events_of": opened,
        "steps": published.steps,
        "parts": published.parts,
        "by_window": tables["window"],
        "by_group": {name: table for name, table in tables.items() if name != "window"},
        "notes": compare(stays, published.steps, tables, min_cell),
    }


def _check_names(reasons: list[dict[str, int]], stays: pa.Table) -> None:
    """StageError for a reason or a part that nobody knows: it might be anything, and would be published."""
    for step, why in zip(STEPS, reasons, strict=True):
        if unknown := sum(n for name, n in why.items() if step in ("note", "label") and name not in REASONS):
            raise StageError(f"{unknown} stays fell out at step {step} for an unknown reason; run eligibility anew")
    parts = {part for part in stays["part"].unique().to_pylist() if part}
    if unknown := len(parts - {*PARTS, TEMPORAL}):
        raise StageError(f"{unknown} of {len(parts)} parts are unknown; run eligibility anew")


def _check(counts: list[Counts], fallen: list[Counts], reasons: list[dict[str, int]], parts: dict[str, Counts]) -> None:
    """StageError unless the steps never increase and add up, and the parts are the last step."""
    for step, before, out, after, why in zip(STEPS, counts[:-1], fallen, counts[1:], reasons, strict=True):
        whole = before.stays == out.stays + after.stays and before.notes == out.notes + after.notes
        whole = whole and out.stays == sum(why.values())
        if not (whole and after.patients <= before.patients <= out.patients + after.patients):
            raise StageError(f"step {step} does not add up: before {before}, fell out {out}, after {after}")
    held, last = list(parts.values()), counts[-1]
    sums = [sum(getattr(part, name) for part in held) for name in ("patients", "stays", "notes")]
    if sums[1:] != [last.stays, last.notes] or sums[0] < last.patients:
        raise StageError(f"the parts do not add up to the last step: patients, stays, notes are {sums}, not {last}")


class _Published:
    """What of the steps and parts is shown."""

    def __init__(
        self,
        counts: list[Counts],
        reasons: list[dict[str, int]],
        parts: dict[str, Counts],
        opened: list[str],
        min_cell: int,
    ) -> None:
        self._counts, self._parts, self._min_cell = counts, parts, min_cell
        self._opened = [part for part in parts if part in opened]
        stays, notes, patients = ([getattr(c, name) for c in counts] for name in ("stays", "notes", "patients"))
        self._hidden = [
            any(pair) for pair in zip(*(disclosure.falling(v, min_cell) for v in (stays, notes)), strict=True)
        ]
        self.hidden_steps = [step for step, hidden in zip(STEPS, self._hidden, strict=False) if hidden]
        show = [self._is_large(stays[0]) and disclosure.derivable(self._hidden, i) for i in range(len(counts))]
        people = disclosure.falling(patients, min_cell)
        described = self._show_parts(show[-1])
        by_step, by_part = self._show_classes(described, show[-1])
        self.parts = {part: described[part] | self._classes(by_part[part]) for part in parts}
        self.steps = []
        for i, step in enumerate(("stays", *STEPS)):
            with_patients = show[i] and self._is_large(patients[0]) and disclosure.derivable(people, i)
            told = {
                "step": step,
                "title": TITLES[step],
                "patients": patients[i] if with_patients else None,
                "stays": stays[i] if show[i] else None,
                "notes": notes[i] if show[i] and self._is_large(notes[0]) else None,
                "dropped": self._dropped(reasons[i - 1], self._hidden[i - 1]) if i else [],
            }
            self.steps.append(told | self._classes(by_step[i]))

    def _is_large(self, value: int) -> bool:
        return not 0 < value < self._min_cell

    def _dropped(self, reasons: dict[str, int], hidden: bool) -> list[dict[str, Any]]:
        names = sorted(reasons)
        shown = disclosure.suppress([reasons[name] for name in names], self._min_cell)
        return [{"reason": n, "stays": None if hidden else v} for n, v in zip(names, shown, strict=True)]

    def _show_parts(self, last_shown: bool) -> dict[str, dict[str, int | None]]:
        columns = {
            name: [getattr(part, name) for part in self._parts.values()] for name in ("patients", "stays", "notes")
        }
        train = list(self._parts).index(TRAIN) if TRAIN in self._parts else None
        shown = {name: disclosure.suppress(values, self._min_cell, train) for name, values in columns.items()}
        out: dict[str, dict[str, int | None]] = {}
        for i, part in enumerate(self._parts):
            known = last_shown and None not in (shown["stays"][i], shown["notes"][i])
            out[part] = {name: shown[name][i] if known else None for name in columns}
        return out

    def _show_classes(
        self, parts: dict[str, dict[str, int | None]], last_shown: bool
    ) -> tuple[list[disclosure.Shown], dict[str, disclosure.Shown]]:
        """The classes of each step and of each part.

        The last step's come first, as the parts and other tables add up to them; what `evaluate` tells of a part that
        it scores cannot be hidden here. A hidden number of stays must not be
        told by labels: there are none before the last step if a step is hidden at which stays without a label fall
        out, and none at all if a shut part is, which the labels of the opened ones would tell.
        """
        width = len(self._counts[0].classes)
        by_step: list[disclosure.Shown] = [[None] * width for _ in self._counts]
        by_part: dict[str, disclosure.Shown] = {part: [None] * width for part in self._parts}
        if not last_shown or any(parts[part]["stays"] is None for part in parts if part not in self._opened):
            return by_step, by_part
        rows = [list(self._parts[part].classes) for part in self._opened]
        shown = [parts[part]["stays"] is not None for part in self._opened]
        evaluated = [
            (i, k)
            for i, part in enumerate(self._opened)
            for k, n in enumerate(disclosure.suppress(rows[i], self._min_cell))
            if part != TRAIN and n is not None
        ]
        told, _, by_step[-1] = disclosure.suppress_table(rows, self._min_cell, shown, [None] * width, evaluated)
        by_part |= dict(zip(self._opened, told, strict=True))
        if None not in by_step[-1] and set(self.hidden_steps) <= LABELLED:
            by_step[:-1] = self._show_fallen_classes()
        return by_step, by_part

    def _show_fallen_classes(self) -> list[disclosure.Shown]:
        """The classes of the steps before the last: a table of what fell out at each, on top of the last's."""
        steps = list(pairwise(self._counts))
        rows = [[b - a for b, a in zip(one.classes, two.classes, strict=True)] for one, two in steps]
        drops = [one.stays - two.stays for one, two in steps]
        published = [
            False if gone else True if sum(row) == drop else None
            for row, drop, gone in zip(rows, drops, self._hidden, strict=False)
        ]
        shown, _, total = disclosure.suppress_table(rows, self._min_cell, published, [None] * len(rows[0]))
        out: list[disclosure.Shown] = []
        for i, one in enumerate(self._counts[:-1]):
            above = [n is not None and all(row[k] is not None for row in shown[:i]) for k, n in enumerate(total)]
            below = [all(row[k] is not None for row in shown[i:]) for k in range(len(total))]
            out.append([n if a or b else None for n, a, b in zip(one.classes, above, below, strict=True)])
        return out

    @staticmethod
    def _classes(classes: disclosure.Shown) -> dict[str, Any]:
        return {"classes": classes, "events": classes[1] if len(classes) == 2 else None}
