"""What a run needs of a source beyond the contract, by the columns that its queries return; and which texts are read.

The columns come from each query asked for an empty window, so that all of this is known before the first row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.config_errors import no_such


def missing(columns: Mapping[str, Sequence[str]], settings: Mapping[str, Any]) -> list[str]:
    """What tasks, the structured baseline and the shared groups lack, a line each; empty when nothing is.

    `columns`: those of each cohort's labels query; a cohort whose query failed is not there, and is passed over.
    settings: tasks (name -> cohort, label), features (the structured baseline's name, or null), groups (names).
    """
    lines = []
    tasks = {name: task for name, task in settings["tasks"].items() if task["cohort"] in columns}
    for name, task in tasks.items():
        labels = [column for column in columns[task["cohort"]] if column.startswith("label_")]
        if (wanted := f"label_{task['label']}") not in labels:
            lines.append(f"task {name}: cohort {task['cohort']}, labels query: {no_such(wanted, labels)}")
    for cohort in dict.fromkeys(task["cohort"] for task in tasks.values()):
        given = columns[cohort]
        if settings["features"] and not any(column.startswith("feature_") for column in given):
            lines.append(
                f"baseline {settings['features']}: cohort {cohort}, labels query: there is no feature_* column;"
                " add one, or remove the baseline"
            )
        groups = [column for column in given if column.startswith("group_")] or ["no group_* column"]
        for group in settings["groups"]:
            if f"group_{group}" not in given:
                lines.append(f"share.groups: cohort {cohort}, labels query: {no_such(f'group_{group}', groups)}")
    return lines


def uneven_keys(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """A warning if some cohorts know patients by `split_key` and others by person_id: their parts then differ."""
    keyed = [cohort for cohort, names in columns.items() if "split_key" in names]
    others = [cohort for cohort in columns if cohort not in keyed]
    if not keyed or not others:
        return []
    return [
        f"{', '.join(keyed)} split by split_key, {', '.join(others)} by person_id: a patient may be trained on in one"
        " cohort and tested in the other; select split_key in all"
    ]


def spread(total: int, wanted: int) -> list[int]:
    """Positions of at most `wanted` (two or more) of `total` windows, evenly spread, the first and the last among them.

    >>> spread(11, 3)
    [0, 5, 10]
    >>> spread(2, 12)
    [0, 1]
    """
    if total <= wanted:
        return list(range(total))
    return [round(i * (total - 1) / (wanted - 1)) for i in range(wanted)]
