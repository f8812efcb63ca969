"""Small tables of a cohort's stages, for the tests of what comes after extraction."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from lib import shards

TIME = pa.timestamp("us")
START = datetime(2020, 1, 1)


def text_extract(path: Path, rows: list[dict[str, Any]], identity: pa.DataType | None = None) -> Path:
    """A text extract; a row needs visit_id and text, the rest has defaults."""
    kind = identity or pa.int64()
    schema = pa.schema(
        [("visit_id", kind), ("note_id", kind), ("person_id", kind), ("index_time", TIME), ("note_time", TIME)]
        + [(name, pa.string()) for name in ("note_time_kind", "note_time_precision", "note_role", "text")]
    )
    default = {
        "index_time": START,
        "note_time": START,
        "note_time_kind": "filed",
        "note_time_precision": "second",
        "note_role": "note",
    }
    filled = [{"note_id": row["visit_id"], "person_id": row["visit_id"], **default, **row} for row in rows]
    shards.write_parquet(path, schema, [pa.Table.from_pylist(filled, schema)])
    return path


def window_tables(stays: list[dict[str, Any]]) -> dict[str, pa.Table]:
    """The four tables `eligibility.decide` takes, from one description a stay.

    Keys: visit_id; person_id, day (of the index time, a day after the anchor), label, reason, part, text (None: no
    eligible note) or dropped; period, of all stays or of none.
    """
    stays = sorted(stays, key=lambda s: s["visit_id"])
    labels, split, clean, dropped = [], [], [], []
    for stay in stays:
        visit, person = stay["visit_id"], stay.get("person_id", stay["visit_id"])
        text, reason = stay.get("text", f"text {visit}"), stay.get("reason")
        anchor = START + timedelta(days=stay.get("day", 0) - 1)
        index = anchor + timedelta(days=1) if text is not None else None
        label = None if reason else stay.get("label", 0)
        labels.append(
            {"visit_id": visit, "person_id": person, "anchor_time": anchor, "index_time": index}
            | {"label_x": label, "reason_x": reason}
            | ({"split_period": stay["period"]} if "period" in stay else {})
        )
        split.append({"visit_id": visit, "person_id": person, "part": stay.get("part", "train")})
        if "dropped" in stay:
            dropped.append({"visit_id": visit, "reason": stay["dropped"]})
        elif text is not None:
            digest = text.encode()[:16].ljust(16)
            clean.append({"visit_id": visit, "note_id": stay.get("note_id", visit), "text_hash": digest})
    schemas = {
        "labels": [
            ("visit_id", pa.int64()),
            ("person_id", pa.int64()),
            ("anchor_time", TIME),
            ("index_time", TIME),
            ("label_x", pa.int64()),
            ("reason_x", pa.string()),
            *([("split_period", pa.string())] if any("period" in stay for stay in stays) else []),
        ],
        "split": [("visit_id", pa.int64()), ("person_id", pa.int64()), ("part", pa.string())],
        "clean": [("visit_id", pa.int64()), ("note_id", pa.int64()), ("text_hash", pa.binary(16))],
        "dropped": [("visit_id", pa.int64()), ("reason", pa.string())],
    }
    found = {"labels": labels, "split": split, "clean": clean, "dropped": dropped}
    return {name: pa.Table.from_pylist(found[name], pa.schema(schema)) for name, schema in schemas.items()}
