"""The reviewer's page: from each figure of the report back to the query that its rows came from, with the hash of each
file on the way, and what a reader can check alone.

Made from the provenance document alone, for someone who has never seen the tools that made it.
"""

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from lib import wording
from lib.chain import Chain
from lib.html import Markup, table
from lib.provenance_page import digest, environment, fold, hashes, page
from lib.reviewer_way import SHARDS, anchor, begin, named, origin, way

OPENING = (
    "<p>For who reads the figures and was not there. Each came out of files that came out of other files, back to"
    " queries of a hospital's warehouse. What is private cannot be shown; its <em>hash</em> (sha256) can: a"
    " fingerprint that only the same content has. When a file was written, its hash was put down, and again by"
    " everyone who read it. A way back holds if both agree everywhere. The first 12 digits are shown; whole hashes"
    " are folded away below each way.</p>"
)
LIMITS = (
    "Whether the warehouse told the truth: the queries are given, what they ran on is not.",
    "Notes, rows of stays and weights: they stay in the hospital. Their hashes can be compared there, by whoever may.",
    "Whether the records themselves were forged by someone who could write all of them. They guard against mistakes and"
    " quiet changes; a hash noted elsewhere at the time (a registry, a letter, a commit) guards against more.",
    "What a pretrained model has read before it came here.",
    "That another machine gives the same last digits: numbers of another processor or GPU may differ slightly.",
)


def reviewer(document: Mapping[str, Any]) -> str:
    """The whole page."""
    chain = Chain(document)
    return page(
        f"{document['name']}: for the reviewer",
        document,
        OPENING,
        [
            ("figures", "The figures", _figures(document, chain)),
            ("check", "Check it yourself in five minutes", _check(document)),
            ("ways", "From each figure back to its query", _ways(document, chain)),
            ("shards", "Extracts, notes and parts by window", _shards(document)),
            ("queries", "The queries", _queries(document)),
            ("models", "Where the models come from", _models(document)),
            ("environment", "Which code, in which environment", environment(document)),
            ("limits", "What cannot be shown", _list(LIMITS)),
        ],
    )


def _figures(document: Mapping[str, Any], chain: Chain) -> str:
    rows = []
    for one in _sorted(document["headlines"]):
        broken = chain.broken(begin(document, one))
        way = f'<a href="#{anchor(one)}">way back</a>'
        rows.append(
            [
                one["title"],
                named(one),
                wording.estimate(one["auroc"]),
                wording.estimate(one["difference"]),
                str(len(one["seeds"])),
                wording.count(one["n_rows"]),
                Markup(f'{way}: <span class="{"fail" if broken else "pass"}">{"broken" if broken else "holds"}</span>'),
            ]
        )
    part = wording.part(document["headline"])
    shut = " The test set is shut: these are figures of development." if document["evaluation"] == "development" else ""
    return (
        f"<p>AUROC on the {escape(part)}: the chance that a stay with the event is ranked above one without it, the"
        f" mean over a model's seeds; in brackets the 95 % interval over patients.{shut}</p>"
    ) + table(
        ["Task", "Model", "AUROC", "Difference to the reference", "Seeds", "Stays", "Hashes"], rows, left=2, also_left=6
    )


def _check(document: Mapping[str, Any]) -> str:
    name = escape(document["name"])
    shared = document["shared"]
    file = _inside(document["headlines"][0]) if document["headlines"] else "summary.txt"
    lines = [
        f"python scripts/recompute.py --share results/{name}/{_inside(one)} --results results/{name}" for one in shared
    ]
    if shared:
        recompute = (
            "<li><strong>Compute the figures again</strong> from the predictions that were shared with you: every"
            f" measure, interval and curve, digit for digit.<pre>{escape(chr(10).join(lines))}</pre></li>"
        )
    else:
        recompute = (
            "<li><strong>Compute the figures again</strong>: predictions were not shared in this run, so only the"
            " hospital can. Ask its steward for <code>share.enabled</code>: rows without ids, times or texts.</li>"
        )
    return (
        "<ol>"
        "<li><strong>Compare a file</strong> that you were given with its hash on this page:"
        f"<pre>sha256sum results/{name}/{file}</pre></li>"
        f"{recompute}"
        "<li><strong>Have every hash computed again</strong>, from the figures to the extracts, by whoever has the"
        " private folder; it says which file is wrong, if one is.<pre>python scripts/verify.py --configfile"
        " config/config.yaml</pre></li>"
        f"<li><strong>Take it with you</strong>: <code>results/{name}/crate.zip</code> is a Research Object Crate,"
        " which holds the same ways back for machines and a page for people.</li>"
        "</ol>"
    )


