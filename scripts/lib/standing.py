"""Does a run stand as it is told, and how that is said: in red, in amber, or not at all.

Red, "not reproducible as it stands": the code was changed and not committed, files have no record, a chain of hashes
does not hold, or (see `standing_now`) something is out of date. Amber, and nothing against the run: no git revision is
known, as of a release that was unpacked and not cloned; the hashes of code and lock then say what ran.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lib import chain


@dataclass(frozen=True)
class Standing:
    """`against`: sentences. `commits`: [{commit, dirty, jobs}] of the jobs whose record is there."""

    against: Sequence[str]
    commits: Sequence[Mapping[str, Any]]

    @property
    def level(self) -> str:
        """red, amber or green."""
        if self.against:
            return "red"
        return "amber" if any(one["commit"] is None for one in self.commits) else "green"

    @property
    def title(self) -> str:
        jobs = sum(one["jobs"] for one in self.commits)
        match self.level:
            case "red":
                return "Not reproducible as it stands"
            case "amber":
                unknown = sum(one["jobs"] for one in self.commits if one["commit"] is None)
                return (
                    f"No git revision is known of {unknown} of {jobs} jobs: the hashes of their code and of the locked"
                    " packages alone say what ran. Nothing else speaks against the run"
                )
        known = [f"commit {one['commit'][:12]}, {one['jobs']} jobs" for one in self.commits]
        return f"Reproducible as it stands: {'; '.join(known)}"

    def markup(self, attributes: str) -> str:
        """The brand as HTML, its box with these attributes."""
        points = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.against)
        listed = f"<ul>{points}</ul>" if points else ""
        title = f"{self.title}{':' if points else '.'}"
        return f'<div {attributes}><strong style="color: inherit">{escape(title)}</strong>{listed}</div>'


def of(document: Mapping[str, Any]) -> Standing:
    """As the records had it when the document was made."""
    return Standing(document["standing"], document["workflow"]["commits"])


def against(document: Mapping[str, Any]) -> list[str]:
    """What the records say against the run; `document` need not have its `standing` yet."""
    jobs = document["jobs"]
    return of_jobs(len(jobs), sum("missing" in job for job in jobs), sum(job.get("dirty") is True for job in jobs)) + [
        f"{len(names)} files on the way from the figures to the queries were read with other content than was written"
        for names in [chain.Chain(document).broken(chain.figures(document))]
        if names
    ]


def commits(made: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """[{commit, dirty, jobs}] of the records, the most frequent first."""
    counted = Counter((record["commit"], record["dirty"]) for record in made)
    return [{"commit": commit, "dirty": dirty, "jobs": jobs} for (commit, dirty), jobs in counted.most_common()]


def of_jobs(jobs: int, missing: int, dirty: int) -> list[str]:
    """Sentences on how many of the jobs have no record, and how many ran changed code."""
    told = {
        "left no record of how their files came": missing,
        "ran code that was changed and not committed": dirty,
    }
    return [f"{count} of {jobs} jobs {what}" for what, count in told.items() if count]
