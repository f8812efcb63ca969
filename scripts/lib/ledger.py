"""The ledger of a cohort's split: in which part each stay's patient has ever been, so that nobody moves unnoticed.

A split by a keyed hash moves no patient. But a salt or shares that are changed move many, a warehouse that gives its
patients new ids with every load deals all of them anew, and two ids that turn out to be one person bring that person's
stays together. The first two would let a model be tested on those it was trained on, so they stop the run; the third is
what a hospital does every day, and is counted.

The table has a row a stay: visit_id, person_id (the patient's key), key_part, span (the window's bounds, or GONE). No
row is ever taken out but by a purge: who is gone is known when he comes back. Whether stays are gone is asked only of
spans that the run still has.
"""

from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lib.stage import StageError

GONE = "gone"


@dataclass
class Changes:
    """Between the ledger and today: stays that are new or gone, patients that are gone, stays of merged patients, and
    how many of these came to another part."""

    stays_new: int
    stays_gone: int
    patients_known: int
    patients_gone: int
    stays_known: int
    stays_merged: int
    stays_moved_by_merge: int

    def facts(self) -> dict[str, int]:
        return asdict(self)

    def any(self) -> bool:
        return bool(self.stays_new or self.stays_gone or self.stays_merged)


def compare(old: pa.Table, new: pa.Table, tolerance: float, name: str) -> Changes:
    """What changed between two ledgers; StageError for patients in another part, or ids that are not stable.

    `tolerance`: the share of patients that may be gone, and of stays that may be under another patient. `name` of the
    ledger's file, for the message.
    """
    before, after = _parts(old), _parts(new)
    moved = {key for key, part in before.items() if key in after and after[key] != part}
    if moved:
        stays = sum(key in moved for key in new["person_id"].to_pylist())
        raise StageError(
            f"{len(moved)} of {len(before)} patients ({stays} stays) would move to another part of the split, where a "
            "model may have seen them: was the salt, or a share of split.parts, changed? Undo it, or give the run "
            f"another name; to give up all that was measured under this one, move {name} aside"
        )
    known = old.filter(pc.is_in(old["span"], value_set=new["span"].unique()))
    known_patients = known["person_id"].unique().to_pylist()
    gone = sum(key not in after for key in known_patients)
    again = pc.index_in(new["visit_id"], value_set=old["visit_id"].combine_chunks())
    here, there = new.filter(pc.is_valid(again)), old.take(pc.drop_null(again))
    merged = pc.not_equal(here["person_id"], there["person_id"])
    moved_by_merge = pc.and_(merged, pc.not_equal(here["key_part"], there["key_part"]))
    changes = Changes(
        stays_new=new.num_rows - here.num_rows,
        stays_gone=pc.sum(_missing(known, new)).as_py() or 0,
        patients_known=len(known_patients),
        patients_gone=gone,
        stays_known=known.num_rows,
        stays_merged=pc.sum(merged).as_py() or 0,
        stays_moved_by_merge=pc.sum(moved_by_merge).as_py() or 0,
    )
    if gone > tolerance * len(known_patients) or changes.stays_merged > tolerance * known.num_rows:
        raise StageError(
            f"of {len(known_patients)} patients that the split knew in the same windows {gone} are gone, and "
            f"{changes.stays_merged} of {known.num_rows} stays are under another patient: does each load give patients "
            "new ids? Give the labels query a split_key that stays, or, if this is right, raise "
            f"split.ledger_tolerance (now {tolerance:g}) for this run"
        )
    return changes


def joined(old: pa.Table, new: pa.Table) -> pa.Table:
    """Today's rows, and those of the ledger that are not among them, in order of visit_id."""
    rest = old.filter(_missing(old, new)).select(new.column_names)
    if rest.num_rows:
        today = pc.is_in(rest["span"], value_set=new["span"].unique())
        rest = rest.set_column(rest.column_names.index("span"), "span", pc.if_else(today, GONE, rest["span"]))
    table = pa.concat_tables([new, rest.cast(new.schema)])
    return table.take(pc.sort_indices(table, [("visit_id", "ascending")])).combine_chunks()


def _missing(old: pa.Table, new: pa.Table) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(old["visit_id"], value_set=new["visit_id"].combine_chunks()))


def _parts(table: pa.Table) -> dict[object, str]:
    return dict(zip(table["person_id"].to_pylist(), table["key_part"].to_pylist(), strict=True))
