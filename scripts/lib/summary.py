"""The run in one table: each task's models with their AUROC, what the oracle reaches, and the share of it.

As text for the terminal (80 columns) and as CSV with the digits of the files. A model's AUROC is compare's: the mean
over its seeds, with the interval over patients of that mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib import oracle, wording

COLUMNS = (
    *("task", "part", "n_rows", "model", "kind", "size", "seeds", "auroc", "auroc_low", "auroc_high"),
    *("reference", "difference", "difference_low", "difference_high"),
)


@dataclass(frozen=True)
class Result:
    """One task: what the plan says of it, compare's table, its flow, its certificate, the oracle's AUROC.

    `other_outcome`: there is an oracle, and it does not know this task's outcomes.
    """

    task: Mapping[str, Any]
    table: Mapping[str, Any]
    flow: Mapping[str, Any]
    certificate: Mapping[str, Any]
    ceiling: float | None = None
    other_outcome: bool = False

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The table's rows: transformers, the reference, other baselines, controls; otherwise in the table's order."""
        return sorted(self.table["rows"], key=lambda row: wording.place(row, self.table["reference"]))

    def named(self, row: Mapping[str, Any]) -> str:
        """The model's name, with its training size where the table has several."""
        name = f"{row['model']} (control)" if row["control"] else str(row["model"])
        sizes = {str(other["size"]) for other in self.table["rows"]}
        return name if len(sizes) == 1 else f"{name}, {row['size']}"

    def share(self, row: Mapping[str, Any]) -> float | None:
        """The part of the way from chance to the oracle that a row's AUROC has gone."""
        return oracle.share(row["auroc"]["value"], self.ceiling)


def text(settings: Mapping[str, Any], results: Sequence[Result], with_oracle: bool) -> str:
    """The terminal's table."""
    lines = [f"{settings['name']}: {wording.part(settings['headline'])}; AUROC with 95 % intervals over patients"]
    if settings["evaluation"] == "development":
        lines.append("Development: the test set is shut; these figures are of the calibration part.")
    head = ["task", "model", "AUROC"] + (["share of oracle"] if with_oracle else [])
    cells = [head]
    for result in results:
        for i, row in enumerate(result.rows):
            line = [result.task["name"] if i == 0 else "", result.named(row), wording.estimate(row["auroc"])]
            cells.append(line + ([wording.percent(result.share(row))] if with_oracle else []))
        if with_oracle:
            cells.append(
                ["", "oracle", wording.number(result.ceiling), wording.percent(1.0 if result.ceiling else None)]
            )
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    ruled = [cells[0], ["─" * width for width in widths], *cells[1:]]
    lines += ["", *("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in ruled), ""]
    coding = [result.task["name"] for result in results if result.task["coding"]]
    if coding:
        lines.append(f"{', '.join(coding)}: coding, not prediction; a discharge note states what coders code from it.")
    if any(result.task["kind"] != "binary" for result in results):
        lines.append("Tasks of several classes: mean AUROC of each class against the rest.")
    if other := [result.task["name"] for result in results if result.other_outcome]:
        lines.append(f"{', '.join(other)}: no oracle; {oracle.UNKNOWN}.")
    if with_oracle:
        lines.append("Oracle: the true risk on the same rows. Share: (AUROC − 0.5) / (oracle − 0.5).")
    return "\n".join(lines).rstrip() + "\n"


def records(results: Sequence[Result], with_oracle: bool) -> list[list[Any]]:
    """The CSV: header and one list a task, model and training size; None is an empty cell."""
    out: list[list[Any]] = [[*COLUMNS, *(("oracle_auroc", "share_of_oracle") if with_oracle else ())]]
    for result in results:
        table = result.table
        for row in result.rows:
            cells = [result.task["name"], table["part"], table["n_rows"], row["model"], row["kind"], row["size"]]
            cells += [len(row["seeds"]), *(row["auroc"][key] for key in ("value", "low", "high"))]
            cells += [table["reference"], *(row["difference"][key] for key in ("value", "low", "high"))]
            if with_oracle:
                reached = result.share(row)
                cells += [result.ceiling, None if reached is None else round(reached, 6)]
            out.append(cells)
    return out
