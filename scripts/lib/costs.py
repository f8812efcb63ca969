"""What jobs would take, from what such jobs took before: their records.

Of a job's own records the longest of the last five with the same settings counts, for a finetune that found its model
in the store took no time; a job that had to begin several times counts as often. The estimate is the median over the
jobs most like it: itself, else those of its task and model, else of its model, else of its stage.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lib import jobs, records

if TYPE_CHECKING:
    from lib.plan import Plan

LAST = 5


@dataclass(frozen=True)
class Cost:
    """Seconds of a job and the GPUs that it keeps; `source`: records, arithmetic, store, or none (never run here)."""

    seconds: float
    gpus: int
    source: str


class Costs:
    """What each of a plan's jobs would take."""

    def __init__(self, plan: "Plan", planned: Iterable[jobs.Planned]) -> None:
        self._plan = plan
        self._known: dict[tuple[str, ...], list[Cost]] = {}
        for job in planned:
            if (cost := measured(records.all_of(job.path(plan)))) is not None:
                for key in _keys(job):
                    self._known.setdefault(key, []).append(cost)

    def of(self, job: jobs.Planned) -> Cost:
        wildcards = dict(job.wildcards)
        if job.stage == "finetune" and self._stored(wildcards):
            return Cost(0, 0, "store")
        for key in _keys(job):
            if found := self._known.get(key):
                return Cost(median(cost.seconds for cost in found), max(cost.gpus for cost in found), "records")
        return self._arithmetic(wildcards) if job.stage == "finetune" else Cost(0, 0, "none")

    def _stored(self, wildcards: dict[str, str]) -> bool:
        try:
            return self._plan.stored.has(wildcards)
        except FileNotFoundError:
            return False

    def _arithmetic(self, wildcards: dict[str, str]) -> Cost:
        manifests = self._plan.files("<private>/dataset/{task}/{encoding}/{part}.json", wildcards, part=["train"])
        try:
            given = SimpleNamespace(**wildcards), SimpleNamespace(manifests=manifests)
            return Cost(self._plan.needs.gpu_seconds(*given), 1, "arithmetic")
        except FileNotFoundError:
            return Cost(0, 0, "none")


def measured(known: Sequence[Mapping[str, Any]]) -> Cost | None:
    """What a job took, by its records, oldest first; None without any."""
    if not known:
        return None
    same = [record for record in known if record["settings"] == known[-1]["settings"]][-LAST:]
    longest = max(same, key=lambda record: record["seconds"] * record["attempt"])
    return Cost(longest["seconds"] * longest["attempt"], len(longest["gpu"]), "records")


def _keys(job: jobs.Planned) -> list[tuple[str, ...]]:
    """What a job is like, the closest first."""
    own = dict(job.wildcards)
    task, model, size = (own.get(name, "") for name in ("task", "model", "size"))
    return [
        (job.stage, job.output),
        (job.stage, task, model, size),
        (job.stage, task, model),
        (job.stage, "", model),
        (job.stage,),
    ]
