"""Rows for a reviewer: labels and probabilities under random keys, from which the report's figures come out again.

One table a task. A row has a random key of the stay and one of the patient, its part, its label, coarse groups, and
for every fit whether the patient was seen in training and the probabilities, `<model>/<size>-<seed>/p_0`, ..., in full
precision. Left out are ids, times, notes and the order of the rows: they stand in the order of their keys.

A key is a BLAKE2b hash of task and id under a secret that stays in the private root: the same at each rerun, another in
each task's table, so that tables cannot be joined, and not to be traced back by whoever tries all ids. Groups of fewer
patients than `min_group` in a part are pooled, alone and in combination, and with them the smallest of the others until
the pool is as large.
"""

import os
import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from lib import canonical_json, predictions, shards
from lib.predictions import Predictions
from lib.stage import StageError

OTHER = "other"
SECRET_BYTES = 32
Cell = TypeVar("Cell", bound=Hashable)


def secret(path: Path) -> bytes:
    """The secret in the file at `path`, drawn and written there (readable by its owner alone) when there is none.

    StageError for a file that holds something else.
    """
    if not path.is_file():
        drawn = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with open(os.open(drawn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(drawn, path)  # whole, and of several jobs the first one's
        except FileExistsError:
            pass
        finally:
            drawn.unlink()
    try:
        value = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        value = b""
    if len(value) != SECRET_BYTES:
        raise StageError(f"{path.name} does not hold a secret; remove it, and the rows are shared under new keys")
    return value


def keyed(secret: bytes, task: str) -> Callable[[str, Sequence[Any]], list[str]]:
    """A function of what is named (row, cluster) and the ids: 32 hexadecimal digits each."""

    def keys(what: str, ids: Sequence[Any]) -> list[str]:
        return [
            blake2b(canonical_json([task, what, str(one)]).encode(), key=secret, digest_size=16).hexdigest()
            for one in ids
        ]

    return keys


def coarse(groups: Sequence[Sequence[str | None]], persons: Sequence[Any], least: int) -> list[list[str]]:
    """The columns `groups` (n values each) of n rows of `persons`, small values and small combinations made OTHER."""
    if not groups:
        return []
    columns = [_pooled([value or OTHER for value in column], persons, OTHER, least, 0) for column in groups]
    cells = _pooled(list(zip(*columns, strict=True)), persons, (OTHER,) * len(columns), least, least)
    return [[cell[i] for cell in cells] for i in range(len(columns))]


def _pooled(cells: Sequence[Cell], persons: Sequence[Any], other: Cell, least: int, pool: int) -> list[Cell]:
    """The cells, those of fewer than `least` persons made `other`, and the smallest others until it has `pool`."""
    members: dict[Cell, set[Any]] = {}
    for cell, person in zip(cells, persons, strict=True):
        members.setdefault(cell, set()).add(person)
    small = {cell for cell, patients in members.items() if len(patients) < least or cell == other}
    pooled = set().union(*(members[cell] for cell in small))
    for cell in sorted(members.keys() - small, key=lambda cell: (len(members[cell]), str(cell))):
        if 0 < len(pooled) < pool:
            small.add(cell)
            pooled |= members[cell]
    return [other if cell in small else cell for cell in cells]


def group_values(shards_: Sequence[Path], names: Sequence[str], stays: pa.ChunkedArray) -> list[list[str | None]]:
    """Each group's values of the `stays`, in their order. StageError for a group that the labels query has not."""
    columns = [f"group_{name}" for name in names]
    found: dict[Any, tuple[str | None, ...]] = {}
    wanted = stays.combine_chunks()
    for path in shards_ if names else ():
        if missing := [column for column in columns if column not in shards.parquet_schema(path).names]:
            raise StageError(f"the labels query has no column {', '.join(missing)}; share.groups names it")
        table = shards.read_parquet(path, ["visit_id", *columns])
        table = table.filter(pc.is_in(table["visit_id"], wanted))
        values = (table[column].to_pylist() for column in columns)
        found |= dict(zip(table["visit_id"].to_pylist(), zip(*values, strict=True), strict=True))
    if names and (lost := sum(stay not in found for stay in stays.to_pylist())):
        raise StageError(f"{lost} of {len(stays)} predicted stays are in no labels shard; predict again")
    return [[found[stay][i] for stay in stays.to_pylist()] for i in range(len(names))]


def table_of(
    part: str,
    fits: Mapping[str, Predictions],
    groups: Mapping[str, list[str | None]],
    keys: Callable[[str, Sequence[Any]], list[str]],
    min_group: int,
) -> pa.Table:
    """The rows of one part. `fits` by their paths, all on the same rows; `groups`: each one's values of these rows."""
    first_name, first = next(iter(fits.items()))
    for name, fit in fits.items():
        predictions.require_same_rows(first, fit, f"{first_name}/{part}", f"{name}/{part}")
    persons = first.keys["person_id"].to_pylist()
    columns: dict[str, pa.Array] = {
        "row": pa.array(keys("row", first.keys["visit_id"].to_pylist()), pa.string()),
        "cluster": pa.array(keys("cluster", persons), pa.string()),
        "part": pa.array([part] * first.rows, pa.string()),
        "label": pa.array(first.label, pa.int64()),
    }
    for name, values in zip(groups, coarse(list(groups.values()), persons, min_group), strict=True):
        columns[f"group_{name}"] = pa.array(values, pa.string())
    for name, fit in fits.items():
        columns[f"{name}/seen"] = pa.array(fit.seen)
        columns |= {f"{name}/p_{k}": pa.array(fit.p[:, k], pa.float64()) for k in range(fit.classes)}
    return pa.table(columns)


def in_order_of_keys(tables: Sequence[pa.Table]) -> pa.Table:
    """All parts in one table, sorted by the random keys of the rows."""
    return pa.concat_tables(tables).sort_by("row").combine_chunks()


def predictions_of(table: pa.Table, fit: str, part: str, classes: int) -> Predictions:
    """What a fit predicted for a part, read back from a shared table: random keys stand where ids stood."""
    rows = table.filter(pc.equal(table["part"], part))
    renamed = {"visit_id": "row", "note_id": "row", "person_id": "cluster", "label": "label", "seen": f"{fit}/seen"}
    renamed |= {f"p_{k}": f"{fit}/p_{k}" for k in range(classes)}
    if missing := [column for column in renamed.values() if column not in rows.column_names]:
        raise StageError(f"the shared table has no column {', '.join(missing)}")
    return predictions.of_table(pa.table({name: rows[c] for name, c in renamed.items()}), f"{fit}/{part}", classes)
