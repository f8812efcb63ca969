"""Prediction files and the yes-or-no questions they answer.

A prediction file has one row a stay: visit_id, note_id, person_id (integers or text), index_time, seen, label and one
probability a class, p_0..p_{K-1}. It is read into arrays sorted by visit_id, and scored in the order `by_content`, so
that no figure depends on the order of its rows or on an id: rows that were given other ids (`lib.sharing`) have equal
figures, intervals included. A task with K classes is scored as questions: one for a binary task (label 1), one a class
otherwise (this class against the rest), and for ordered classes also one a cut (above class k), which is the form that
is acted on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib import shards
from lib.stage import StageError

KEYS = ("visit_id", "note_id", "person_id")
SUM_TOLERANCE = 1e-5  # a single-precision softmax over a few classes is within 1e-6


@dataclass(frozen=True)
class Predictions:
    """n rows of K classes.

    `keys`: table of KEYS; `person` (n,) int64 in 0..persons-1; `seen` (n,) bool; `label` (n,) int64 in 0..K-1;
    `p` (n, K) float64, rows summing to 1.
    """

    keys: pa.Table
    person: NDArray[np.int64]
    persons: int
    seen: NDArray[np.bool_]
    label: NDArray[np.int64]
    p: NDArray[np.float64]

    @property
    def rows(self) -> int:
        return len(self.label)

    @property
    def classes(self) -> int:
        return self.p.shape[1]

    def where(self, mask: NDArray[np.bool_]) -> "Predictions":
        """The rows where `mask` (n,) is true, patients numbered anew."""
        return self.take(np.flatnonzero(mask))

    def take(self, rows: NDArray[np.int64]) -> "Predictions":
        """The rows at these positions, in this order, patients numbered in the order in which they now appear."""
        keys = self.keys.take(pa.array(rows))
        person, persons = _number(keys["person_id"])
        return replace(
            self,
            keys=keys,
            person=person,
            persons=persons,
            seen=self.seen[rows],
            label=self.label[rows],
            p=self.p[rows],
        )


def _number(person_id: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    """Patients as 0, 1, ... in the order in which they first appear."""
    coded = person_id.combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), len(coded.dictionary)


def read(path: Path, classes: int | None = None) -> Predictions:
    """Read one prediction file; `classes` is the K expected, None takes what the file has.

    StageError: missing columns, another K, nulls, repeated visits, labels outside 0..K-1, probabilities that are not
    finite, outside 0..1 or do not sum to 1; each with the file and a count.
    """
    return of_table(shards.read_parquet(path), f"{path.parent.name}/{path.name}", classes)


def of_table(table: pa.Table, name: str, classes: int | None = None) -> Predictions:
    """`read`, of a table that is at hand; `name` is what an error calls it."""
    columns = [f"p_{k}" for k in range(sum(c.startswith("p_") for c in table.column_names))]
    missing = [c for c in (*KEYS, "seen", "label", *columns) if c not in table.column_names]
    if missing or len(columns) < 2:
        raise StageError(f"{name}: no column {', '.join(missing) or 'p_0, p_1'}; is it a prediction file?")
    if classes is not None and len(columns) != classes:
        raise StageError(f"{name}: probabilities of {len(columns)} classes, the task has {classes}")
    for column in (*KEYS, "seen", "label", *columns):
        if nulls := table[column].null_count:
            raise StageError(f"{name}: {nulls} of {table.num_rows} values of {column} are null")
    table = table.take(pc.sort_indices(table, sort_keys=[("visit_id", "ascending")]))
    if repeated := table.num_rows - pc.count_distinct(table["visit_id"]).as_py():
        raise StageError(f"{name}: {repeated} of {table.num_rows} rows repeat a visit_id; one row a stay is expected")
    label = table["label"].to_numpy().astype(np.int64)
    p = np.column_stack([table[c].to_numpy().astype(np.float64) for c in columns])
    if wrong := int(((label < 0) | (label >= len(columns))).sum()):
        raise StageError(f"{name}: {wrong} of {len(label)} labels are outside 0..{len(columns) - 1}")
    bad = ~((p >= 0) & (p <= 1)).all(axis=1) | ~(np.abs(p.sum(axis=1) - 1) < SUM_TOLERANCE)
    if wrong := int(bad.sum()):
        raise StageError(f"{name}: {wrong} of {len(label)} rows of p_* are not probabilities that sum to 1")
    person, persons = _number(table["person_id"])
    return Predictions(table.select(list(KEYS)), person, persons, table["seen"].to_numpy(), label, p)


def by_content(fits: Sequence[Predictions]) -> list[Predictions]:
    """The same rows predicted by several fits, all in one order that labels and probabilities alone decide.

    A patient's rows are sorted by label and the fits' probabilities, patients by these lists. A replicate draws
    patients by their number, so this order is part of what an interval is; patients who are equal in all of it can
    change places and no figure tells. `fits` must be in one order of rows, as `read` gives it.
    """
    first = fits[0]
    values = np.column_stack([first.label, *(fit.p for fit in fits)]).astype(np.float64)
    rows = np.lexsort([*values.T[::-1], first.person])
    borders = np.searchsorted(first.person[rows], np.arange(first.persons + 1))
    patients = [slice(start, end) for start, end in pairwise(borders)]
    as_bytes = values[rows].astype(">f8")  # numbers from 0 on sort as their big-endian bytes
    patients.sort(key=lambda patient: as_bytes[patient].tobytes())
    order = np.concatenate([rows[patient] for patient in patients] or [rows])
    return [fit.take(order) for fit in fits]


def require_same_rows(first: Predictions, other: Predictions, first_name: str, other_name: str) -> None:
    """StageError with counts unless both have the same stays, notes, patients and labels."""
    rows = f"{first_name} has {first.rows} rows, {other_name} {other.rows}"
    again = "; predict both from the same dataset"
    types = [[str(keys.schema.field(k).type) for k in KEYS] for keys in (first.keys, other.keys)]
    if types[0] != types[1]:
        raise StageError(f"{first_name} and {other_name} have keys of different types ({types[0]}, {types[1]}){again}")
    only = [
        int(pc.sum(pc.invert(pc.is_in(a["visit_id"], b["visit_id"].combine_chunks()))).as_py() or 0)
        for a, b in ((first.keys, other.keys), (other.keys, first.keys))
    ]
    if any(only):
        raise StageError(f"{rows}; {only[0]} stays are only in the first, {only[1]} only in the second{again}")
    for key in ("note_id", "person_id"):
        if differing := int(pc.sum(pc.not_equal(first.keys[key], other.keys[key])).as_py() or 0):
            raise StageError(f"{rows}; {differing} have another {key}{again}")
    if differing := int((first.label != other.label).sum()):
        raise StageError(f"{rows}; {differing} labels differ{again}")


@dataclass(frozen=True)
class Question:
    """One yes-or-no question: `y` (n,) bool, did it happen; `p` (n,) float64, its probability.

    `group` is "event" (binary), "classes" or "cuts"; `name` the class, or "> class" for a cut.
    """

    group: str
    name: str
    y: NDArray[np.bool_]
    p: NDArray[np.float64]

    @property
    def key(self) -> str:
        return f"{self.group}/{self.name}"


def questions(task: Mapping[str, Any], label: NDArray[np.int64], p: NDArray[np.float64]) -> list[Question]:
    """The questions of a task, in a fixed order. `label` (n,) int64, `p` (n, K) float64.

    `task` has kind (binary, bins, classes), classes (K), class_names (K) and ordered. StageError when they disagree.
    """
    names: Sequence[str] = task["class_names"]
    classes = int(task["classes"])
    if len(names) != classes or len(set(names)) != classes or p.shape[1] != classes:
        raise StageError(f"a task of {classes} classes has {len(names)} names and {p.shape[1]} probabilities")
    if task["kind"] == "binary":
        if classes != 2:
            raise StageError(f"a binary task has {classes} classes; it needs 2")
        return [Question("event", names[1], label == 1, p[:, 1])]
    single = [Question("classes", name, label == k, p[:, k]) for k, name in enumerate(names)]
    if not task.get("ordered"):
        return single
    cuts = [
        Question("cuts", f"> {names[k]}", label > k, np.clip(p[:, k + 1 :].sum(axis=1), 0.0, 1.0))
        for k in range(classes - 1)
    ]
    return single + cuts
