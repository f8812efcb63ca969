"""The plan before the pull: each estimate from what was counted, by hand."""

import doctest
import time
from typing import Any

import pytest

from lib import source_plan
from lib.source_plan import Counted, duration, pull, ticket, tokens
from source_rows import counted, note, stay

SETTINGS: dict[str, Any] = {
    "tasks": {"back": {"cohort": "stays", "label": "back"}},
    "models": {"m": {"shape": {"hidden_size": 10, "layers": 1, "intermediate_size": 30, "vocabulary": 100}}},
    "sizes": [100, "all"],
    "seeds": 3,
    "train_share": 0.5,
    "train_before": "2020-02",
    "teraflops": 1.0,
    "jobs": {"extract": 4},
}
SETTINGS["models"]["m"] |= {"max_tokens": 52, "epochs": 2}


def cohort(read: int = 400) -> Counted:
    """400 stays in January, 200 in February, notes of 84 and 420 characters in turn; `read` are read."""
    rows = [stay(n, f"2020-0{1 if n < 400 else 2}-10 10:00") for n in range(600)]
    notes = [note(n, "x" * (420 if n % 2 else 84), "2020-01-10 12:00") for n in range(read)]
    stays, of_notes = counted(rows, notes)
    return Counted(stays, of_notes, {"labels": 6.0, "text": 10.0})


def test_the_examples() -> None:
    assert doctest.testmod(source_plan).failed == 0


def test_what_was_not_read_is_extrapolated() -> None:
    found = pull({"stays": cohort(300)}, SETTINGS, 10, None)
    assert found["cohorts"] == {"stays": {"stays": 600, "notes": 600, "bytes": 150_000}}
    assert found["extract_seconds"] == 26.0  # labels as measured, texts twice


def test_tokens_and_gpu_hours_by_hand() -> None:
    model = pull({"stays": cohort()}, SETTINGS, 10, None)["models"]["m"]
    mean = (84 / 4.2 + 2 + 52) / 2  # the longer note is cut
    assert model["tokens_a_stay"] == {"stays": round(mean)} and model["finetunes"] == 6
    trained = (100 + 200) * 3 * 2 * mean  # half of January's 400, of two sizes; seeds, epochs
    assert model["tokens"] == pytest.approx(trained, rel=0.05)
    weights = 100 * 10 + 4 * 100 + 2 * 300
    assert model["parameters"] == weights
    assert model["gpu_hours"] == pytest.approx(6 * weights * trained / 1e12 / 3600, rel=0.05)


def test_disk() -> None:
    mean = (84 / 4.2 + 2 + 52) / 2
    texts, ids = 2 * 0.35 * 600 * 252, 2 * mean * (600 + 600)
    assert pull({"stays": cohort()}, SETTINGS, 10, None)["stored_bytes"] == pytest.approx(texts + ids, rel=0.05)


def test_a_model_of_unknown_size_has_no_gpu_hours() -> None:
    settings = SETTINGS | {"models": {"m": SETTINGS["models"]["m"] | {"shape": None}}}
    model = pull({"stays": cohort()}, settings, 10, None)["models"]["m"]
    assert model["gpu_hours"] is None and model["tokens"] > 0


def test_a_source_without_texts_or_stays_has_a_plan() -> None:
    nothing = pull({"stays": Counted()}, SETTINGS, 10, None)
    assert nothing["cohorts"] == {"stays": {"stays": 0, "notes": 0, "bytes": 0}}
    few = Counted(*counted([stay(1, "2020-01-10 10:00")], [note(1, "x", "2020-01-10 12:00")]))
    assert pull({"stays": few}, SETTINGS, 10, None)["cohorts"] == {
        "stays": {"stays": None, "notes": None, "bytes": None}
    }


def test_the_ticket() -> None:
    assert pull({"stays": cohort()}, SETTINGS, 10, None)["ticket"] is None
    told = pull({"stays": cohort()}, SETTINGS, 10, 10.0)["ticket"]
    assert told == "the ticket ends in 10 s, the extract takes about 21 s: renew it or use a keytab"
    assert ticket(36_000, 60) == "the ticket ends in 10.0 h, the extract takes about 1 min"


@pytest.mark.parametrize(
    ("minutes", "told"), [(0, "0 s"), (0.5, "30 s"), (59, "59 min"), (-90, "−1.5 h"), (4320, "3.0 d"), (None, "–")]
)
def test_durations(minutes: float | None, told: str) -> None:
    assert duration(minutes) == told


def test_tokens_of_nothing() -> None:
    assert tokens(Counted().notes.of_stays, 512) == 0


def test_the_clock_runs_while_an_item_is_got_and_not_while_it_is_used() -> None:
    seconds = {"text": 1.0}

    def slow() -> Any:
        for _ in range(3):
            time.sleep(0.01)
            yield 1

    for _ in source_plan.timed(slow(), seconds, "text"):
        time.sleep(0.05)
    assert 1.03 <= seconds["text"] < 1.12
