"""What every file that a run writes is: text, row or aggregate. One table; a file in none of its rows fails a test.

text and row lie under `<private>`, readable by their owner alone; aggregate lies under `<results>`, and nothing else
does. The table holds the declared outputs and what stages, libraries and Snakemake leave beside them. A `{name}` stands
for one of NAMES, the workflow's wildcards among them. (Snakemake's own `.snakemake/` is in the clone: paths, settings
and messages, of class aggregate, searched for texts and identifiers in the tests.)
"""

import re
from functools import cache
from typing import NamedTuple

CLASSES = {
    "text": "notes, or what gives them back: token ids, vocabularies, terms, weights, checkpoints, caches",
    "row": "a line for each stay, note or patient; or counts in which small cells are not hidden",
    "aggregate": "what may be shown: figures and counts with small cells hidden, settings, messages",
}
NAMES = {
    "cohort": "[a-z][a-z0-9_]*",
    "encoding": r"[a-z][a-z0-9_]*\.\d+|text|features",
    "kind": "text|labels",
    "max_tokens": r"\d+",
    "model": "[a-z][a-z0-9_]*",
    "part": "train|tuning|calibration|test|temporal_test",
    "seed": r"-?\d+",
    "size": r"all|\d+",
    "task": "[a-z][a-z0-9_]*",
    "tokenizer": "[a-z][a-z0-9_]*",
    "window": r"\d{4}(-\d{2}|Q[1-4]|s)?",
    # not wildcards of the workflow
    "file": r"\w+\.(json|safetensors)",
    "figure": r"\w+",
    "job": r"[\w.\-]+",
    "output": r"(.+/)?[^./][^/]*",
    "key": "[0-9a-f]{16}",
    "kept": r"([^./][^/]*/)*[^./][^/]*",
    "unfinished": r"(?!(cache|tmp)/)(.+/)?\.[^/]+\.(tmp|scratch)",
    "any": ".+",
    "source": "[0-9a-f]{12}",
    "head": "[0-9a-f]{32}",
    "rule": "[a-z_]+",
}


class Kind(NamedTuple):
    """A kind of file: where it lies (`<private>/...` or `<results>/...`), its class, what it holds."""

    pattern: str
    data_class: str
    holds: str


