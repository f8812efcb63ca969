"""What would run, and why: Snakemake's dry run, and each job's record against what it is asked for today.

Snakemake does not look beyond a checkpoint that has to run (the demo's database, an inventory, a dataset, a leakage
certificate). Behind one, a job runs for certain if its own settings, code or files have changed, or if it reads what
such a job makes and no checkpoint stands between them; any other runs only if the data come out different.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import jobs, reasons, records
from lib.code_changes import CodeChanges

if TYPE_CHECKING:
    from lib.plan import Plan

BEFORE_INVENTORY = ("extract", "clean", "split", "ledger", "inventory")
BEFORE_DATASET = ("tokenizer", "pretokenize", "duplicates", "eligibility", "dataset", "flow", "leakage")
FIRST = ("demo_hospital", "resolve")
NEVER = "never made"
OF_THE_RUN = "tells of the run"
UNKNOWN = "as Snakemake sees it: snakemake -n says why"


@dataclass(frozen=True)
class Why:
    """A reason, and the files that it is about: jobs of a rule are grouped by the text alone."""

    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explained:
    """A job that runs (`sure`), or that does if the data come out different, and why."""

    job: jobs.Planned
    why: tuple[Why, ...]
    sure: bool


class Explanation:
    """`pending`: Snakemake's dry run, as `dry_run` has it. `whole`: of a whole run, not of given targets."""

    def __init__(self, plan: "Plan", pending: Mapping[str, str], whole: bool = True) -> None:
        self._plan, self._pending, self._whole = plan, pending, whole
        self._changes = CodeChanges(Path(plan.private, "code"), plan.own_modules)
        self._made: dict[str, str] = {}  # by file, the stage of the job that makes it anew for certain
        self._open: set[tuple[str, ...]] = set()  # checkpoints that have to run, or may have to
        self.planned = list(jobs.planned(plan))
        self._config = self._config_changes()
        self.jobs = [found for job in self.planned if (found := self._explained(job))]
        for job in _aside(pending, {job.stage for job in self.planned}):
            self.planned.append(job)
            made = UNKNOWN if records.last(job.path(plan)) else NEVER
            self.jobs.append(Explained(job, (Why(OF_THE_RUN if job.stage in jobs.PROVENANCE else made),), True))

    @property
    def waits(self) -> list[str]:
        """The checkpoints that decide what else runs."""
        return list(dict.fromkeys(stage for stage, *_ in sorted(self._open)))

    def _explained(self, job: jobs.Planned) -> Explained | None:
        record = records.last(job.path(self._plan))
        pending = str(job.path(self._plan)) in self._pending
        maybe, hidden = self._behind(job)
        why = self._own(job, record) if pending or (hidden and self._whole) else []
        follows = self._follows(job, record, within=hidden)
        if not why and follows and (pending or (hidden and self._whole)):
            why = [Why("follows " + ", ".join(follows))]
        sure = bool(why) or (pending and not hidden)
        if not sure and not (maybe and (self._whole or pending)) and not (pending and hidden):
            return None
        self._note(job, record, sure)
        return Explained(job, tuple(why or [Why(UNKNOWN)]) if sure else (), sure)

    def _note(self, job: jobs.Planned, record: Mapping[str, Any] | None, sure: bool) -> None:
        wildcards = dict(job.wildcards)
        if job.stage in ("demo_hospital", "inventory", "leakage", "dataset"):
            self._open.add(
                (job.stage, *(wildcards[name] for name in ("cohort", "task", "encoding") if name in wildcards))
            )
        if sure:
            self._made |= dict.fromkeys(records.written(job.output, record) or (job.output,), job.stage)

    def _behind(self, job: jobs.Planned) -> tuple[bool, bool]:
        """Whether data may come out different before the job; and whether Snakemake has not looked at it yet."""
        if job.stage in FIRST:
            return False, False
        wildcards = dict(job.wildcards)
        maybe = ("demo_hospital",) in self._open
        if job.stage in BEFORE_INVENTORY:
            return maybe, maybe
        maybe = maybe or any(("inventory", cohort) in self._open for cohort in self._plan.cohorts_before(wildcards))
        if job.stage in BEFORE_DATASET:
            return maybe, maybe
        before = self._plan.datasets_before(wildcards)
        maybe = maybe or any(("dataset", *dataset) in self._open for dataset in before)
        return maybe, maybe or any(("leakage", task) in self._open for task, _ in before)

    def _follows(self, job: jobs.Planned, record: Mapping[str, Any] | None, within: bool) -> list[str]:
        """The stages whose files, to be made anew, the job read last time; `within`: with no checkpoint between."""
        stages = dict.fromkeys(self._made[name] for name in (record["inputs"] if record else ()) if name in self._made)
        return [stage for stage in stages if not within or _region(stage) == _region(job.stage)]

    def _own(self, job: jobs.Planned, record: Mapping[str, Any] | None) -> list[Why]:
        """What of the job itself is not as its record says."""
        path = job.path(self._plan)
        if record is None:
            return [Why("there is no record of how it came" if path.is_file() else NEVER)]
        why: list[Why] = []
        asked = self._plan.settings_of(job.stage, job.wildcards)
        if record["settings"] != asked:
            pair = json.loads(record["settings"]), json.loads(asked)
            why += map(Why, reasons.texts(job.stage, dict(job.wildcards), *pair, self._config))
        if record["code"] != self._plan.code(job.stage):
            changed = self._changes.since(job.stage, record["code"])
            why.append(Why(f"code: {', '.join(changed) or 'its own or a module that it imports'}"))
        written = records.written(job.output, record)
        found = list(reasons.files({name: self._plan.path(name) for name in written}, written))
        for kind, text in (("missing", "a file is missing"), ("edited", "a file was edited")):
            if names := tuple(name for of_kind, name in found if of_kind == kind):
                why.append(Why(text, tuple(name.partition("/")[2] for name in names)))
        return why

    def _config_changes(self) -> dict[str, tuple[Any, Any]]:
        """What has changed in the configuration since the last run, by dotted key."""
        [job] = [job for job in self.planned if job.stage == "resolve"]
        record = records.last(job.path(self._plan))
        if record is None:
            return {}
        now = json.loads(self._plan.settings_of("resolve", ()))
        return {key: (old, new) for key, old, new in reasons.differences(json.loads(record["settings"]), now)}


def _aside(pending: Mapping[str, str], known: Collection[str]) -> Iterator[jobs.Planned]:
    """The jobs of other rules, asked for by name or telling of the run; the files of one differ in their ending."""
    first: dict[tuple[str, str], str] = {}
    for file, rule in pending.items():
        if rule not in known:
            first.setdefault((rule, "" if rule in jobs.PROVENANCE else file.partition(".")[0]), file)
    yield from (jobs.Planned(rule, (), file) for (rule, _), file in first.items())


def _region(stage: str) -> int:
    """Between which checkpoints a stage stands."""
    if stage in FIRST:
        return -1
    return 0 if stage in BEFORE_INVENTORY else 1 if stage in BEFORE_DATASET else 2
