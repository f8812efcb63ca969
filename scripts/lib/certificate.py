"""The certificate's second half: what every fitted part of a task has seen, as checks like those of `leakage`.

Preprocessing or a threshold fitted on rows that one is later tested on is a leak that no look at the data shows
(Kapoor and Narayanan, Patterns 2023, L1.2). So each fitted part says by hash which file it was fitted on, and here that
is compared with the files of the parts. What a pretrained model or tokenizer has read is not known: "not verifiable".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lib import html, wording
from lib.verdicts import Check, Checks

MADE = Checks(min_cell=0)  # what is counted here are models and thresholds; the tokenizer's rows are many


@dataclass
class Fitted:
    """What was fitted for a task: manifests of its models, tokenizers, and what `evaluate` fitted, each with a name.

    `parts`: by model, the sha256 of its dataset's train and tuning files, as the dataset's manifests have them.
    `starts`: by model, whether it started from random weights.
    """

    models: Mapping[str, Mapping[str, Any]]
    parts: Mapping[str, Mapping[str, str]]
    tokenizers: Mapping[str, Mapping[str, Any]]
    evaluated: Sequence[Mapping[str, Any]]
    starts: Mapping[str, bool]


def checks(fitted: Fitted) -> Iterator[Check]:
    """The checks, each {"check", "value", "limit", "verdict", "detail"}."""
    for part, what in (("train", "fitted on other rows than the training part"), ("tuning", "chosen on other rows")):
        wrong = [name for name, model in fitted.models.items() if model["data"][part] != fitted.parts[name][part]]
        yield MADE.none(f"models {what}", len(wrong), f"of {len(fitted.models)}, by the hash of the {part} file")
    for name, made in fitted.tokenizers.items():
        yield _tokenizer(name, made["seen"])
    unknown = sum(not scratch for scratch in fitted.starts.values())
    detail = f"{len(fitted.starts)} started from random weights"
    if unknown:
        detail = f"{unknown} of {len(fitted.starts)} start from pretrained weights: what these have read is not known"
    name = "models whose start may have read these notes"
    yield MADE.unknown(name, 0, detail) if unknown else MADE.none(name, 0, detail)
    for name, what in (("threshold", "thresholds"), ("recalibration", "recalibrations")):
        made_on = [_fitted_on(one.get(name)) for one in fitted.evaluated]
        given = [part for part in made_on if part]
        wrong_parts = sum(part != "calibration" for part in given)
        yield MADE.none(f"{what} fitted on other rows than the calibration part", wrong_parts, f"of {len(given)}")


def _tokenizer(name: str, seen: Any) -> Check:
    what = f"rows of other parts that tokenizer {name} has seen"
    if not isinstance(seen, Mapping):
        return MADE.unknown(what, 0, "it was trained elsewhere")
    other = sum(rows for part, rows in seen["parts"].items() if part != "train")
    return MADE.none(what, other, f"it has seen {seen['rows']} rows of {seen['patients']} patients")


def _fitted_on(made: Any) -> str | None:
    """The part that a threshold (`part`) or a recalibration (`fitted_on`) is of; None where there is none."""
    if not made or (made.get("value", made.get("parameters")) is None and "classes" not in made):
        return None
    return str(made.get("fitted_on", made.get("part")))


def page(settings: Mapping[str, Any], whole: Mapping[str, Any], opened: Sequence[Mapping[str, Any]]) -> str:
    """The certificate for people. `opened`: openings of the task's test parts, as `openings.summary` gives them."""
    title = f"Leakage certificate: {settings['task']['title']}"
    rows = [
        [one["first"], one["last"], one["config"], ", ".join(one["models"]), wording.count(one["predictions"])]
        for one in opened
    ]
    head = ["First", "Last", "Configuration", "Models", "Predictions"]
    now = "shut: this run is in development" if settings["evaluation"] == "development" else "open"
    known = f"opened under {len(rows)} configuration{'s' * (len(rows) > 1)} so far" if rows else "never opened"
    return html.document(
        title,
        [
            f"<h1>{escape(title)}</h1>",
            "<p>Each check has its number, zeros included. What cannot be known is not verifiable.</p>",
            "<h2>The data, before any training</h2>",
            html.checks(whole["data"]),
            "<h2>What was fitted, and on which rows</h2>",
            html.checks(whole["fitted"]),
            "<h2>Openings of the test</h2>",
            f"<p>The test parts are {now}; {known}. A test that is opened again and again while models are chosen is no"
            " test any more.</p>",
            html.table(head, rows, left=4) if rows else "",
        ],
    )
