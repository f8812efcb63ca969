"""Whether a run is what its files say: hashes along the chain, what was asked for, and the figures once more.

Nothing is written, no identifier and no path of the host is told. What a run that was rewritten whole, records
included, cannot hide is told by a copy of its provenance document that is kept elsewhere: `document`.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import file_checks, predictions, reasons, recomputation, records, run_checks, summary
from lib.comparison import flat
from lib.files import read_json, sha256
from lib.findings import KINDS, Finding, short
from lib.links import Links
from lib.stage import StageError, without_data
from lib.told_hashes import agrees

if TYPE_CHECKING:
    from lib.plan import Plan


def run(
    plan: "Plan",
    links: Links,
    say: Callable[[str], None],
    intervals: bool = False,
    copy: Path | None = None,
    more: Iterable[Finding] = (),
) -> bool:
    """Check the run of `plan`, `say` a line for each finding and note, and at the end the verdict; is it verified?

    `intervals`: recompute these too. `copy`: a provenance document kept elsewhere. `more`: findings of other checks.
    """
    found = [*file_checks.checked(plan, links), *run_checks.checked(plan, links), *_document(plan, links, copy), *more]
    figures, equal = _figures(plan, links, intervals, found)
    found = sorted([*found, *figures], key=lambda finding: list(KINDS).index(finding.kind))
    for finding in found:
        say(finding.line(links))
    for note in run_checks.notes(links):
        say(f"note: {note}")
    say(_verdict(links, found, equal))
    return not found


def _verdict(links: Links, found: list[Finding], equal: int) -> str:
    files = sum(len(made.outputs) for made in links.jobs)
    whole = f"{files} files of {len(links.jobs)} jobs"
    if not found:
        return f"verified: {whole}; {equal} files of figures recomputed and equal"
    counted = Counter(finding.kind for finding in found)
    told = ", ".join(f"{counted[kind]} {kind}" for kind in KINDS if counted[kind])
    return f"not verified: {len(found)} {'findings' if len(found) > 1 else 'finding'} ({told}) on {whole}"


def _document(plan: "Plan", links: Links, copy: Path | None) -> Iterator[Finding]:
    """The provenance document, the run's own or one kept elsewhere, against the records of today."""
    path = copy or Path(plan.results, "provenance.json")
    if not path.is_file():
        if copy:
            raise StageError(f"there is no file {copy.name}")
        return
    name = "the copy of provenance.json" if copy else "<results>/provenance.json"
    if not copy:
        yield from _telling(plan)
    try:
        document = read_json(path)
        told = dict(document["outputs"])
        jobs = {job["output"]: job for job in document["jobs"]}
    except (ValueError, KeyError, TypeError):
        yield Finding("document", name, "it cannot be read")
        return
    for known, here in ((told, _outputs(links)), (jobs, _jobs(links))):
        wrong = [file for file, one in here.items() if file in known and _unlike(known[file], one)]
        if wrong:
            first, more = wrong[0], f", and of {len(wrong) - 1} more" if len(wrong) > 1 else ""
            differs = f"it has {_unlike(known[first], here[first])} of {first}{more}"
            yield Finding("document", name, differs, [links.maker[file] for file in wrong])


def _telling(plan: "Plan") -> Iterator[Finding]:
    """What only tells of the run (the document, its pages, the crate), against its record."""
    for first in ("provenance.json", "crate.zip"):
        record = records.last(Path(plan.results, first)) or {"outputs": {}}
        for file, recorded in record["outputs"].items():
            path, told = Path(plan.results, file), f"its record has {short(recorded)}"
            if not path.is_file():
                yield Finding("missing", f"<results>/{file}", f"there is no such file; {told}")
            elif (now := sha256(path)) != recorded:
                yield Finding("edited", f"<results>/{file}", f"it is {short(now)}, {told}")


def _outputs(links: Links) -> dict[str, Any]:
    return {file: made.outputs[file] for file, made in links.maker.items()}


def _jobs(links: Links) -> dict[str, Any]:
    """What the document tells of how each job ran, by its first output, as the records have it."""
    return {
        made.job.output: {key: made.record[key] for key in ("code", "commit", "dirty", "started")}
        | {"settings": hashlib.sha256(made.record["settings"].encode()).hexdigest()}
        for made in links.jobs
        if made.record
    }


