"""What a pull and the training after it would take, from what was counted: estimates, each with its assumption.

Rough on purpose: they tell an afternoon from a week, and a laptop from a cluster, before either is begun. Counts are
rounded to two digits, so that they tell of no single stay.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from lib import model_size
from lib.source_counts import Notes, Spread, Stays

# Characters a token: 4.2 with a vocabulary of 4,000 entries trained on clinical reports, 5.0 with one of 27,000, both
# on reports that the training did not see. The smaller errs towards more tokens.
CHARACTERS_A_TOKEN = 4.2
SPECIAL_TOKENS = 2
BYTES_A_TOKEN = 2
STORED = 0.35  # of a byte of clinical English, in zstd Parquet; extracted and clean texts are kept


Item = TypeVar("Item")


@dataclass
class Counted:
    """What was counted of a cohort, and the seconds that its queries took, by kind."""

    stays: Stays = field(default_factory=Stays)
    notes: Notes = field(default_factory=Notes)
    seconds: dict[str, float] = field(default_factory=lambda: {"labels": 0.0, "text": 0.0})

    def sum(self, key: Any, before: str = "9999-13") -> int:
        """Of the months before `before` (`YYYY-MM`)."""
        return sum(month[key] for name, month in self.stays.months.items() if name < before)

    @property
    def scale(self) -> float:
        """How many times the texts that were read all are: by stays with a note."""
        read = self.notes.of_stays.total
        return self.sum("with_note") / read if read else 0.0


def pull(
    counted: Mapping[str, Counted], settings: Mapping[str, Any], min_cell: int, ticket_seconds: float | None
) -> dict[str, Any]:
    """The plan: rows, bytes, tokens, jobs, seconds, GPU-hours.

    settings: tasks (name -> cohort, label), models (name -> shape or null, max_tokens, epochs), sizes, seeds (how
    many), train_share, train_before (`YYYY-MM`), teraflops, jobs. `ticket_seconds`: until the Kerberos ticket ends;
    None where the source needs none.
    """
    totals = {name: _totals(cohort) for name, cohort in counted.items()}
    models = {name: _model(counted, model, settings) for name, model in settings["models"].items()}
    size = sum(total["bytes"] for total in totals.values())
    tokens = sum(model.pop("stored_tokens") for model in models.values())
    seconds = sum(total.pop("seconds") for total in totals.values())
    hidden = {name: {what: _about(n, min_cell) for what, n in total.items()} for name, total in totals.items()}
    return {
        "cohorts": hidden,
        "stored_bytes": _about(2 * STORED * size + BYTES_A_TOKEN * tokens, min_cell),
        "extract_seconds": round(seconds, 1),
        "jobs": settings["jobs"],
        "models": models,
        "teraflops": settings["teraflops"],
        "ticket": ticket(ticket_seconds, seconds),
    }


def _totals(cohort: Counted) -> dict[str, float]:
    stays, notes, scale = cohort.sum("stays"), cohort.notes, cohort.scale
    seconds = cohort.seconds["labels"] + scale * cohort.seconds["text"]
    return {"stays": stays, "notes": scale * notes.rows, "bytes": scale * notes.bytes, "seconds": seconds}


def _model(counted: Mapping[str, Counted], model: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of all its finetunes: over tasks, sizes and seeds."""
    weights = model_size.parameters(model["shape"])
    each = {name: tokens(cohort.notes.of_stays, model["max_tokens"]) for name, cohort in counted.items()}
    stored = seen = 0.0
    for task in settings["tasks"].values():
        cohort, mean = counted[task["cohort"]], each[task["cohort"]]
        rows = settings["train_share"] * cohort.sum(("labelled", task["label"]), settings["train_before"])
        stored += mean * cohort.sum(("labelled", task["label"]))
        trained = sum(rows if size == "all" else min(size, rows) for size in settings["sizes"])
        seen += trained * settings["seeds"] * model["epochs"] * mean
    stored += sum(mean * counted[name].sum("with_note") for name, mean in each.items())
    hours = model_size.FLOPS * weights * seen / (settings["teraflops"] * 1e12) / 3600 if weights else None
    return {
        "parameters": weights,
        "max_tokens": model["max_tokens"],
        "tokens_a_stay": {name: round(mean) for name, mean in each.items()},
        "finetunes": len(settings["tasks"]) * len(settings["sizes"]) * settings["seeds"],
        "tokens": _about(seen, 0),
        "gpu_hours": hours if hours is None else float(f"{hours:.2g}"),
        "stored_tokens": stored,
    }


def tokens(of_stays: Spread, max_tokens: int) -> float:
    """Mean tokens that a model reads of a stay, cut at `max_tokens`; 0 of none."""
    read = sum(
        count * min(max_tokens, characters / CHARACTERS_A_TOKEN + SPECIAL_TOKENS)
        for characters, count in of_stays.counts.items()
    )
    return read / of_stays.total if of_stays.total else 0.0


def ticket(seconds: float | None, extract_seconds: float) -> str | None:
    """How long the Kerberos ticket lasts against the extract; None where no ticket is used.

    >>> ticket(4 * 3600, 6 * 3600)
    'the ticket ends in 4.0 h, the extract takes about 6.0 h: renew it or use a keytab'
    """
    if seconds is None:
        return None
    lasts, takes = duration(seconds / 60), duration(extract_seconds / 60)
    if seconds > extract_seconds:
        return f"the ticket ends in {lasts}, the extract takes about {takes}"
    return f"the ticket ends in {lasts}, the extract takes about {takes}: renew it or use a keytab"


def timed(items: Iterable[Item], seconds: dict[str, float], kind: str) -> Iterator[Item]:
    """`items`, while `seconds[kind]` grows by what it takes to get each."""
    iterator = iter(items)
    while True:
        started = perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            seconds[kind] += perf_counter() - started
        yield item


def duration(minutes: float | None) -> str:
    """30 -> '30 min', 90 -> '1.5 h', 4320 -> '3.0 d'; under a minute in seconds."""
    if minutes is None:
        return "–"
    sign, minutes = "−" if minutes < 0 else "", abs(minutes)
    for limit, unit, name, digits in ((1, 1 / 60, "s", 0), (60, 1, "min", 0), (48 * 60, 60, "h", 1)):
        if minutes < limit:
            return f"{sign if minutes else ''}{minutes / unit:.{digits}f} {name}"
    return f"{sign}{minutes / 1440:.1f} d"


def _about(value: float, min_cell: int) -> int | None:
    """To two digits; None of a small cell, which zero is not."""
    if 0 < value < min_cell:
        return None
    return int(float(f"{value:.2g}"))
