"""The report's page: one HTML file that needs nothing else, for the steward and the reviewer.

For each task the models' table, the cohort flow and the leakage certificate. All text is escaped, all numbers are
those of the files, and a hidden count is said to be hidden.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from lib import wording
from lib.summary import Result

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
.pass { color: #00694b; } .fail { color: #b00020; font-weight: 700; } .open { color: #8a5a00; }
"""
MEASURES = (
    ("auprc", "AUPRC"),
    ("brier_scaled", "scaled Brier"),
    ("oe_ratio", "observed / expected"),
    ("calibration_intercept", "calibration intercept"),
    ("calibration_slope", "calibration slope"),
    ("ici", "ICI"),
)


def page(settings: Mapping[str, Any], results: Sequence[Result], with_oracle: bool) -> str:
    """The whole page as text."""
    name, part = escape(settings["name"]), wording.part(settings["headline"])
    body = [f"<h1>{name}</h1>"]
    if settings["evaluation"] == "development":
        body.append(
            '<p class="banner">Development: the test set is shut. Every figure here is of the calibration part, on'
            " which thresholds and recalibration were fitted; none of them says how good a model is.</p>"
        )
    body.append(
        f"<p>Models by task on the {part}: AUROC, the mean over a model's seeds, with its 95 % interval over patients."
        " Curves, calibration and training are among the report's figures.</p>"
    )
    if with_oracle:
        body.append(
            "<p>The data are generated: the oracle is the AUROC of the risk from which the outcomes were drawn, on the"
            " same rows, which no reader of the notes alone can be expected to exceed. The share is"
            " (AUROC − 0.5) / (oracle − 0.5).</p>"
        )
    links = (f'<a href="#{escape(r.task["name"])}">{escape(r.task["title"])}</a>' for r in results)
    body += [
        f"<nav>{' '.join(links)}</nav>",
        _overview(results, with_oracle),
        *(_task(r, settings["min_cell"], with_oracle) for r in results),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}: report</title>\n'
        f"<style>{CSS}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _overview(results: Sequence[Result], with_oracle: bool) -> str:
    """Tasks by models, each at its largest training size."""
    told = [wording.largest(result.rows) for result in results]
    models = list(dict.fromkeys(model for one in told for model in one))
    rows = []
    for result, one in zip(results, told, strict=True):
        cells = [wording.estimate(one[model]["auroc"]) if model in one else wording.NONE for model in models]
        rows.append([result.task["title"], *cells, *([wording.number(result.ceiling)] if with_oracle else [])])
    return _table(["Task", *models, *(["oracle"] if with_oracle else [])], rows, left=1)


def _task(result: Result, min_cell: int, with_oracle: bool) -> str:
    task, table = result.task, result.table
    counts = f"{wording.count(table['n_rows'])} stays of {wording.count(table['n_persons'])} patients"
    if task["kind"] == "binary":
        events = f"{wording.count(table['n_events'][task['class_names'][1]])} events"
    else:
        events = "by class " + ", ".join(f"{name}: {wording.count(n)}" for name, n in table["n_events"].items())
    part = wording.part(table["part"])
    return "\n".join(
        [
            f'<h2 id="{escape(task["name"])}">{escape(task["title"])}</h2>',
            f'<p class="quiet">{escape(part[0].upper() + part[1:])}: {counts}; {escape(events)}.</p>',
            _models(result, with_oracle),
            "<h3>Cohort flow</h3>",
            _flow(result, min_cell),
            "<h3>Leakage certificate</h3>",
            _certificate(result.certificate),
        ]
    )


