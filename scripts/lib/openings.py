"""The ledger of openings: each time a model predicted a test part, when, and under which configuration.

A test that is looked at again and again while models are chosen is a tuning part. So looking is entered before it is
done, in a file that only grows, and the certificate prints it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lib import shards
from lib.splits import TEMPORAL

TEST_PARTS = ("test", TEMPORAL)


def enter(path: Path, parts: Iterable[str], **facts: Any) -> bool:
    """Append an opening (date, parts, `facts`) to the ledger at `path` if any of `parts` is a test part."""
    opened = [part for part in parts if part in TEST_PARTS]
    if opened:
        shards.append_json(path, {"date": f"{datetime.now(UTC):%Y-%m-%d}", "parts": opened} | facts)
    return bool(opened)


def summary(path: Path) -> list[dict[str, Any]]:
    """Openings by configuration and task, in order of time: {config, task, first, last, models, predictions}."""
    grouped: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in shards.read_json_lines(path) if path.is_file() else ():
        key = entry["config"], entry["task"]
        one = grouped.setdefault(
            key, {"config": key[0], "task": key[1], "first": entry["date"], "models": [], "predictions": 0}
        )
        one["last"] = entry["date"]
        one["models"] = sorted({*one["models"], entry["model"]})
        one["predictions"] += 1
    return list(grouped.values())
