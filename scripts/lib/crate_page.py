"""ro-crate-preview.html: a crate's page, which a browser opens from the unpacked archive; it needs nothing else.

The figures that a paper quotes, the pipeline, the cohort flow, the figures, what came from where, and how all of it is
checked. All numbers are those of the files beside it.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from lib import html, page_flow, provenance_page, wording
from lib.crate_diagram import diagram
from lib.crate_files import RESULTS
from lib.files import read_json
from lib.summary import Result

FIGURES = {
    "roc": "ROC curves",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration",
    "utility": "Decision curves",
    "training": "Training",
    "flow": "Cohort flow",
}
PAGES = {
    "index.html": "the run's report",
    "steward.html": "the data steward's page",
    "reviewer.html": "the reviewer's page",
    "provenance.json": "the provenance document",
    "config.yaml": "the configuration",
}
HEAD = (
    "The results of a run, the code that made them, and hashes and counts that stand for what is not here: notes, rows"
    " of patients, vocabularies and models stay at the site."
)
PIPELINE = "Each stage stands below those whose files it read; a way that longer ones tell too is left out."


def page(document: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    """The whole page as text; `document` is the provenance document, `files` the paths by name in the crate."""
    results = [_result(task, files) for task in document["cohort_flow"]]
    opening = f"<p>{HEAD}</p>\n<p>Also here: {_pages(files)}.</p>"
    drawn = diagram(document["jobs"], document["source"]["kind"])
    flows = [(result, page_flow.flow(result, document["min_cell"])) for result in results]
    sections = [
        ("headline", "Headline", _headline(document, results)),
        ("pipeline", "Pipeline", f"<p>{PIPELINE}</p>\n{drawn}"),
        ("flow", "Cohort flow", "\n".join(_title(result) + flow for result, flow in flows)),
        ("figures", "Figures", "\n".join(_title(result) + _figures(result.task["name"], files) for result in results)),
        ("origin", "Where it came from", _origin(document)),
        ("check", "How to check it", _check(files)),
    ]
    return provenance_page.page(f"{document['name']}: a run of Notecast", document, opening, sections)


def _result(task: str, files: Mapping[str, Path]) -> Result:
    table, flow, certificate = (
        read_json(files[f"{RESULTS}/{name}/{task}.json"]) for name in ("compare", "flow", "leakage")
    )
    return Result(table["task"], table, flow, certificate)


def _title(result: Result) -> str:
    return f"<h3>{escape(result.task['title'])}</h3>\n"


def _pages(files: Mapping[str, Path]) -> str:
    there = [(f"{RESULTS}/{name}", told) for name, told in PAGES.items() if f"{RESULTS}/{name}" in files]
    return ", ".join(f'<a href="{name}">{told}</a>' for name, told in there)


def _headline(document: Mapping[str, Any], results: list[Result]) -> str:
    part, rows = wording.part(document["headline"]), []
    for result in results:
        for row in result.rows:
            against = "" if row["model"] == result.table["reference"] else wording.estimate(row["difference"])
            cells = [result.task["title"], result.named(row), str(len(row["seeds"])), wording.estimate(row["auroc"])]
            rows.append([*cells, against, wording.number(row["auprc"]), wording.number(row["ici"])])
    head = ["Task", "Model", "Seeds", "AUROC", "Difference to the reference", "AUPRC", "ICI"]
    told = f"AUROC on the {part}, the mean over a model's seeds, with its 95 % interval over patients."
    shut = "Development: the test set is shut; none of these figures says how good a model is."
    banner = [f'<p class="banner">{shut}</p>'] if document["evaluation"] == "development" else []
    return "\n".join([*banner, f"<p>{escape(told)} From {RESULTS}/compare/.</p>", html.table(head, rows, left=2)])


def _figures(task: str, files: Mapping[str, Path]) -> str:
    out = []
    for name, title in FIGURES.items():
        file = f"{RESULTS}/figures/{task}/{name}.svg"
        if file in files:
            out.append(
                f'<figure><img src="{file}" alt="{title} of {escape(task)}" style="max-width: 100%">'
                f"<figcaption>{title} (<code>{file}</code>)</figcaption></figure>"
            )
    return "\n".join(out)


def _origin(document: Mapping[str, Any]) -> str:
    queries = [
        [
            query["cohort"],
            query["kind"],
            query["file"],
            str(query["windows"]),
            wording.count(query["rows"]),
            _short(query),
        ]
        for query in document["queries"]
    ]
    models = [
        [_name(model), _start(model), wording.count(model["train"]["rows"]), _short(model["train"]), _short(model)]
        for model in document["models"]
    ]
    source = document["source"]
    days = f"{source['first_day']} to {source['last_day']}, asked for window by window ({source['window']})"
    folded = html.table(["Model", "Began as", "Training rows", "Their hash", "Weights"], models, left=2, also_left=3)
    told = [
        f"<p>Source: {escape(source['kind'])}, {escape(days)}. Hashes are the first 16 digits of sha256; whole ones, of"
        f" every file of every job, stand in {RESULTS}/provenance.json.</p>",
        html.table(["Cohort", "Query", "File", "Windows", "Rows", "Hash of the query"], queries, left=3, also_left=5),
        f"<details><summary>The {len(models)} models and what they learned from</summary>{folded}</details>",
    ]
    return "\n".join(told)


def _name(model: Mapping[str, Any]) -> str:
    return f"{model['task']}/{model['model']}/{model['size']}-{model['seed']}"


def _short(hashed: Mapping[str, Any]) -> str:
    return str(hashed["sha256"][:16])


def _start(model: Mapping[str, Any]) -> str:
    if "start" not in model:
        return f"{model['kind']}, from scratch"
    if hub := model["start"].get("hub"):
        return f"{hub} at {model['start']['revision'][:16]}"
    return "a folder of the site's" if model["start_files"] else "from scratch"


def _check(files: Mapping[str, Path]) -> str:
    shared = [name for name in files if name.startswith(f"{RESULTS}/share/") and name.endswith(".parquet")]
    steps = [
        ("Every file here is as ro-crate-metadata.json has it", _HASHES),
        ("The crate keeps to its profile", "rocrate-validator validate --profile-identifier process-run-crate ."),
    ]
    lines = [f"python scripts/recompute.py --share {name} --results {RESULTS}" for name in shared]
    if lines:
        steps.append(("Every figure, again from the shared predictions", "\n".join(lines)))
    out = [f"<p>{escape(told)}:</p><pre>{escape(command)}</pre>" for told, command in steps]
    if not lines:
        out.append(
            "<p>Predictions were not shared (<code>share.enabled</code>); the site can recompute the figures.</p>"
        )
    out.append(
        "<p>What is needed stands in <code>requirements.lock</code>. What stays at the site is checked there: the"
        f" hashes in {RESULTS}/provenance.json are those of its files.</p>"
    )
    return "\n".join(out)


_HASHES = """python - <<'END'
import hashlib, json, pathlib
for one in json.load(open("ro-crate-metadata.json"))["@graph"]:
    if "File" in one["@type"] and "sha256" in one:
        same = hashlib.sha256(pathlib.Path(one["@id"]).read_bytes()).hexdigest() == one["sha256"]
        print("equal  " if same else "DIFFERS", one["@id"])
END"""
