"""On the steward's page: in which files the data lie, of which class each is, and what is shared with a reviewer."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lib import wording
from lib.data_classes import CLASSES, TABLE, kinds_of
from lib.html import table
from lib.provenance_page import digest, fold

PRIVATE = ("private folder", "no")
RESULTS = ("results", "yes, as your rules have it; rows that are shared (below) only if you release them")


def files(document: Mapping[str, Any]) -> str:
    kinds = Counter(kind for name in document["outputs"] for kind in kinds_of(name))
    classes: Counter[str] = Counter()
    for kind, count in kinds.items():
        classes[kind.data_class] += count
    rows = [
        [name, told, wording.count(classes[name]), *(RESULTS if name == "aggregate" else PRIVATE)]
        for name, told in CLASSES.items()
    ]
    listed = [
        [
            kind.pattern.replace("<private>/", "").replace("<results>/", ""),
            kind.data_class,
            kind.holds,
            str(kinds[kind]),
        ]
        for kind in TABLE
        if kinds[kind]
    ]
    beside = [kind for kind in TABLE if not kinds[kind] and kind.pattern.startswith("<private>/")]
    return "\n".join(
        [
            "<p>The private folder can be read by its owner alone. The results hold no text and, but for what is shared"
            " below, no row of a stay.</p>",
            table(["Class", "Holds", "Files", "Lie in", "May leave the house"], rows, left=2, also_left=3),
            fold("All kinds of files of this run", table(["Files", "Class", "Hold", "Count"], listed, left=3)),
            fold(
                "What else may lie in the private folder (logs, caches, former models), not counted above",
                table(["Files", "Class", "Hold"], ([k.pattern[10:], k.data_class, k.holds] for k in beside), left=3),
            ),
        ]
    )


def shared(document: Mapping[str, Any]) -> str:
    if not document["shared"]:
        return "<p>Nothing: sharing rows with a reviewer is off (<code>share.enabled</code> in the configuration).</p>"
    rows = [
        [
            one["task"],
            one["file"].removeprefix("<results>/"),
            ", ".join(map(wording.part, one["parts"])),
            ", ".join(one["groups"]) or "none",
            str(one["min_group"]),
            digest(one["sha256"]),
        ]
        for one in document["shared"]
    ]
    return (
        "<p>Sharing is on. These files hold <strong>a row for each stay</strong>: label, probabilities and coarse"
        " groups under random keys; no id, time or text. They are in the results folder, and whether they leave the"
        " house is your decision.</p>"
        + table(["Task", "File", "Parts", "Groups", "Smallest group (patients)", "Hash"], rows, left=6)
    )
