"""The report's page: one HTML file that needs nothing else, for the steward and the reviewer.

For each task the models' table, the cohort flow and the leakage certificate. All text is escaped, all numbers are
those of the files, and a hidden count is said to be hidden.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lib import html, oracle, page_flow, wording
from lib.summary import Result

MEASURES = (
    ("auprc", "AUPRC"),
    ("brier_scaled", "scaled Brier"),
    ("oe_ratio", "observed / expected"),
    ("calibration_intercept", "calibration intercept"),
    ("calibration_slope", "calibration slope"),
    ("ici", "ICI"),
)

CODING = (
    '<p class="banner">Coding, not prediction: the text is the discharge note, which states what the codes are taken'
    " from. These figures say how well it is read, not what can be foreseen.</p>"
)


def page(
    settings: Mapping[str, Any],
    results: Sequence[Result],
    with_oracle: bool,
    releases: Mapping[str, Sequence[Sequence[Mapping[str, str]]]],
) -> str:
    """The whole page as text. `releases`: by cohort those of the warehouse, as the rows of the release query."""
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
    body += _releases(releases)
    body.append(
        '<p class="quiet">Where each figure comes from, and whether the run is reproducible as it stands, is said on'
        " reviewer.html beside this page, what was done with the data on steward.html.</p>"
    )
    if with_oracle:
        body.append(
            "<p>The data are generated: the oracle is the AUROC of the risk from which the outcomes were drawn, on the"
            " same rows, which no reader of the notes alone can be expected to exceed. The share is"
            " (AUROC − 0.5) / (oracle − 0.5).</p>"
        )
    if other := [result.task["title"] for result in results if result.other_outcome]:
        body.append(f'<p class="quiet">No oracle for {escape(", ".join(other))}: {oracle.UNKNOWN}.</p>')
    links = (f'<a href="#{escape(r.task["name"])}">{escape(r.task["title"])}</a>' for r in results)
    body += [
        f"<nav>{' '.join(links)}</nav>",
        _overview(results, with_oracle),
        *(_task(r, settings["min_cell"], with_oracle) for r in results),
    ]
    return html.document(f"{settings['name']}: report", body)


def _releases(releases: Mapping[str, Sequence[Sequence[Mapping[str, str]]]]) -> list[str]:
    """From which release of the warehouse the extracts are; in red where a cohort's are of several."""
    told = {cohort: [_release(rows) for rows in several] for cohort, several in releases.items()}
    mixed = [
        f'<p class="banner">The windows of {escape(cohort)} were extracted from {len(names)} releases of the warehouse,'
        f" whose rows need not fit together: {escape(' | '.join(names))}.</p>"
        for cohort, names in told.items()
        if len(names) > 1
    ]
    known = sorted({name for names in told.values() for name in names})
    return mixed or [f'<p class="quiet">Release of the warehouse: {escape(name)}.</p>' for name in known]


def _release(rows: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.items()) for row in rows)


def _overview(results: Sequence[Result], with_oracle: bool) -> str:
    """Tasks by models, each at its largest training size."""
    told = [wording.largest(result.rows) for result in results]
    models = list(dict.fromkeys(model for one in told for model in one))
    rows = []
    for result, one in zip(results, told, strict=True):
        cells = [wording.estimate(one[model]["auroc"]) if model in one else wording.NONE for model in models]
        rows.append([result.task["title"], *cells, *([wording.number(result.ceiling)] if with_oracle else [])])
    return html.table(["Task", *models, *(["oracle"] if with_oracle else [])], rows, left=1)


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
            *([CODING] if task["coding"] else []),
            _models(result, with_oracle),
            "<h3>Cohort flow</h3>",
            page_flow.flow(result, min_cell),
            "<h3>Leakage certificate</h3>",
            html.checks(result.certificate["checks"]),
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
    out = html.table(head, rows, left=1)
    if with_oracle:
        ceiling = ["oracle", "", wording.number(result.ceiling), *[""] * (len(head) - 3)]
        out = out.replace("</tbody>", html.row(ceiling, 1, ' class="oracle"') + "\n</tbody>")
    if not binary:
        averaged = table["macro_classes"] or []
        out += f'<p class="quiet">Mean of one class against the rest, over {escape(", ".join(averaged) or "none")}.</p>'
    reasons = {row["auroc"]["reason"] for row in table["rows"] if row["auroc"]["value"] is None}
    return out + "".join(f'<p class="quiet">No AUROC: {escape(reason)}.</p>' for reason in sorted(reasons))
