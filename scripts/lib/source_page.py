"""The terminal's page of a source check, 100 columns wide: a table over time a cohort, the plan, the warnings."""

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from lib import amounts, source_plan, wording

WIDTH = 100
NEAR, GAP = "  ", "   "
NOT_READ = "·"
LEGEND = (
    "characters of a text, time from the anchor to its filing: the median, and what 95 % do not exceed",
    "known: stays that have the label; · no text read here; hidden: few stays, or what would tell of few",
)
ITEM = 14  # where the plan's sentences begin
LEAST_HOURS = 0.01


class Column(NamedTuple):
    """A column under a heading that it may share with its neighbours; `cells` from the first period to the total."""

    group: str
    head: str
    cells: Sequence[str]

    @property
    def width(self) -> int:
        return max(map(len, (self.head, *self.cells)))


def page(found: Mapping[str, Any]) -> str:
    """`found` as scripts/check_source.py writes it."""
    lines = [f"{found['name']}: the source as its queries give it, {found['first_day']} to {found['last_day']}"]
    for name, cohort in found["cohorts"].items():
        lines += ["", *_cohort(name, cohort)]
    lines += ["", *LEGEND, "", *_plan(found["plan"]), "", *_warnings(found["warnings"])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _cohort(name: str, cohort: Mapping[str, Any]) -> Iterator[str]:
    read, of = cohort["windows_read"], cohort["windows"]
    yield f"{name}: labels of {_number(of, 'window')}, texts of {'all' if read == of else read}"
    rows = [*cohort["periods"], cohort["total"]]
    names = [str(row["period"]) for row in rows]
    for columns in _fitting(list(_columns(cohort, rows)), max(map(len, names))):
        yield ""
        yield from _table(names, columns)


def _columns(cohort: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Column]]:
    """Columns that stay together."""
    anchor = "anchor" if cohort["anchor"] == "none" else cohort["anchor"]
    noted = [_share(row["with_note"], row["stays"]) for row in rows]
    yield [Column("", "stays", [wording.count(row["stays"]) for row in rows]), Column("", "with note", noted)]
    for group, key, show in (
        ("characters", "characters", wording.count),
        (f"filed after {anchor}", "lag_minutes", source_plan.duration),
    ):
        yield [
            Column(group, head, [_quantile(row[key], what, show) for row in rows])
            for what, head in (("median", "median"), ("high", "95 %"))
        ]
    for label, kind in cohort["labels"].items():
        told = [row["labels"][label] for row in rows]
        shares = [_share(one["known"], row["stays"]) for one, row in zip(told, rows, strict=True)]
        told_as: Callable[[Any], str] = wording.percent if kind == "binary" else partial(wording.number, digits=1)
        means = [wording.HIDDEN if one["mean"] is None and one["known"] != 0 else told_as(one["mean"]) for one in told]
        yield [Column(label, "known", shares), Column(label, "rate" if kind == "binary" else "mean", means)]


def _fitting(groups: list[list[Column]], first: int) -> Iterator[list[list[Column]]]:
    """As many groups of columns side by side as there is room for; the rest below, in further tables."""
    room, line = WIDTH - first, list[list[Column]]()
    for group in groups:
        needed = len(GAP) + _width(group)
        if line and needed > room:
            yield line
            room, line = WIDTH - first, []
        line.append(group)
        room -= needed
    yield line


def _width(group: Sequence[Column]) -> int:
    return max(sum(column.width + len(NEAR) for column in group) - len(NEAR), len(group[0].group))


def _table(names: Sequence[str], groups: Sequence[Sequence[Column]]) -> Iterator[str]:
    first, widths = max(map(len, names)), [_width(group) for group in groups]
    heads = [group[0].group.rjust(width) for group, width in zip(groups, widths, strict=True)]
    rule = GAP.join("─" * width for width in (first, *widths))
    if any(head.strip() for head in heads):
        yield GAP.join([" " * first, *heads])
    titles = [NEAR.join(column.head.rjust(column.width) for column in group) for group in groups]
    yield GAP.join([" " * first, *(title.rjust(width) for title, width in zip(titles, widths, strict=True))])
    yield rule
    for i, name in enumerate(names):
        if i == len(names) - 1:
            yield rule
        elif i and name.endswith(("-01", "Q1")):
            yield ""
        cells = [NEAR.join(column.cells[i].rjust(column.width) for column in group) for group in groups]
        yield GAP.join([name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])


def _plan(plan: Mapping[str, Any]) -> Iterator[str]:
    yield "The plan before the pull (rough; docs/check-source.md tells how)"
    yield ""
    for name, cohort in plan["cohorts"].items():
        stays, notes = wording.count(cohort["stays"]), wording.count(cohort["notes"])
        yield from _item(name, f"{stays} stays, {notes} notes, {_bytes(cohort['bytes'])} of text")
    yield from _item("disk", f"{_bytes(plan['stored_bytes'])}: extracted and clean texts, token ids")
    yield from _item("jobs", ", ".join(f"{count:,} {stage}" for stage, count in plan["jobs"].items() if count))
    yield from _item("extract", f"{source_plan.duration(plan['extract_seconds'] / 60)}, one query at a time")
    if plan["ticket"]:
        yield from _item("ticket", plan["ticket"])
    for name, model in plan["models"].items():
        each = " and ".join(f"{tokens:,} ({cohort})" for cohort, tokens in model["tokens_a_stay"].items())
        read = f"reads {each} tokens of a stay, at most {model['max_tokens']:,}"
        if model["gpu_hours"] is None:
            cost = "GPU-hours unknown, as no config.json tells its size"
        else:
            hours = f"{model['gpu_hours']:,g}" if model["gpu_hours"] >= LEAST_HOURS else f"under {LEAST_HOURS}"
            cost = f"{hours} GPU-hours at {plan['teraflops']:g} TFLOP/s"
            read = f"{amounts.short(model['parameters'])} parameters, {read}"
        yield from _item(
            name, f"{read}; {_number(model['finetunes'], 'finetune')}, {amounts.short(model['tokens'])} tokens: {cost}"
        )


def _item(name: str, told: str) -> Iterator[str]:
    return _wrapped(f"  {name}".ljust(ITEM), told)


def _warnings(warnings: Sequence[str]) -> Iterator[str]:
    if not warnings:
        yield "No warnings: nothing looks cut off, missing or late."
        return
    yield f"{_number(len(warnings), 'warning')} (docs/check-source.md tells what to do)"
    yield ""
    for warning in warnings:
        yield from _wrapped("  ! ", warning)


def _wrapped(first: str, text: str) -> Iterator[str]:
    """`first` and `text` in lines of WIDTH, the further ones as far in as `first` goes; a number keeps its unit."""
    kept = re.sub(r"(?<=\d) (?=[%\w])", "\N{NO-BREAK SPACE}", text)
    for line in textwrap.wrap(kept, WIDTH, initial_indent=first, subsequent_indent=" " * len(first)):
        yield line.replace("\N{NO-BREAK SPACE}", " ")


def _share(part: int | None, whole: int | None) -> str:
    if part is None or whole is None:
        return wording.HIDDEN
    return wording.percent(part / whole) if whole else wording.NONE


def _quantile(told: Mapping[str, Any] | None, what: str, show: Any) -> str:
    if told is None:
        return NOT_READ
    return show(told[what]) if told else wording.HIDDEN


def _number(count: int, of: str) -> str:
    return f"{count:,} {of}{'' if count == 1 else 's'}" if count else f"no {of}s"


def _bytes(size: int | None) -> str:
    return wording.HIDDEN if size is None else amounts.size(size)
