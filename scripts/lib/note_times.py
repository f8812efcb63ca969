"""What a certificate says of time: when notes were filed, and the order of index times, label windows and parts."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.splits import TEMPORAL, temporal_begin
from lib.verdicts import Check, Checks

LATER = {
    "filed": "notes filed after the index time",
    "written": "notes written after the index time",
    "date": "notes dated after the day of the index time",
}


def of_time(
    checks: Checks, rows: pa.Table, extracts: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> Iterator[Check]:
    """Checks from the eligible `rows` and the manifests of the text extracts; `settings` as `leakage.certificate`'s."""
    yield from _later(checks, extracts)
    yield from _lags(checks, rows, settings["anchor"])
    yield from _order(checks, rows, settings)


def _later(checks: Checks, extracts: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """A later note stops `extract`, so what is left to know is which kind of time the notes have."""
    kinds = [manifest["counts"]["by_time_kind"] for manifest in extracts]
    counted = {kind: sum(window[kind] for window in kinds) for kind in (*LATER, "none")}
    notes = sum(counted.values())
    told = ", ".join(f"{checks.told(number, notes)} {kind}" for kind, number in counted.items())
    for kind, name in LATER.items():
        if counted[kind]:
            yield checks.none(name, 0, f"checked by extract on {checks.told(counted[kind], notes)} of {notes} notes")
        else:
            yield checks.unknown(name, 0, f"no note has such a time; of {notes}: {told}")
    yield checks.count("notes without a time", counted["none"], notes)


def _lags(checks: Checks, rows: pa.Table, anchor: str) -> Iterator[Check]:
    """How long after its anchor a stay is predicted, in hours; the longest is rounded up, as it is one stay's."""
    names = [f"hours from anchor to index time, {what}" for what in ("median", "9 of 10 within", "longest")]
    waits = pc.subtract(rows["index_time"], rows["anchor_time"]).cast(pa.int64()).to_numpy() / 3_600_000_000
    if anchor == "none" or not len(waits):
        why = "the cohort has no anchor" if anchor == "none" else "there are no rows"
        yield from (checks.unknown(name, None, why) for name in names)
        return
    hours = [*np.round(np.percentile(waits, [50, 90]), 1).tolist(), math.ceil(waits.max())]
    for name, value in zip(names, hours, strict=True):
        shown = checks.shown(value, len(waits))
        yield checks.number(name, shown, None, f"of {checks.told(len(waits))} rows, from {anchor}")


def _order(checks: Checks, rows: pa.Table, settings: Mapping[str, Any]) -> Iterator[Check]:
    reaching, day = "label windows that reach the temporal test", settings["temporal_from"]
    if day is None and not settings["temporal_periods"]:
        yield checks.unknown(reaching, 0, "the split has no temporal_from and no temporal_periods")
        return
    horizon = timedelta(days=settings["horizon_days"])
    complete = horizon + timedelta(days=settings["maturity_days"])
    later = pc.equal(rows["part"], TEMPORAL)
    temporal, others = _timed(rows.filter(later)), _timed(rows.filter(pc.invert(later)))
    first: dict[Any, datetime] = {}
    for patient, time in temporal:
        first[patient] = min(time, first.get(patient, time))
    # When it begins for the patient of each earlier row; None: never, as no two patients' shifted dates compare.
    earlier = [(time, temporal_begin(day, first, patient)) for patient, time in others]
    reach = sum(begins is not None and time + horizon >= begins for time, begins in earlier)
    since = day or "the same patient's first stay in it, as dates are shifted"
    yield checks.none(reaching, reach, f"{horizon.days} days before {since}")
    late = sum(begins is not None and time + complete >= begins for time, begins in earlier)
    detail = f" rows; {complete.days} days after the prediction, horizon and maturity"
    yield checks.count("earlier labels complete only in the temporal test's time", late, len(earlier), detail)
    before = "temporal test rows before its first day"
    if day is None:
        yield checks.unknown(before, 0, "the test is told by periods: shifted dates do not say which came first")
    else:
        begins = datetime.fromisoformat(day)
        yield checks.none(before, sum(time < begins for _, time in temporal), "by index time")


def _timed(rows: pa.Table) -> list[tuple[Any, datetime]]:
    """(patient, index time) of each row."""
    return list(zip(rows["person_id"].to_pylist(), rows["index_time"].to_pylist(), strict=True))
