"""Does a run stand at the time of asking: what Snakemake's report, which runs no job, says on its first page.

Cheap: records against what is asked for today, files by name and, up to 1 MB, by hash. That every file is what its
history says is the work of `verify`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import jobs, provenance, records, revision
from lib.files import read_json
from lib.standing import Standing, commits, of_jobs
from lib.told_hashes import agrees

if TYPE_CHECKING:
    from lib.plan import Plan

_STYLE = {
    "red": "border-left: 6px solid #b00020; background: #fdecee; color: #7a0016;",
    "amber": "border-left: 6px solid #b77900; background: #fff3cd; color: #4a3200;",
    "green": "border-left: 6px solid #00694b; background: #e8f5ef; color: #00432f;",
}


def rst(plan: "Plan") -> str:
    """The brand for a page of Snakemake's report, in its markup."""
    style = f'role="alert" style="{_STYLE[(found := now(plan)).level]} padding: .7rem 1rem; margin: 0 0 1rem"'
    today = revision.of(provenance.ROOT, revision.CODE)["commit"]
    code = (
        f"Code shown in this report: commit {today[:12]}."
        if today
        else "Code shown in this report: of no known commit."
    )
    return f".. raw:: html\n\n   {found.markup(style)}\n   <p>{code}</p>\n"


def now(plan: "Plan") -> Standing:
    """What is out of date, missing, changed or not committed as this is asked."""
    asked = jobs.asked(plan)
    made = [(job, records.last(plan.path(job[2]))) for job in asked]
    known = [record for _, record in made if record]
    against = of_jobs(len(asked), len(asked) - len(known), sum(record["dirty"] is True for record in known))
    against += _otherwise(plan, made)
    against += _of_the_document(
        plan, {name: digest for job, record in made for name, digest in records.written(job[2], record).items()}
    )
    if revision.of(provenance.ROOT, revision.CODE)["dirty"]:
        against.append("the code in this folder has been changed and not committed")
    return Standing(against, commits(known))


def _otherwise(plan: "Plan", made: Sequence[tuple[Sequence[Any], Mapping[str, Any] | None]]) -> Iterator[str]:
    """Jobs whose record tells of other settings, other code or other files than those of today."""
    stages: dict[str, Counter[str]] = {}
    for (stage, _, output, settings, code), record in made:
        if record and (what := _fault(plan, output, record, settings, code)):
            stages.setdefault(what, Counter())[stage] += 1
    for what, counted in stages.items():
        listed = ", ".join(f"{stage} {count}" for stage, count in counted.items())
        yield f"{counted.total()} of {len(made)} jobs {what} ({listed})"


def _fault(plan: "Plan", output: str, record: Mapping[str, Any], settings: str, code: str) -> str | None:
    paths = [plan.path(name) for name in sorted(records.written(output, record), key=lambda name: name != output)]
    if record["settings"] != settings:
        return "ran with other settings than the configuration has today"
    if record["code"] != code:
        return "ran other code than today's"
    if not all(path.is_file() for path in paths):
        return "have lost files"
    if not provenance.made_with(paths, settings, code):
        return "have files that were changed after they were written"
    return None


def _of_the_document(plan: "Plan", written: Mapping[str, str]) -> Iterator[str]:
    """Whether the provenance document and its pages are of this configuration, and tell of the files `written` last."""
    outputs = [Path(plan.results, name) for name in ("provenance.json", "steward.html", "reviewer.html")]
    if not provenance.made_with(outputs, plan.settings_of("provenance", ()), plan.code("provenance")):
        yield "the provenance document and its pages are not of this configuration and code, or were changed"
        return
    told = read_json(outputs[0])["outputs"]
    if other := sum(not agrees(told.get(name), written.get(name)) for name in {*told, *written}):
        yield f"the provenance document and its pages were made before {other} files were written"
