"""How what is wrong with a run is told: one line each, with the metrics that stand on it and what to do."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lib.links import Links, Made

AGAIN = "remove it and run snakemake: it is made again"


class Kind(NamedTuple):
    """What a finding of this kind is, and what to do."""

    means: str
    mend: str


KINDS = {  # in the order in which they are told
    "missing": Kind("a file of a job is not there, or the job never ran", "run snakemake: it is made again"),
    "edited": Kind("a file is not the one that its record has", AGAIN),
    "swapped": Kind("it is another output of the run", "put it back, or remove it and run snakemake"),
    "manifest": Kind(
        "a manifest is not the one that was written, or tells of other files",
        "remove it with its files and run snakemake",
    ),
    "model": Kind(
        "weights of another fit; a manifest that its history, data or tokenizer contradict",
        "remove the fit's folder and run snakemake",
    ),
    "record": Kind("no whole record tells how a file came", f"{AGAIN}, with a record"),
    "stale": Kind("a file was made from another version of what it was made from", AGAIN),
    "settings": Kind(
        "the configuration asks for something else today", "run snakemake, or go back to the configuration of the run"
    ),
    "code": Kind(
        "a stage's code or locked libraries are others today", "run snakemake, or go back to the code of the run"
    ),
    "dirty": Kind(
        "code that was, or is, changed and not committed", "commit, remove the files of these jobs and run snakemake"
    ),
    "versions": Kind(
        "a job ran with other libraries than the lock has",
        "install requirements.lock, remove the files and run snakemake",
    ),
    "figures": Kind("a figure comes out otherwise, or cannot be computed again", AGAIN),
    "document": Kind(
        "the provenance document, or a copy of it, has other hashes, settings, code or commits than the records",
        "run snakemake: it is collected again; of a copy, ask who keeps it which of both is right",
    ),
    "source": Kind("the warehouse counts otherwise today (with --source)", "run snakemake refresh, then snakemake"),
}
SHOWN = 3  # names in one line; of more the count


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `jobs`: whose files are in doubt, and what stands on them; `mend`: what to do."""

    kind: str
    file: str
    told: str
    jobs: Sequence[Made] = ()
    mend: str = ""

    def line(self, links: Links) -> str:
        """`kind: file: what is wrong; which metrics stand on it; what to do`."""
        return (
            f"{self.kind}: {self.file}: {self.told}; {affected(links, self.jobs)}; {self.mend or KINDS[self.kind].mend}"
        )


def short(digest: str | None) -> str:
    return digest[:10] if digest else "none"


def first(jobs: Sequence[Made]) -> str:
    more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return f"{jobs[0].job.output}{more}"


def stages(jobs: Iterable[Made]) -> str:
    return ", ".join(f"{stage} {number}" for stage, number in Counter(made.stage for made in jobs).items())


def affected(links: Links, jobs: Sequence[Made]) -> str:
    """Which metrics stand on these jobs; of jobs behind the metrics, which of the results."""
    metrics, everything = links.metrics(jobs), sum(1 for _ in links.of("evaluate"))
    if metrics:
        names = f": {', '.join(metrics)}" if len(metrics) <= SHOWN else ""
        return f"affects the metrics of {len(metrics)} of {everything} fits{names}"
    behind = sorted({made.job.name for made in links.standing_on(jobs)})
    return (
        f"affects {', '.join(behind[:SHOWN])}{' and more' if len(behind) > SHOWN else ''}"
        if behind
        else "affects no file"
    )