def _unlike(told: Any, here: Any) -> str:
    """What the document has and the record has not; nothing where both agree.

    A job that ran again since then, for a file of its own was lost, may have run at another commit: the document is not
    collected again for that, and only settings and code are compared.
    """
    if isinstance(here, str):
        return "" if agrees(told, here) else f"{short(str(told))} and the record {short(here)}"
    again = told.get("started") != here["started"]
    keys = ("settings", "code") if again else here
    wrong = [key for key in keys if told.get(key, here[key]) != here[key]]
    return f"another {wrong[0]} than the record" if wrong else ""


# --- the figures once more -----------------------------------------------------------------------------------------


def _figures(plan: "Plan", links: Links, intervals: bool, known: Sequence[Finding]) -> tuple[list[Finding], int]:
    """Findings beside those that are `known`, and how many files came out equal."""
    missing = {made.job.output for finding in known if finding.kind == "missing" for made in finding.jobs}
    wrong_files = {finding.file for finding in known}
    found: list[Finding] = []
    equal = 0
    for task in plan.config.tasks:
        table = f"<results>/compare/{task}.json"
        of_task = [made for stage in ("predict", "evaluate", "compare") for made in links.of(stage)]
        of_task = [made for made in of_task if made.wildcards["task"] == task]
        if any(made.job.output in missing for made in of_task):
            told = "not recomputed: files are missing"
            found.append(Finding("figures", table, told, of_task, "run snakemake and verify again"))
            continue
        # Of a table that is wrong itself what is made from it says nothing.
        compared = chain(_recomputed(plan, task, intervals), () if table in wrong_files else _tables(plan, task))
        try:
            for name, told, again in compared:
                links.progress(f"{equal + len(found)} files of figures recomputed")
                if wrong := _different(told, again):
                    found.append(Finding("figures", name, wrong, [links.maker[name]] if name in links.maker else ()))
                else:
                    equal += 1
        except StageError as error:
            found.append(Finding("figures", table, f"cannot be recomputed: {error}", of_task))
        except Exception as error:
            found.append(Finding("figures", table, f"cannot be recomputed: {without_data(error)}", of_task))
    return found, equal


def _recomputed(plan: "Plan", task: str, intervals: bool) -> Iterator[tuple[str, Any, Any]]:
    def read(fit: str, part: str, classes: int) -> predictions.Predictions:
        return predictions.read(Path(plan.private, "predict", task, fit, f"{part}.parquet"), classes)

    for name, told, again in recomputation.figures(read, Path(plan.results), task, intervals):
        yield f"<results>/{name}", told, again


def _tables(plan: "Plan", task: str) -> Iterator[tuple[str, Any, Any]]:
    """The CSV of compare and the summary's rows, which are made from compare's JSON."""
    table = read_json(Path(plan.results, "compare", f"{task}.json"))
    header, *rows = flat(table)
    yield f"<results>/compare/{task}.csv", _rows(Path(plan.results, "compare", f"{task}.csv")), _keyed(header, rows)
    told = {
        name: {key: value for key, value in row.items() if key in summary.COLUMNS}
        for name, row in _rows(Path(plan.results, "summary.csv")).items()
        if row["task"] == task
    }
    result = summary.Result({"name": task}, table, {}, {})
    header, *rows = summary.records([result], with_oracle=False)
    yield "<results>/summary.csv", told, _keyed(header, rows)


def _rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return _keyed(header, rows)


def _keyed(header: list[Any], rows: list[list[Any]]) -> dict[str, dict[str, str]]:
    """Rows by task, model and size, cells as CSV writes them."""
    told = [dict(zip(header, ("" if cell is None else str(cell) for cell in row), strict=True)) for row in rows]
    return {f"{row['task']}/{row['model']}/{row['size']}": row for row in told}


def _different(told: Any, again: Any) -> str:
    """What differs, AUROCs first; nothing if nothing does."""
    wrong = sorted(reasons.differences(told, again), key=lambda one: "auroc" not in one[0])
    shown = [f"{path} is {old}, recomputed {new}" for path, old, new in wrong[:1]]
    return "; ".join([*shown, *([f"{len(wrong) - 1} more of its values differ"] if len(wrong) > 1 else [])])