def _ways(document: Mapping[str, Any], chain: Chain) -> str:
    return "\n".join(way(document, one, chain) for one in _sorted(document["headlines"]))


def _shards(document: Mapping[str, Any]) -> str:
    written, extracts = document["outputs"], document["extracts"]
    out = ["<p>Hashes of what each window's rows became. All lie in the private folder.</p>"]
    for cohort in dict.fromkeys(one["cohort"] for one in extracts):
        windows = list(dict.fromkeys(one["window"] for one in extracts if one["cohort"] == cohort))
        rows = [
            [
                window,
                *(
                    digest(written.get(f"<private>/{path.format(cohort=cohort, window=window)}"))
                    for path in (
                        "extract/{cohort}/{window}.labels.parquet",
                        "extract/{cohort}/{window}.text.parquet",
                        "clean/{cohort}/{window}.parquet",
                        "split/{cohort}/{window}.parquet",
                    )
                ),
            ]
            for window in windows
        ]
        shown = table(["Window", "Stays", "Notes", "Cleaned notes", "Parts"], rows, left=5)
        names = [
            (n, d) for n, d in written.items() if re.match(rf"<private>/({'|'.join(SHARDS)})/{cohort}/.*parquet$", n)
        ]
        out += [
            f'<h3 id="shards-{escape(cohort)}">{escape(cohort)}</h3>',
            fold(f"{len(windows)} windows", shown),
            fold(f"Whole hashes of these {len(names)} files", hashes(names)),
        ]
    return "\n".join(out)


def _queries(document: Mapping[str, Any]) -> str:
    rows = [
        [
            one["cohort"],
            {"text": "notes", "labels": "stays"}[one["kind"]],
            one["file"],
            one["dialect"],
            wording.count(one["windows"]),
            wording.count(one["rows"]),
            Markup(f"<code>{escape(one['sha256'])}</code>"),
        ]
        for one in document["queries"]
    ]
    head = [
        "Cohort",
        "Reads",
        "Query",
        "Dialect",
        "Windows",
        "Rows",
        "sha256, of the query without comments and layout",
    ]
    return table(head, rows, left=4, also_left=6).replace("<td><code>", '<td class="whole"><code>')


def _models(document: Mapping[str, Any]) -> str:
    rows = [
        [
            one["task"],
            one["model"],
            one["size"],
            one["seed"],
            origin(one),
            wording.count(one["train"]["rows"]),
            one["started"][:10],
            digest(one["code"]),
            digest(one["sha256"]),
        ]
        for one in document["models"]
    ]
    files = {
        (one["model"], name): sha for one in document["models"] for name, sha in one.get("start_files", {}).items()
    }
    head = ["Task", "Model", "Size", "Seed", "Started from", "Rows", "On", "Code", "Weights"]
    return table(head, rows, left=9) + (
        fold(
            "Files that models started from",
            hashes((f"{model}: {name}", sha) for (model, name), sha in files.items()),
        )
        if files
        else ""
    )


def _list(points: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(point)}</li>' for point in points)}</ul>"


def _inside(one: Mapping[str, Any]) -> str:
    return str(one["file"]).removeprefix("<results>/")


def _sorted(headlines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By task in the order given, and in it as the report sorts models."""
    rows = list(headlines)
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    return sorted(rows, key=lambda row: (tasks.index(row["task"]), wording.place(row, row["reference"])))
