"""What a run was asked for and ran with, against today: settings, code, the working tree, libraries; and notes."""

import json
import platform
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import provenance, reasons, records, revision
from lib.code_changes import CodeChanges
from lib.findings import Finding, first, stages
from lib.jobs import FIRST
from lib.links import Links, Made
from lib.submitted import CODE

if TYPE_CHECKING:
    from lib.plan import Plan

DATABASE = "<private>/hospital.sqlite"
UNKNOWN = "what, cannot be told, as no copy of its code is left"


def checked(plan: "Plan", links: Links) -> Iterator[Finding]:
    yield from _asked_otherwise(plan, links)
    yield from _tree(links)
    yield from _versions(links)


def _asked_otherwise(plan: "Plan", links: Links) -> Iterator[Finding]:
    """Settings and code of today, against those of the run; jobs of a stage that differ alike in one line."""
    changes = CodeChanges(Path(plan.private, "code"), plan.own_modules)
    config = _config_changes(plan, links)
    found: dict[tuple[str, str, str], list[Made]] = {}
    for made in links.jobs:
        if not made.record:
            continue
        asked = plan.settings_of(made.stage, made.job.wildcards)
        if made.record["settings"] != asked:
            told = "; ".join(_settings(made, asked, config)) or "written otherwise"
            found.setdefault(("settings", made.stage, told), []).append(made)
        if made.record["code"] != plan.code(made.stage):
            changed = changes.since(made.stage, made.record["code"])
            told = f"changed since the run: {', '.join(changed) or UNKNOWN}"
            found.setdefault(("code", made.stage, told), []).append(made)
    for (kind, stage, told), jobs in found.items():
        yield Finding(kind, first(jobs), f"{stage}: {told}", jobs)


def _config_changes(plan: "Plan", links: Links) -> dict[str, tuple[Any, Any]]:
    """(at the run, today) of each key of the configuration that differs, by what `resolve` was asked for."""
    pairs = ((made, plan.settings_of(made.stage, made.job.wildcards)) for made in links.of("resolve"))
    return {key: (old, new) for made, asked in pairs for key, old, new in _differences(made, asked)}


def _differences(made: Made, asked: str) -> list[tuple[Any, ...]]:
    try:
        return list(
            reasons.differences(json.loads(made.record["settings"] if made.record else asked), json.loads(asked))
        )
    except ValueError:
        return []


def _settings(made: Made, asked: str, config: dict[str, tuple[Any, Any]]) -> list[str]:
    assert made.record
    try:
        before = json.loads(made.record["settings"])
    except ValueError:
        return ["the record's settings are no JSON"]
    told = reasons.texts(made.stage, made.wildcards, before, json.loads(asked), config)
    return [_without_folders(one) for one in told]


def _without_folders(text: str) -> str:
    """A path of the host by its last name alone."""
    return re.sub(r"(?<![\w.<>])/\S*/(\S+)", r"\1", text)


def _tree(links: Links) -> Iterator[Finding]:
    """Code that was, or is, changed and not committed."""
    made = [made for made in links.jobs if made.record and made.record["dirty"]]
    if made:
        yield Finding("dirty", first(made), f"ran code that was changed and not committed ({stages(made)})", made)
    now = revision.of(Path.cwd(), CODE)
    if now["dirty"]:
        told = f"the code differs from commit {now['commit'][:10]} and is not committed"
        yield Finding("dirty", "the working tree", told, mend="commit it, or put it back")


def _versions(links: Links) -> Iterator[Finding]:
    """The libraries that jobs ran with, against the lock."""
    found: dict[tuple[str, str], list[Made]] = {}
    for made in links.jobs:
        for name, version in (made.record["versions"] if made.record else {}).items():
            if version.partition("+")[0] != provenance.locked_version(name):
                found.setdefault((name, version), []).append(made)
    for (name, version), jobs in found.items():
        locked = provenance.locked_version(name) or "none"
        told = f"ran with {name} {version}, requirements.lock has {locked} ({stages(jobs)})"
        yield Finding("versions", first(jobs), told, jobs)


def notes(links: Links) -> Iterator[str]:
    """What is worth knowing and says nothing against the run."""
    made = [made for made in links.jobs if made.record]
    now = revision.of(Path.cwd(), CODE)["commit"]
    commits = Counter(str(one.record["commit"]) for one in made if one.record)
    if unknown := commits.pop("None", 0):
        yield f"of the code of {unknown} jobs no git revision is known"
    pythons = Counter(one.record["python"] for one in made if one.record)
    for version, jobs in sorted(pythons.items()):
        if version != platform.python_version():
            yield f"{jobs} jobs ran on Python {version}, this is {platform.python_version()}"
    for commit, jobs in sorted(commits.items()):
        if now and commit != now:
            yield f"{jobs} jobs ran at commit {commit[:10]}, this is {now[:10]}; where code differs, it is told above"
    if former := sorted(_former(links)):
        counted = Counter(name.split("/")[1] for name in former)
        told = ", ".join(f"{folder} {number}" for folder, number in counted.items())
        yield f"files of {len(former)} jobs of other configurations lie here ({told}), the first {former[0]}"
    if DATABASE in links.maker:
        now_there = links.maker[DATABASE].outputs[DATABASE]
        if others := sum(made.inputs.get(DATABASE, now_there) != now_there for made in links.of("extract")):
            yield f"{others} extracts were made from a former state of the database; --source asks it again"


def _former(links: Links) -> Iterator[str]:
    """First outputs, with a record, that no job of the configuration writes."""
    known = {made.job.output for made in links.jobs}
    for folder in sorted({"/".join(pattern.split("/")[:2]) for pattern in FIRST.values() if pattern.count("/") > 1}):
        top = links.path(folder)
        for path in top.rglob(f"*{records.ENDING}"):
            name = f"{folder}/{path.relative_to(top).as_posix().removesuffix(records.ENDING)}"
            if name not in known:
                yield name