FIT = "{task}/{model}/{size}-{seed}"
TABLE = [
    Kind("<private>/hospital.sqlite", "text", "the demo's database"),
    Kind("<private>/hospital.json", "row", "its manifest"),
    Kind("<private>/oracle.parquet", "row", "the demo's true risk of each stay"),
    Kind("<private>/extract/{cohort}/{window}.text.parquet", "text", "notes as the warehouse has them"),
    Kind("<private>/extract/{cohort}/{window}.labels.parquet", "row", "labels, reasons, features and groups of stays"),
    Kind("<private>/extract/{cohort}/{window}.{kind}.json", "row", "manifest: rows and hashes"),
    Kind("<private>/clean/{cohort}/{window}.parquet", "text", "cleaned notes"),
    Kind("<private>/clean/{cohort}/{window}.dropped.parquet", "row", "stays whose note was dropped, and why"),
    Kind("<private>/clean/{cohort}/{window}.json", "row", "manifest: notes before and after each step"),
    Kind("<private>/split/{cohort}/{window}.parquet", "row", "the part of each stay"),
    Kind("<private>/split/{cohort}/{window}.json", "row", "manifest: stays a part"),
    Kind("<private>/inventory/{cohort}.json", "row", "the manifests of a cohort's windows in one"),
    Kind("<private>/ledger/{cohort}.json", "row", "manifest: stays and patients of the split as it is"),
    Kind("<private>/ledger/{cohort}.{source}.parquet", "row", "the part of each stay's patient, over all runs"),
    Kind("<private>/ledger/{cohort}.{source}.jsonl", "row", "when that changed, and by how much"),
    Kind("<private>/duplicates/{cohort}.parquet", "row", "notes that repeat another's text"),
    Kind("<private>/duplicates/{cohort}.json", "row", "its manifest"),
    Kind("<private>/eligibility/{task}.parquet", "row", "each stay's part, or the reason that it falls out"),
    Kind("<private>/eligibility/{task}.json", "row", "manifest: stays by reason, small cells included"),
    Kind("<private>/leakage/{task}.terms.csv", "text", "words that tell a label"),
    Kind("<private>/leakage/{task}.terms.failed.csv", "text", "the same, where they stopped the run"),
    Kind("<private>/tokenizers/{tokenizer}.patients.parquet", "row", "whom it has learned from"),
    Kind("<private>/tokenizers/{tokenizer}/tokenizer.json", "text", "a vocabulary"),
    Kind("<private>/tokenizers/{tokenizer}/manifest.json", "row", "what it was trained on"),
    Kind("<private>/pretokenize/{encoding}/{cohort}/{window}.arrow", "text", "token ids, which give the text back"),
    Kind("<private>/pretokenize/{encoding}/{cohort}/{window}.json", "row", "manifest: notes, tokens, cut ones"),
    Kind("<private>/dataset/{task}/{encoding}/{part}.arrow", "text", "rows with token ids, text or features"),
    Kind("<private>/dataset/{task}/{encoding}/{part}.json", "row", "manifest: rows and events"),
    Kind(f"<private>/finetune/{FIT}/{{file}}", "text", "weights, vocabulary, history of a model"),
    Kind(f"<private>/baseline/{FIT}/{{file}}", "text", "weights and terms of a baseline"),
    Kind(f"<private>/finetune/{FIT}.patients.parquet", "row", "whom the model has learned from"),
    Kind(f"<private>/baseline/{FIT}.patients.parquet", "row", "whom the baseline has learned from"),
    Kind(f"<private>/predict/{FIT}/{{part}}.parquet", "row", "each stay's keys, label and probabilities"),
    Kind(f"<private>/predict/{FIT}/manifest.json", "row", "its manifest"),
    Kind("<private>/store/{key}/{kept}", "text", "checkpoints and finished models by settings, data and code"),
    Kind("<private>/stamps/{rule}/{job}/stamp.json", "row", "settings and code asked for"),
    Kind("<private>/stamps/exclusions/list.txt", "row", "who has opted out, as jobs read it"),
    Kind(
        "<private>/fetched/{cohort}/{window}.{kind}.parquet",
        "row",
        "hashes of the rows last extracted, and a fingerprint",
    ),
    Kind("<private>/fetched/changes.jsonl", "row", "rows added, removed, changed since the extraction before"),
    Kind(
        "<private>/fetched/source.json", "row", "what the warehouse said last: windows that have changed, its release"
    ),
    Kind("<private>/fetched/exclusions.txt", "row", "who has opted out, as the warehouse said"),
    Kind("<private>/fetched/refresh.txt", "row", "what the last refresh told"),
    Kind("<private>/code/{key}/{kept}", "row", "the scripts and rules that a run began with, for its jobs"),
    Kind("<private>/stamps/submitted/{head}.yaml", "row", "the configuration of a cluster's queued jobs"),
    Kind("<private>/stamps/submitted/{head}.jsonl", "row", "hashes of what they are told, and of their code"),
    Kind("<private>/stamps/jobs/{key}.jsonl", "row", "what every job of a run is asked for: settings and code"),
    Kind("<private>/stamps/source/server.json", "row", "the server as jobs open it, nothing secret"),
    Kind("<private>/logs/{any}.log", "text", "what others wrote while a job ran: tracebacks, warnings, prints"),
    Kind("<private>/logs/{any}.log.attempts", "row", "a line for each time that a job began, until it ends well"),
    Kind("<private>/openings.jsonl", "row", "when the test part was opened, and with which configuration"),
    Kind("<private>/purges.jsonl", "row", "which files were removed for whom"),
    Kind("<private>/share.key", "row", "the secret of the keys in share/"),
    Kind("<private>/cache/{any}", "text", "what libraries keep: models of the hub, fonts"),
    Kind("<private>/tmp/{any}", "text", "temporary files of libraries"),
    Kind("<private>/{output}.record.jsonl", "row", "how the file of that name came: settings, code, hashes, host"),
    Kind("<private>/{unfinished}", "text", "a file that a killed job was writing; the next attempt writes it anew"),
    Kind("<results>/summary.txt", "aggregate", "the table of the run"),
    Kind("<results>/summary.csv", "aggregate", "the same for a machine"),
    Kind("<results>/provenance.json", "aggregate", "from every figure back to its queries, by hash"),
    Kind("<results>/steward.html", "aggregate", "the same for the data steward"),
    Kind("<results>/reviewer.html", "aggregate", "the same for the reviewer"),
    Kind(
        "<results>/crate.zip", "aggregate", "the results and the code as an RO-Crate; shared rows, if `share.enabled`"
    ),
    Kind("<results>/index.html", "aggregate", "the run on one page"),
    Kind("<results>/report.html", "aggregate", "Snakemake's report"),
    Kind("<results>/config.yaml", "aggregate", "the configuration, without paths of the host"),
    Kind("<results>/certificate/{task}.json", "aggregate", "a task's leakage certificate, whole"),
    Kind("<results>/certificate/{task}.html", "aggregate", "the same as a page, with the openings of the test"),
    Kind("<results>/replay/{cohort}.json", "aggregate", "the test that nothing after the index time is used"),
    Kind("<results>/check_source/source.txt", "aggregate", "a source before the pull: by month, plan, warnings"),
    Kind("<results>/check_source/source.json", "aggregate", "the same for a machine"),
    Kind("<results>/flow/{task}.json", "aggregate", "the cohort flow"),
    Kind("<results>/leakage/{task}.json", "aggregate", "the leakage certificate before training"),
    Kind(f"<results>/evaluate/{FIT}.json", "aggregate", "measures, intervals and curves of one model"),
    Kind("<results>/compare/{task}.json", "aggregate", "a task's models side by side"),
    Kind("<results>/compare/{task}.csv", "aggregate", "the same as a table"),
    Kind("<results>/figures/{task}/{figure}.svg", "aggregate", "a figure"),
    Kind(
        "<results>/share/{task}.parquet",
        "aggregate",
        "labels and probabilities under random keys, if `share.enabled`: released by the steward, see sharing.md",
    ),
    Kind("<results>/share/{task}.json", "aggregate", "its manifest"),
    Kind("<results>/logs/{any}.log", "aggregate", "progress and counts"),
    Kind(
        "<results>/{output}.record.jsonl",
        "aggregate",
        "how the file of that name came; hashes of private counts can be guessed at: give away the crate, not these",
    ),
    Kind("<results>/{unfinished}", "aggregate", "a file that a killed job was writing"),
    Kind("<results>/.running", "aggregate", "the lock of `make run`"),
]


