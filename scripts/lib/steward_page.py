"""The steward's page: what left the warehouse, who was left out, where everything lies, and what may leave the house.

Made from the provenance document alone, for someone who has never seen the tools that made it.
"""

from collections import Counter
from collections.abc import Mapping
from html import escape
from typing import Any

from lib import wording
from lib.html import table
from lib.provenance_page import digest, environment, fold, minute, page, terms
from lib.steward_files import files, shared

SOURCES = {
    "demo": "a generated hospital: no patient is real",
    "sqlite": "a SQLite database",
    "odbc": "a server, by ODBC",
}
OPENING = (
    "<p>For who answers for the data: what was read from the warehouse, who was left out, in which files it lies"
    " now, and what of it may be shown. Every figure is of a file that the run wrote; a <em>hash</em> (sha256) is a"
    " file's or a query's fingerprint, of which the first 12 digits are shown: the same content has the same hash,"
    " and no other has.</p>"
)


def steward(document: Mapping[str, Any]) -> str:
    """The whole page."""
    return page(
        f"{document['name']}: for the data steward",
        document,
        OPENING,
        [
            ("left", "What left the warehouse", _queries(document)),
            ("flow", "Who was left out, and why", _flows(document)),
            ("split", "How patients were divided", _split(document)),
            ("leakage", "Leakage audit", _leakage(document)),
            ("openings", "Openings of the test", _openings(document)),
            ("files", "Where the data lie", files(document)),
            ("shared", "What is shared", shared(document)),
            ("environment", "What ran", environment(document)),
        ],
    )


def _queries(document: Mapping[str, Any]) -> str:
    source = document["source"]
    dates: dict[tuple[str, str], list[str]] = {}
    for one in document["extracts"]:
        dates.setdefault((one["cohort"], one["kind"]), []).append(one["extracted"])
    rows = [
        [
            one["cohort"],
            {"text": "notes", "labels": "stays"}[one["kind"]],
            one["file"],
            digest(one["sha256"]),
            wording.count(one["windows"]),
            wording.count(one["rows"]),
            "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}".join(
                dict.fromkeys(minute(f(dates[one["cohort"], one["kind"]])) for f in (min, max))
            ),
        ]
        for one in document["queries"]
    ]
    head = ["Cohort", "Reads", "Query", "Hash of the query", "Windows", "Rows", "Read at (UTC)"]
    windows: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for one in document["extracts"]:
        windows.setdefault(one["cohort"], {}).setdefault(one["window"], []).append(one)
    return "\n".join(
        [
            f"<p>{len(document['queries'])} queries, each asked once for every {escape(source['window'])} from"
            f" {escape(source['first_day'])} to {escape(source['last_day'])}. The source is"
            f" {escape(SOURCES[source['kind']])}. {escape(_releases(document))}</p>",
            table(head, rows, left=4, also_left=6),
            *(
                fold(f"{cohort}: rows and hashes of the {len(of)} windows", _windows(of))
                for cohort, of in windows.items()
            ),
            *(
                fold(f"{one['cohort']}, {one['kind']}: parameters of the query", _parameters(one["parameters"]))
                for one in document["queries"]
            ),
        ]
    )


def _releases(document: Mapping[str, Any]) -> str:
    told = {
        "; ".join(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items()) for row in rows)
        for releases in document["releases"].values()
        for rows in releases
    } - {""}
    if not told:
        return "The warehouse was not asked for its release."
    named = " | ".join(sorted(told))
    return (
        f"Release of the warehouse: {named}." if len(told) == 1 else f"{len(told)} releases of the warehouse: {named}."
    )


def _windows(of: Mapping[str, list[Mapping[str, Any]]]) -> str:
    rows = []
    for window, both in of.items():
        kinds = {one["kind"]: one for one in both}
        stays, notes = kinds.get("labels"), kinds.get("text")
        told = [wording.count(stays["rows"]), digest(stays["sha256"])] if stays else 2 * [wording.NONE]
        rows.append([window, *told, digest(notes["sha256"]) if notes else wording.NONE])
    return table(["Window", "Stays", "Hash of the stays", "Hash of the notes"], rows, left=4) + (
        '<p class="quiet">“hidden”: where any window of a query has few rows, none of its windows tells how many.</p>'
        if any(one["rows"] is None for both in of.values() for one in both if one["kind"] == "labels")
        else ""
    )


def _parameters(given: Mapping[str, Any]) -> str:
    def told(value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(told, value)) or "none"
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)

    return terms((name, told(value)) for name, value in given.items())


