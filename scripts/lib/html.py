"""The parts that pages are made of: a document that needs nothing else, and tables. All text is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from lib import wording

CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff;
       max-width: 72rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.8rem 0 .3rem; padding-top: .8rem;
       border-top: 1px solid #d0d0d0; } h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .3rem 0 .6rem; max-width: 52rem; } .quiet { color: #595959; }
.banner { background: #fff3cd; border-left: 6px solid #b77900; padding: .7rem 1rem; margin: 1rem 0; font-weight: 600; }
nav { margin: .8rem 0; } nav a { margin-right: 1.2rem; } a { color: #0060a0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; } th, td { padding: .28rem .8rem .28rem 0; text-align: left;
       vertical-align: top; } thead th { border-bottom: 2px solid #595959; font-weight: 600; }
tbody tr { border-bottom: 1px solid #e4e4e4; } .n { text-align: right; font-variant-numeric: tabular-nums;
       white-space: nowrap; } th { vertical-align: bottom; } th.n { white-space: normal; }
       td:first-child { white-space: nowrap; } tr.oracle { color: #595959; font-style: italic; }
details { margin: .4rem 0; } summary { cursor: pointer; color: #0060a0; }
.pass { color: #00694b; } .fail { color: #b00020; font-weight: 700; } .open { color: #8a5a00; }
"""


class Markup(str):
    """Text of ours that is markup already, and is not escaped."""


def document(title: str, body: Sequence[str], css: str = "") -> str:
    """A whole page; `body` is markup, `css` what this page has beyond all pages'."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{CSS}{css}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def checks(made: Sequence[Mapping[str, Any]]) -> str:
    """A certificate's checks: how many of each verdict, and each with its number and its limit."""
    verdicts = [check["verdict"] for check in made]
    kinds = ("pass", "reported", "not verifiable", "fail")
    summed = ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)
    rows = []
    for check in made:
        value, limit = (wording.NONE if check[key] is None else f"{check[key]:,}" for key in ("value", "limit"))
        if check["value"] is None and check["verdict"] != "not verifiable":
            value = wording.HIDDEN
        rows.append([check["check"], value, limit, check["verdict"], check["detail"]])
    out = table(["Check", "Found", "Allowed", "Verdict", "Detail"], rows, left=1, also_left=3)
    for kind, style in (("pass", "pass"), ("fail", "fail"), ("not verifiable", "open")):
        out = out.replace(f"<td>{kind}</td>", f'<td class="{style}">{kind}</td>')
    return f"<p>{len(made)} checks: {summed}.</p>{out}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int, also_left: int | None = None) -> str:
    """Columns from `left` up to `also_left` hold numbers and stand on the right."""
    lines = [row(cells, left, also_left=also_left) for cells in rows]
    heading = row(head, left, also_left=also_left).replace("td>", "th>").replace("<td", "<th")
    return (
        f'<div class="wide"><table>\n<thead>\n{heading}\n</thead>\n<tbody>\n' + "\n".join(lines) + "\n</tbody>\n"
        "</table></div>"
    )


def row(cells: Sequence[str], left: int, attributes: str = "", also_left: int | None = None) -> str:
    end = len(cells) if also_left is None else also_left
    numeric = (' class="n"' if left <= i < end else "" for i in range(len(cells)))
    inner = "".join(f"<td{style}>{_told(cell)}</td>" for style, cell in zip(numeric, cells, strict=True))
    return f"<tr{attributes}>{inner}</tr>"


def _told(cell: str) -> str:
    return cell if isinstance(cell, Markup) else escape(cell)