def kinds_of(path: str) -> list[Kind]:
    """The kinds that `path` (`<private>/...` or `<results>/...`) is of: one, or the table or the file is at fault."""
    return [kind for kind in TABLE if _expression(kind.pattern).fullmatch(path)]


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", pattern)
    return re.compile("".join(f"({NAMES[p]})" if i % 2 else re.escape(p) for i, p in enumerate(pieces)))


def page() -> str:
    """docs/data-classes.md."""
    introduction = (__doc__ or "").strip()
    lines = ["# Data classes", "", introduction, "", "Made from `scripts/lib/data_classes.py` by `make docs`.", ""]
    lines += ["| class | is |", "|---|---|", *(f"| {name} | {told} |" for name, told in CLASSES.items()), ""]
    for root, title in (("<private>/", "Under the private root"), ("<results>/", "Under the results")):
        lines += [f"## {title}", "", "| file | class | holds |", "|---|---|---|"]
        of_root = [kind for kind in TABLE if kind.pattern.startswith(root)]
        lines += [f"| `{pattern.removeprefix(root)}` | {name} | {holds} |" for pattern, name, holds in of_root]
        lines.append("")
    used = {name for kind in TABLE for name in re.findall(r"\{(\w+)\}", kind.pattern)}
    lines += ["## Names", "", "| name | regular expression |", "|---|---|"]
    lines += [f"| {name} | `{NAMES[name].replace('|', chr(92) + '|')}` |" for name in NAMES if name in used]
    return "\n".join(lines) + "\n"
