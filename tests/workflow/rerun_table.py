"""What must run again when something changes: rerun_table.yaml read, and as a page (docs/reruns.md).

`python tests/workflow/rerun_table.py` writes the page.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from checkout import ROOT, merged, small_config
from lib import jobs
from lib.config import Config

SOURCE = Path(__file__).with_suffix(".yaml")
PAGE = ROOT / "docs" / "reruns.md"
TABLE: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
NAMES = {
    "cohorts": "discharge",
    "labels": "readmission",
    "tasks": "readmission",
    "tokenizers": "notes",
    "models": "tiny",
    "baselines": "tfidf",
}
PARTS = {  # of a rule's jobs those of one kind
    "extract_text": "extract",
    "extract_labels": "extract",
    "dataset_tokens": "dataset",
    "dataset_features": "dataset",
}


@dataclass(frozen=True)
class Row:
    """One thing that changes: its kind (config, sql, code, lock, other), its name, and the rules that run, at most."""

    kind: str
    name: str
    runs: frozenset[str]
    given: Mapping[str, Any] = field(hash=False)

    @property
    def change(self) -> str:
        return str(self.given.get("fixed") or json.dumps(self.given.get("to"), ensure_ascii=False))


def rows() -> Iterator[Row]:
    for name, given in TABLE["config"].items():
        named = [] if given.get("resolve") is False or "fixed" in given else ["resolve"]
        yield Row("config", name, expanded([*given["runs"], *named]), given)
    for name, given in TABLE["sql"].items():
        yield Row("sql", name, expanded(given["runs"]), given)
    for group in TABLE["code"]:
        yield from (Row("code", name, expanded(group["runs"]), group) for name in group["files"])
    for name, given in TABLE["lock"].items():
        yield Row("lock", name, expanded(given["runs"]), given)
    for name, given in TABLE["other"].items():
        yield Row("other", name, expanded(given["runs"]), given)


def expanded(named: Iterable[str]) -> frozenset[str]:
    """The rules that `named` stands for: rules, groups, `rule+` with all that stands behind it."""
    found: set[str] = set()
    seen: set[str] = set()
    pending = list(named)
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in TABLE["groups"]:
            pending += TABLE["groups"][name]
            continue
        rule = name.removesuffix("+")
        found.add(PARTS.get(rule, rule))
        if name.endswith("+"):
            pending += TABLE["behind"].get(rule, ())
    if found - set(TABLE["by_name"]) - set(TABLE["always"]):
        found |= set(TABLE["always"])
    return frozenset(found)


def configs(row: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """The small run's configuration, or what gives the row a meaning, before and after its change."""
    if "example" in row.given:
        text = (ROOT / "config" / "examples" / f"{row.given['example']}.yaml").read_text(encoding="utf-8")
        before = merged(yaml.safe_load(text), {"name": "small", "source": {"sqlite": "some.sqlite"}})
    else:
        before = merged(small_config(), TABLE["with"][row.given["with"]] if "with" in row.given else {})
    after = deepcopy(before)
    if row.kind == "config" and "to" in row.given:
        for path, value in ((place(row), row.given["to"]), *row.given.get("also", {}).items()):
            *folders, last = path.split(".")
            block = after
            for folder in folders:
                block = block.setdefault(folder, {})
            both = isinstance(value, dict) and isinstance(block.get(last), dict)
            block[last] = block[last] | value if both else value
    return before, after


def place(row: Row) -> str:
    """A key's path with the names of the small run: models.*.max_tokens -> models.tiny.max_tokens."""
    parts = row.name.split(".")
    named = [row.given.get("name") or NAMES[parts[i - 1]] if part == "*" else part for i, part in enumerate(parts)]
    return ".".join(named)


def keys(model: type[BaseModel] = Config, before: str = "") -> Iterator[str]:
    """Every key of the configuration as a path; a name that the user chooses is `*`."""
    for name, described in model.model_fields.items():
        yield from _keys(described.annotation, f"{before}{name}")


def _keys(kind: Any, path: str) -> Iterator[str]:
    blocks = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel)]
    if blocks:
        yield from keys(blocks[0], f"{path}.*." if get_origin(kind) is dict else f"{path}.")
    else:
        yield path


def page() -> str:
    """The table for people."""
    everything = list(rows())
    order = [*jobs.FIRST, *TABLE["always"]]
    lines = [
        "# What runs again",
        "",
        "Made from [tests/workflow/rerun_table.yaml](../tests/workflow/rerun_table.yaml) by `make docs`; a test",
        "changes each of these on a finished run and compares. The rules named run at most: where what comes out of",
        "one is equal, nothing behind it is done. *On demand* are rules that run only when asked for by name.",
    ]
    titles = {
        "config": ("The configuration", "key", "tried with"),
        "sql": ("The queries", "file below workflow/sql", None),
        "code": ("The code", "files below scripts", None),
        "lock": ("The packages", "another version of", None),
        "other": ("Other things", "what is done", None),
    }
    for kind, (title, head, change) in titles.items():
        columns = [head, *([change] if change else []), "runs again", "on demand"]
        lines += ["", f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        grouped: dict[tuple[str, ...], list[Row]] = {}
        for row in everything:
            if row.kind == kind:
                cells = [f"`{row.change}`" if "to" in row.given else row.change] if change else []
                alone = (row.name,) if change else ()
                grouped.setdefault((*alone, *cells, *_told(row, order)), []).append(row)
        for key, members in grouped.items():
            names = ", ".join(row.name if kind == "other" else f"`{row.name}`" for row in members)
            note = f" ({members[0].given['note']})" if "note" in members[0].given else ""
            lines.append(f"| {names}{note} | {' | '.join(key[1:] if change else key)} |")
    return "\n".join(lines) + "\n"


def _told(row: Row, order: list[str]) -> tuple[str, str]:
    asked = [rule for rule in TABLE["by_name"] if rule in row.runs]
    runs = sorted(row.runs - set(asked), key=order.index)
    whole = [rule for rule in order if rule not in ("demo_hospital", "share", "resolve")]
    if set(whole) <= set(runs):
        runs = [*(rule for rule in runs if rule not in whole), "everything from `extract` on"]
        return ", ".join(runs), ", ".join(asked) or "–"
    return ", ".join(runs) or "nothing", ", ".join(asked) or "–"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