def _models(result: Result, with_oracle: bool) -> str:
    table, binary = result.table, result.task["kind"] == "binary"
    measures = [m for m in MEASURES if any(row[m[0]] is not None for row in table["rows"])]
    against = table["reference"]
    head = ["Model", "Seeds", "AUROC" if binary else "Mean AUROC", "SD over seeds"]
    head += [f"Difference to {against}"] if against else []
    head += (["Share of oracle"] if with_oracle else []) + [label for _, label in measures]
    rows = []
    for row in result.rows:
        cells = [result.named(row), str(len(row["seeds"])), wording.estimate(row["auroc"])]
        cells.append(wording.number(row["auroc_sd"]["value"]))
        cells += [wording.estimate(row["difference"])] if against else []
        cells += [wording.percent(result.share(row))] if with_oracle else []
        rows.append(cells + [wording.number(row[name]) for name, _ in measures])
    out = _table(head, rows, left=1)
    if with_oracle:
        ceiling = ["oracle", "", wording.number(result.ceiling), *[""] * (len(head) - 3)]
        out = out.replace("</tbody>", _row(ceiling, 1, ' class="oracle"') + "\n</tbody>")
    if not binary:
        averaged = table["macro_classes"] or []
        out += f'<p class="quiet">Mean of one class against the rest, over {escape(", ".join(averaged) or "none")}.</p>'
    reasons = {row["auroc"]["reason"] for row in table["rows"] if row["auroc"]["value"] is None}
    return out + "".join(f'<p class="quiet">No AUROC: {escape(reason)}.</p>' for reason in sorted(reasons))


def _flow(result: Result, min_cell: int) -> str:
    flow, binary = result.flow, result.task["kind"] == "binary"
    counted = ["stays", "patients"] + (["events"] if binary else [])
    classes = [] if binary else result.task["class_names"]
    rows = []
    for step in flow["steps"]:
        out = "; ".join(f"{wording.reason(d['reason'])} {wording.count(d['stays'])}" for d in step["dropped"])
        rows.append([step["title"], *_counts(step, counted, classes), out])
    parts = [
        [f"– {wording.part(name)}", *_counts(flow["parts"][name], counted, classes), ""]
        for name in wording.PARTS
        if name in flow["parts"]
    ]
    head = ["Step", *(c.capitalize() for c in counted), *classes, "Fell out here"]
    out = _table(head, [*rows, *parts], left=1, also_left=len(head) - 1)
    if min_cell < 2:
        return out
    note = f"“{wording.HIDDEN}”: counts below {min_cell}, and counts that would give them away."
    return f'{out}<p class="quiet">{note}</p>'


def _counts(described: Mapping[str, Any], counted: Sequence[str], classes: Sequence[str]) -> list[str]:
    return [wording.count(n) for n in (*(described[c] for c in counted), *(described["classes"] if classes else ()))]


def _certificate(certificate: Mapping[str, Any]) -> str:
    checks = certificate["checks"]
    verdicts = [check["verdict"] for check in checks]
    kinds = ("pass", "reported", "not verifiable", "fail")
    summed = ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)
    rows = []
    for check in checks:
        value, limit = (wording.NONE if check[key] is None else f"{check[key]:,}" for key in ("value", "limit"))
        rows.append([check["check"], value, limit, check["verdict"], check["detail"]])
    out = _table(["Check", "Found", "Allowed", "Verdict", "Detail"], rows, left=1, also_left=3)
    for kind, style in (("pass", "pass"), ("fail", "fail"), ("not verifiable", "open")):
        out = out.replace(f"<td>{kind}</td>", f'<td class="{style}">{kind}</td>')
    return f"<p>{len(checks)} checks: {summed}.</p>{out}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int, also_left: int | None = None) -> str:
    """Columns from `left` up to `also_left` hold numbers and stand on the right."""
    lines = [_row(cells, left, also_left=also_left) for cells in rows]
    heading = _row(head, left, also_left=also_left).replace("td>", "th>").replace("<td", "<th")
    return (
        f'<div class="wide"><table>\n<thead>\n{heading}\n</thead>\n<tbody>\n' + "\n".join(lines) + "\n</tbody>\n"
        "</table></div>"
    )


def _row(cells: Sequence[str], left: int, attributes: str = "", also_left: int | None = None) -> str:
    end = len(cells) if also_left is None else also_left
    numeric = (' class="n"' if left <= i < end else "" for i in range(len(cells)))
    inner = "".join(f"<td{style}>{escape(cell)}</td>" for style, cell in zip(numeric, cells, strict=True))
    return f"<tr{attributes}>{inner}</tr>"
