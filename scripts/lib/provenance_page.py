"""What the pages for the steward and for the reviewer have in common: the brand, hashes, environment, how they look."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from lib import html, standing, wording
from lib.html import Markup

SHOWN = 12  # digits of a hash; the whole one is in its title and below, in a table that is folded away
CSS = """
.brand { padding: .7rem 1rem; margin: 1rem 0; border-left: 6px solid; } .brand ul { margin: .3rem 0 0; }
.red { background: #fdecee; color: #7a0016; border-color: #b00020; }
.amber { background: #fff3cd; color: #4a3200; border-color: #b77900; }
.green { background: #e8f5ef; color: #00432f; border-color: #00694b; }
code { font: .92em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
td code { white-space: nowrap; } td.whole code, pre { white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: #f5f5f5; padding: .6rem .8rem; font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
ol.chain { list-style: none; padding: 0; margin: .6rem 0; max-width: 60rem; }
ol.chain > li { border-left: 3px solid #9db7c9; padding: .1rem 0 .8rem 1.1rem; margin-left: .4rem; position: relative; }
ol.chain > li::before { content: ""; position: absolute; left: -.47rem; top: .5rem; width: .75rem; height: .75rem;
       border-radius: 50%; background: #0060a0; }
ol.chain > li:last-child { border-color: transparent; } ol.chain p { margin: 0; }
ol.chain ul, .plain { margin: .2rem 0; padding-left: 1.1rem; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .25rem 1.2rem; margin: .6rem 0; }
dt { font-weight: 600; } dd { margin: 0; max-width: 52rem; }
nav a { display: inline-block; } caption { text-align: left; color: #595959; padding: .2rem 0; }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 3px solid #0060a0; outline-offset: 2px; }
@media (max-width: 600px) { body { margin: 1rem auto; padding: 0 .9rem; } dl { display: block; }
       dd { margin: 0 0 .5rem; }       td:first-child { white-space: normal; } h2 { margin-top: 2rem; } }
@media print { body { max-width: none; font-size: 11px; } nav { display: none; } h2, h3 { break-after: avoid; }
       tr, li { break-inside: avoid; } details::details-content { content-visibility: visible; display: block; }
       .wide { overflow: visible; } }
"""


def page(title: str, document: Mapping[str, Any], opening: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """A whole page: brand, what it is for (`opening`, markup), and sections (anchor, heading, markup)."""
    links = " ".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = [
        "<main>",
        f"<h1>{escape(title)}</h1>",
        brand(document),
        opening,
        f'<nav aria-label="Sections">{links}</nav>',
    ]
    for anchor, heading, content in sections:
        body.append(
            f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{escape(heading)}</h2>\n{content}\n</section>'
        )
    return html.document(title, [*body, "</main>"], CSS).replace(
        '<div class="wide">', '<div class="wide" tabindex="0" role="group" aria-label="table">'
    )


def brand(document: Mapping[str, Any]) -> str:
    """How the run stands, as its records had it."""
    found = standing.of(document)
    return found.markup(f'class="brand {found.level}" role="alert"')


def digest(whole: str | None) -> Markup:
    """A hash's first digits, the whole one in the title."""
    if whole is None:
        return Markup(wording.NONE)
    return Markup(f'<code title="{escape(whole)}">{escape(whole[:SHOWN])}</code>')


def fold(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def hashes(names: Iterable[tuple[str, str | None]]) -> str:
    """A table of files and whole hashes, to copy from."""
    rows = [[name, Markup(f"<code>{escape(whole or wording.NONE)}</code>")] for name, whole in names]
    return html.table(["File", "sha256"], rows, left=2).replace("<td><code>", '<td class="whole"><code>')


def minute(time: str) -> str:
    """An ISO time in UTC as people read it; it does not break over lines."""
    return time[:16].replace("T", "\N{NO-BREAK SPACE}")


def environment(document: Mapping[str, Any]) -> str:
    """Which code ran in which environment."""
    workflow = document["workflow"]
    rows = [
        [
            _commit(one["commit"]),
            {True: "yes", False: "no", None: wording.NONE}[one["dirty"]],
            wording.count(one["jobs"]),
        ]
        for one in workflow["commits"]
    ]
    lock = workflow["lock"]
    versions = "; ".join(f"{name} {' and '.join(found)}" for name, found in workflow["versions"].items())
    cards = sorted({one["name"] for job in document["jobs"] for one in job.get("gpu", ())})
    started = [job["started"] for job in document["jobs"] if "missing" not in job]
    return html.table(["Commit of the code (git)", "Changed and not committed", "Jobs"], rows, left=2) + terms(
        [
            ("Python", ", ".join(workflow["python"])),
            ("Libraries that ran", versions),
            (
                "Locked packages",
                Markup(
                    f"{lock['packages']} in requirements.lock, each with its version; sha256 {digest(lock['sha256'])}"
                ),
            ),
            ("GPUs", ", ".join(cards) or "none"),
            ("First and last job", " to ".join(minute(f(started, default=wording.NONE)) for f in (min, max)) + " UTC"),
        ]
    )


def terms(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what stands for them."""
    told = (f"<dt>{escape(name)}</dt><dd>{v if isinstance(v, Markup) else escape(v)}</dd>" for name, v in pairs)
    return f"<dl>{''.join(told)}</dl>"


def _commit(commit: str | None) -> str:
    return "no git revision known" if commit is None else Markup(f"<code>{escape(commit)}</code>")
