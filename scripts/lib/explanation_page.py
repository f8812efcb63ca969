"""An explained plan as lines for a terminal: by rule, how many jobs, what they take, and why."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lib.costs import Cost
from lib.explanation import Explained, Why

GROUPS = 3  # reasons told of a rule
FILES = 2  # files told of a reason
TEXTS = 3  # changes told of a job
WIDTH = 110
IN = "  "
NO_COST = "–"  # what that means the last line says


def page(
    name: str, found: Sequence[Explained], every: Mapping[str, int], costs: Sequence[Cost], waits: Sequence[str]
) -> Iterator[str]:
    """`every`: how many jobs a whole run has by rule; `costs`: of `found`, in its order; `waits`: open checkpoints."""
    pairs = list(zip(found, costs, strict=True))
    sure = [(one, cost) for one, cost in pairs if one.sure]
    maybe = [(one, cost) for one, cost in pairs if not one.sure]
    if not pairs:
        yield f"{name}: nothing to run, all is up to date"
        return
    yield f"{name}: {_jobs(len(sure))}" + (f", at most {len(maybe)} more" if maybe else "")
    rows = [row for stage in dict.fromkeys(one.job.stage for one, _ in sure) for row in _rows(stage, sure, every)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)] if rows else []
    for row in rows:
        yield "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]).rstrip()
    if maybe:
        counts = Counter(one.job.stage for one, _ in maybe)
        yield f"then at most, fewer where the data come out equal (decided after {', '.join(waits)}):"
        told = ", ".join(f"{stage}\xa0{count}" for stage, count in counts.items())  # textwrap breaks at no such space
        yield from (
            line.replace("\xa0", " ") for line in textwrap.wrap(told, WIDTH, initial_indent=IN, subsequent_indent=IN)
        )
    both = [told for told in (total(sure), f"at most {total(maybe)}" if maybe else "") if told]
    yield f"in all: {'; and '.join(both)}"


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'} would run"


def _rows(
    stage: str, sure: Sequence[tuple[Explained, Cost]], every: Mapping[str, int]
) -> Iterator[tuple[str, str, str, str]]:
    of_stage = [(one, cost) for one, cost in sure if one.job.stage == stage]
    groups: dict[tuple[str, ...], list[Explained]] = {}
    for one, _ in of_stage:
        groups.setdefault(tuple(why.text for why in one.why), []).append(one)
    largest = sorted(groups.values(), key=len, reverse=True)
    told = [(f"{len(group)}: " if len(groups) > 1 else "") + _because(group) for group in largest[:GROUPS]]
    if rest := sum(map(len, largest[GROUPS:])):
        told.append(f"{rest}: for {len(largest) - GROUPS} other reasons")
    costs = [cost for _, cost in of_stage]
    told_cost = NO_COST if all(cost.source == "none" for cost in costs) else cost_of(costs)
    yield stage, f"{len(of_stage)} of {every[stage]}", told_cost, told[0]
    yield from (("", "", "", text) for text in told[1:])


def _because(group: Sequence[Explained]) -> str:
    """What the jobs of a group have in common, with the files that it is about."""
    texts = [_with_files(whys) for whys in zip(*(one.why for one in group), strict=True)]
    rest = f"; and {len(texts) - TEXTS} more" if len(texts) > TEXTS else ""
    return "; ".join(texts[:TEXTS]) + rest


def _with_files(whys: Sequence[Why]) -> str:
    files = [file for why in whys for file in why.files]
    if not files:
        return whys[0].text
    return f"{whys[0].text}: {', '.join(files[:FILES])}" + (
        f" and {len(files) - FILES} more" if len(files) > FILES else ""
    )


def total(pairs: Sequence[tuple[Explained, Cost]]) -> str:
    """`75 finetunes, about 31 GPU-hours; 300 other jobs, about 2.0 CPU-hours`."""
    finetunes = [cost for one, cost in pairs if one.job.stage == "finetune"]
    others = [cost for one, cost in pairs if one.job.stage != "finetune"]
    parts = [f"{len(costs)} {noun}{'' if len(costs) == 1 else 's'}, {cost_of(costs)}"
             for noun, costs in (("finetune", finetunes), ("other job", others)) if costs]  # fmt: skip
    return "; ".join(parts)


def cost_of(costs: Sequence[Cost]) -> str:
    """What jobs take together, and what is not known of it."""
    sources = Counter(cost.source for cost in costs)
    gpu = sum(cost.seconds * cost.gpus for cost in costs)
    cpu = sum(cost.seconds for cost in costs if not cost.gpus)
    told = [f"about {_time(seconds, kind)}" for seconds, kind in ((gpu, "GPU"), (cpu, "CPU")) if seconds]
    if sources["arithmetic"] and told:
        told[0] += " by arithmetic"
    if sources["store"] == len(costs):
        told.append("in the store: nothing to train")
    elif sources["store"]:
        told.append(f"{sources['store']} in the store cost nothing")
    if sources["none"]:
        never = "never run here: no estimate"
        told.append(never if sources["none"] == len(costs) else f"{sources['none']} {never}")
    return ", ".join(told) or "no time"


def _time(seconds: float, kind: str) -> str:
    """'40 s of CPU', '12 min of GPU', '31 GPU-hours'."""
    if seconds < 5400:
        return f"{max(seconds, 1):.0f} s of {kind}" if seconds < 90 else f"{seconds / 60:.0f} min of {kind}"
    hours = seconds / 3600
    return f"{hours:.1f} {kind}-hours" if hours < 10 else f"{hours:,.0f} {kind}-hours"
