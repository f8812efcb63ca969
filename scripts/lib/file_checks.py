"""The files of a run against the records of the jobs that made them, the manifests beside them, and what others read.

One cause gives few findings: a file is compared with the record of its own job, what a job read with the records of the
jobs that made that. So what merely stands on a wrong file is told as affected, and is no finding of its own.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.files import read_json
from lib.findings import SHOWN, Finding, first, short
from lib.links import Links, Made

if TYPE_CHECKING:
    from lib.plan import Plan

FITS = ("finetune", "baseline")


def checked(plan: "Plan", links: Links) -> Iterator[Finding]:
    """Outputs, manifests, models and inputs of every job; of those that never ran a line a stage."""
    never: dict[str, list[Made]] = {}
    for made in links.jobs:
        if not made.record and links.digest(made.job.output) is None:
            never.setdefault(made.stage, []).append(made)
            continue
        yield from _outputs(links, made)
        if made.record:
            yield from _manifests(links, made)
            yield from _model(links, made)
            yield from _inputs(plan, links, made)
    for stage, jobs in never.items():
        told = f"there is no such file, and no record that {stage} ran"
        yield Finding("missing", first(jobs), told, jobs)


def _outputs(links: Links, made: Made) -> Iterator[Finding]:
    """What a job wrote, against its record."""
    if not made.record:
        yield Finding("record", made.job.output, made.fault, [made])
        return
    for name, recorded in made.outputs.items():
        now = links.digest(name)
        if now is None:
            yield Finding("missing", name, f"there is no such file; its record has {short(recorded)}", [made])
        elif now != recorded:
            yield Finding(*_changed(links, made, name, now, recorded), [made])


def _changed(links: Links, made: Made, name: str, now: str, recorded: str) -> tuple[str, str, str]:
    told = f"it is {short(now)}, its record has {short(recorded)}"
    other = links.by_digest.get(now)
    if made.stage in FITS and name.endswith(".safetensors"):
        whose = f"those of {other}" if other else "of no fit of this run"
        return "model", name, f"{told}: these weights are {whose}, not the ones that its history led to"
    if other:
        return "swapped", name, f"{told}: it is the file that {other} should be"
    if (described := _described(links, name)) is not None:
        wrong = _disagreements(links, name, described)
        return "manifest", name, f"{told}{''.join(f'; {one}' for one in wrong[:SHOWN])}"
    return "edited", name, told


def _manifests(links: Links, made: Made) -> Iterator[Finding]:
    """A manifest that is as recorded, and tells of other files than lie beside it."""
    for name, recorded in made.outputs.items():
        described = _described(links, name) if links.digest(name) == recorded else None
        if described and (wrong := _disagreements(links, name, described, made.outputs)):
            yield Finding("manifest", name, "; ".join(wrong[:SHOWN]), [made])


def _described(links: Links, name: str) -> Mapping[str, Any] | None:
    """What a manifest says of its files, by name; None for another file."""
    if not name.endswith(".json") or name.startswith("<results>") or not links.path(name).is_file():
        return None
    try:
        files = read_json(links.path(name)).get("files")
    except (ValueError, AttributeError):
        return None
    return files if isinstance(files, dict) and all("sha256" in facts for facts in files.values()) else None


def _disagreements(
    links: Links, name: str, described: Mapping[str, Any], recorded: Mapping[str, str] | None = None
) -> list[str]:
    """What a manifest says of its files that is not so; of those only that are as `recorded`, if it is given."""
    found = []
    for file, facts in described.items():
        beside = f"{name.rpartition('/')[0]}/{file}"
        now = links.digest(beside)
        if now not in (None, facts["sha256"]) and (recorded is None or recorded.get(beside) == now):
            found.append(f"it says {short(str(facts['sha256']))} of {file}, which is {short(str(now))}")
    return found


def _model(links: Links, made: Made) -> Iterator[Finding]:
    """Whether a fit's manifest and history tell of this fit and of the data that its record says it has read."""
    folder = made.job.output.rpartition("/")[0]
    name = f"{folder}/manifest.json"
    if made.stage not in FITS or links.digest(name) is None:
        return
    try:
        wrong = list(_contradictions(links, made, read_json(links.path(name)), folder))
    except (ValueError, KeyError, TypeError, AttributeError):
        wrong = ["its manifest or history cannot be read"]
    if wrong:
        yield Finding("model", name, "; ".join(wrong[:SHOWN]), [made])


def _contradictions(links: Links, made: Made, manifest: Mapping[str, Any], folder: str) -> Iterator[str]:
    read = {Path(name).name: digest for name, digest in made.inputs.items() if name.startswith("<")}
    for part, digest in manifest["data"].items():
        if read.get(f"{part}.arrow") != digest:
            yield f"it tells of {part} rows {short(digest)}, its record of {short(read.get(f'{part}.arrow'))}"
    for key in ("size", "seed"):
        if str(manifest[key]) != made.wildcards[key]:
            yield f"it tells of {key} {manifest[key]}"
    if made.stage == "finetune":
        history, chosen = read_json(links.path(f"{folder}/history.json")), manifest["tuning"]
        best = history["best"]
        for key, value in (("step", best["step"]), ("value", best[f"tuning_{history['metric']}"])):
            if chosen[key] != value:
                yield f"it tells of {key} {chosen[key]}, the history's best has {value}"
        if (own := made.outputs.get(f"{folder}/tokenizer.json")) != read.get("tokenizer.json"):
            yield f"its tokenizer is {short(own)}, that which it was trained with {short(read.get('tokenizer.json'))}"


def _inputs(plan: "Plan", links: Links, made: Made) -> Iterator[Finding]:
    """What a job read, against the records of the jobs that made it."""
    other: list[str] = []
    for name, read in made.inputs.items():
        if made.stage == "extract" or (name.startswith("<private>/stamps/") and made.stage != "inventory"):
            continue  # a database grows; `--source` asks it again
        now = _now(plan, links, made, name)
        if now == "unmade":
            if made.record and made.record["settings"] == plan.settings_of(made.stage, made.job.wildcards):
                told = f"made from {name}, which no job of this configuration has made"
                yield Finding("stale", made.job.output, told, [made])  # with other settings it is told by these
        elif now is not None and now != read:
            other.append(f"{name} (read {short(read)}, now {short(now)})")
    if other:
        more = f" and {len(other) - 1} more" if len(other) > 1 else ""
        yield Finding("stale", made.job.output, f"made from another version of {other[0]}{more}", [made])


def _now(plan: "Plan", links: Links, made: Made, name: str) -> str | None:
    """The hash that an input should have: by its maker's record, or as it lies there; None where nothing tells."""
    if not name.startswith("<"):
        return next((links.hashed(path) for path in _start_files(plan, made) if path.name == name), None)
    if name in links.maker:
        return links.maker[name].outputs[name]
    if name.startswith("<private>/stamps/"):
        return links.digest(name)
    unknown = (other for other in links.jobs if not other.record and other.may_have_made(name))
    return None if any(unknown) else "unmade"


def _start_files(plan: "Plan", made: Made) -> list[Path]:
    """The files of the local folder that a model starts from, or that a tokenizer is."""
    block = {"finetune": "models", "tokenizer": "tokenizers"}.get(made.stage)
    name = made.wildcards.get("model", made.wildcards.get("tokenizer", ""))
    return [Path(path) for path in plan.local_files(block, name)] if block else []
