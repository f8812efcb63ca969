"""A figure's way back on the reviewer's page: a step a kind of file, from the figure to the queries, with each hash."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lib import wording
from lib.chain import Chain
from lib.provenance_page import digest, fold, hashes

SHARDS = ("extract", "clean", "split")


def way(document: Mapping[str, Any], one: Mapping[str, Any], chain: Chain) -> str:
    """The way back of one figure: a step a kind of file, the figure first."""
    metrics = _metrics(document, one)
    models = [model for model in document["models"] if _fit(model) in {_fit(row) for row in metrics}]
    first = begin(document, one)
    behind, stages = chain.behind(first), chain.by_stage(first)
    broken = chain.broken(first)
    datasets = stages.get("dataset", [])
    train = [name for name in datasets if name.endswith("/train.arrow")]
    scored = [row["predictions"]["file"].rpartition("/")[2].split(".")[0] for row in metrics]
    rows = models[0]["train"]["rows"] if models else None
    steps = [
        ("The figure", wording.estimate(one["auroc"]), [one["file"]]),
        ("Metrics of each seed", "computed from predictions alone", [row["file"] for row in metrics]),
        (
            f"Predictions of the {wording.part(one['part'])}",
            f"{wording.count(one['n_rows'])} stays of {wording.count(one['n_persons'])} patients",
            [row["predictions"]["file"] for row in metrics],
        ),
        (
            "The rows that were scored",
            wording.part(scored[0]) if scored else "",
            [name for name in datasets if scored and name.endswith(f"/{scored[0]}.arrow")],
        ),
        ("The model's weights", f"began as {origin(models[0])}" if models else "", [model["file"] for model in models]),
        ("The rows that trained it", f"{wording.count(rows)} rows", train),
        ("The tokenizer, which cuts text into pieces", "", stages.get("tokenizer", [])),
        ("Who is in, and in which part", "a stay a row, or the reason that it fell out", stages.get("eligibility", [])),
    ]
    shown = [_step(what, told, names, chain) for what, told, names in steps if names]
    shown.append(_shard_step(stages))
    shown.append(_query_step(document, stages))
    verdict = (
        f'<p class="fail">Broken: {len(broken)} files were read with other content than was written:'
        f" {escape(', '.join(broken[:5]))}{' …' if len(broken) > 5 else ''}</p>"
        if broken
        else f'<p class="pass">Holds: {len(behind)} files, each read with the content with which it was written.</p>'
    )
    heading = f"{one['title']}: {named(one)}, {wording.estimate(one['auroc'])}"
    return "\n".join(
        [
            f'<h3 id="{anchor(one)}">{escape(heading)}</h3>',
            verdict,
            f'<ol class="chain">{"".join(shown)}</ol>',
            fold(
                "Whole hashes of this way",
                hashes(
                    (name, chain.digest(name)) for name in dict.fromkeys(name for *_, names in steps for name in names)
                ),
            ),
        ]
    )


def _step(what: str, told: str, names: Sequence[str], chain: Chain) -> str:
    listed = "".join(f"<li>{_file(name)} {digest(chain.digest(name))}</li>" for name in dict.fromkeys(names))
    return f"<li><p><strong>{escape(what)}</strong>{': ' if told else ''}{escape(told)}</p><ul>{listed}</ul></li>"


def _shard_step(stages: Mapping[str, Sequence[str]]) -> str:
    names = [name for stage in SHARDS for name in stages.get(stage, ())]
    by_cohort: dict[str, set[str]] = {}
    for name in names:
        _, _, cohort, file = name.split("/")
        by_cohort.setdefault(cohort, set()).add(file.split(".")[0])
    told = ", ".join(
        f'<a href="#shards-{escape(cohort)}">{escape(cohort)}</a> ({len(windows)} windows)'
        for cohort, windows in by_cohort.items()
    )
    return (
        "<li><p><strong>Extracts, cleaned notes and parts</strong>, a file each by window of time:"
        f" {told}; {len(names)} files</p></li>"
    )


def _query_step(document: Mapping[str, Any], stages: Mapping[str, Sequence[str]]) -> str:
    asked = {
        (name.split("/")[2], name.split(".")[-2]) for name in stages.get("extract", ()) if name.endswith(".parquet")
    }
    queries = [one for one in document["queries"] if (one["cohort"], one["kind"]) in asked]
    listed = "".join(f"<li><code>{escape(one['file'])}</code> {digest(one['sha256'])}</li>" for one in queries)
    return f'<li><p><strong><a href="#queries">The queries</a></strong></p><ul>{listed}</ul></li>'


def origin(model: Mapping[str, Any]) -> str:
    """What a model was before it was trained here."""
    start = model.get("start")
    if start is None:
        return f"nothing, being a baseline ({model['kind']})"
    if start.get("scratch"):
        return f"random weights ({start['scratch']['architecture']}, {wording.count(model['parameters'])} parameters)"
    if start.get("hub"):
        return f"{start['hub']}, revision {start['revision']}"
    return f"a folder of pretrained weights ({len(model['start_files'])} files, hashes below)"


def _file(name: str) -> str:
    root, _, inside = name.partition("/")
    private = " (private)" if root == "<private>" else ""
    return f"<code>{escape(inside)}</code>{private}"


def named(one: Mapping[str, Any]) -> str:
    size = "" if str(one["size"]) == "all" else f", {one['size']} rows"
    return f"{one['model']}{' (control)' if one['control'] else ''}{size}"


def anchor(one: Mapping[str, Any]) -> str:
    return escape(f"way-{one['task']}-{one['model']}-{one['size']}")


def _fit(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in ("task", "model", "size", "seed"))


def _metrics(document: Mapping[str, Any], one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The headline part's metrics of each seed of a figure."""
    wanted = {_fit({**one, "seed": seed}) for seed in one["seeds"]}
    return [row for row in document["metrics"] if _fit(row) in wanted and row["part"] == one["part"]]


def begin(document: Mapping[str, Any], one: Mapping[str, Any]) -> list[str]:
    """Where a figure's way back begins: its own metrics and predictions (the table is of all models)."""
    return [name for row in _metrics(document, one) for name in (row["file"], row["predictions"]["file"])]