def _flows(document: Mapping[str, Any]) -> str:
    out = []
    titles = {row["task"]: row["title"] for row in document["headlines"]}
    for task, flow in document["cohort_flow"].items():
        rows = []
        for step in flow["steps"]:
            gone = "; ".join(f"{wording.reason(d['reason'])} {wording.count(d['stays'])}" for d in step["dropped"])
            rows.append([step["title"], *(wording.count(step[name]) for name in ("stays", "patients", "notes")), gone])
        for part in (part for part in wording.PARTS if part in flow["parts"]):
            counts = (wording.count(flow["parts"][part][name]) for name in ("stays", "patients", "notes"))
            rows.append([f"– {wording.part(part)}", *counts, ""])
        opted = wording.opted_out(flow) or "Nobody who has opted out was among the stays."
        out += [
            f"<h3>{escape(titles.get(task, task))}</h3>",
            table(["Step", "Stays", "Patients", "Notes", "Left out here"], rows, left=1, also_left=4),
            f"<p>{escape(opted)}</p>",
        ]
    hidden = f"“{wording.HIDDEN}”: counts below {document['min_cell']}, and counts that would give them away."
    return "\n".join([*out, f'<p class="quiet">{escape(hidden)}</p>' if document["min_cell"] > 1 else ""])


def _split(document: Mapping[str, Any]) -> str:
    split = document["split"]
    if not split:
        return "<p>No job that divides patients has left a record.</p>"
    shares = ", ".join(
        f"{told} {wording.percent(split['parts'][part])}"
        for part, told in wording.PARTS.items()
        if part in split["parts"]
    )
    if "salt" in split:
        salt = f"“{split['salt']}”, which the configuration shows: who knows a patient's id can tell the part"
    else:
        salt = f"a secret of the site, in the environment variable {split['salt_env']}"
    later = [f"stays from {split['temporal_from']} on"] if split.get("temporal_from") else []
    later += [f"the periods {', '.join(split['temporal_periods'])}"] if split.get("temporal_periods") else []
    rows = []
    for task, made in document["disjoint"].items():
        grouped: dict[str, list[Mapping[str, Any]]] = {}
        for check in made:
            grouped.setdefault(check["check"].split(" in ")[0], []).append(check)
        for what, of in grouped.items():
            verdicts = Counter(check["verdict"] for check in of)
            shared = ", ".join(
                f"{check['check']}: {wording.count(check['value'])}" for check in of if check["value"] != 0
            )
            rows.append(
                [task, what, str(len(of)), shared or "0 in each", ", ".join(f"{n} {v}" for v, n in verdicts.items())]
            )
    return "\n".join(
        [
            "<p>A keyed hash of the patient's id decides the part, so all stays of a patient are in the same one.</p>",
            terms(
                [("Shares", shares), ("Key of the hash (salt)", salt), ("Temporal test", "; ".join(later) or "none")]
            ),
            "<h3>Proof that the parts share nothing</h3>",
            table(["Task", "Compared", "Pairs of parts", "Shared", "Verdict"], rows, left=5),
        ]
    )


def _leakage(document: Mapping[str, Any]) -> str:
    rows, open_ = [], []
    for task, told in document["leakage"].items():
        counts = [str(told["verdicts"].get(kind, 0)) for kind in ("pass", "reported", "not verifiable", "fail")]
        rows.append([task, *counts, f"certificate/{task}.html", digest(told["sha256"])])
        open_ += [
            f"<li>{escape(task)}: <strong>{escape(check['check'])}</strong> – {escape(check['verdict'])};"
            f" {escape(check['detail'])}</li>"
            for check in told["unsettled"]
        ]
    head = ["Task", "Pass", "Reported", "Not verifiable", "Fail", "All checks with their numbers", "Hash"]
    return "\n".join(
        [
            "<p>Each task has a certificate, a page of its own beside this one: what was checked against information"
            " from the future or from another part, with each number and its limit.</p>",
            table(head, rows, left=1, also_left=5),
            f'<h3>What is not settled</h3><ul class="plain">{"".join(open_)}</ul>' if open_ else "",
        ]
    )


def _openings(document: Mapping[str, Any]) -> str:
    if not document["openings"]:
        return "<p>The test was never opened: no model has predicted it.</p>"
    rows = [
        [
            one["task"],
            one["first"],
            one["last"],
            one["config"],
            ", ".join(one["models"]),
            wording.count(one["predictions"]),
        ]
        for one in document["openings"]
    ]
    return (
        "<p>Each time that models predicted the test, by configuration. A test that is looked at again and again while"
        " models are chosen is no test any more.</p>"
        + table(["Task", "First", "Last", "Configuration", "Models", "Predictions"], rows, left=5)
    )
