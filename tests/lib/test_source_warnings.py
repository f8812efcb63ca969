"""Each warning is given where it should be, and is silent on a source without the fault."""

import random
from datetime import date, datetime, timedelta
from typing import Any

from lib.source_counts import Notes, Stays
from lib.source_warnings import of_cohort
from source_rows import counted, note, stay

SPAN = (date(2019, 1, 1), date(2021, 1, 1))
AFTER = {"back": 30, "days": 60}


def hospital(
    keep: Any = lambda day, draw: True,
    text: Any = lambda size: "x" * size,
    filed: Any = lambda at: at,
    precision: str = "second",
    a_day: int = 4,
    **labels: Any,
) -> tuple[Stays, Notes]:
    """Two years; labels are known as far as their clocks allow. `keep` chooses stays, `filed` changes note times."""
    draw, stays, notes, visit = random.Random(5), [], [], 0
    for n in range((SPAN[1] - SPAN[0]).days):
        day = SPAN[0] + timedelta(days=n)
        for _ in range(a_day):
            visit += 1
            at = datetime(day.year, day.month, day.day) + timedelta(minutes=draw.randrange(1, 1300))
            size, positive, chosen = int(draw.lognormvariate(7.5, 0.8)) + 1, draw.random() < 0.2, keep(day, draw)
            left = (SPAN[1] - day).days
            if not chosen:
                continue
            back = labels.get("back", lambda day, value: value)(day, int(positive)) if left > 30 else None
            stays.append(stay(visit, str(at), 0 if chosen != "no note" else None, back, 3 if left > 60 else None))
            if chosen != "no note":
                notes.append(note(visit, text(size), str(filed(at)), precision))
    return counted(stays, notes)


def warned(found: tuple[Stays, Notes], after: dict[str, int] = AFTER) -> list[str]:
    return of_cohort(*found, after, SPAN, 10)


def test_a_sound_source_gives_none() -> None:
    assert warned(hospital()) == []
    assert warned(hospital(a_day=1)) == [], "nor does a small one"


def test_texts_cut_at_a_round_length() -> None:
    (told,) = warned(hospital(text=lambda size: "x" * min(size, 4000)))
    assert "% of texts have exactly 4,000 characters, and none is longer" in told


def test_texts_cut_at_an_odd_length_are_told_by_the_longest() -> None:
    (told,) = warned(hospital(text=lambda size: "x" * min(size, 3217)))
    assert "exactly 3,217 characters, and none is longer" in told


def test_texts_cut_at_a_number_of_bytes() -> None:
    (told,) = warned(hospital(text=lambda size: "é" * min(size, 2000)))
    assert "exactly 2,000 characters" in told
    cut = warned(hospital(text=lambda size: ("é" * (size % 700) + "x" * size).encode()[:4000].decode()))
    assert len(cut) == 1 and "exactly 4,000 bytes, and none is longer" in cut[0]


def test_only_one_system_of_several_cuts() -> None:
    (told,) = warned(hospital(text=lambda size: "x" * (min(size, 4000) if size % 3 else size)))
    assert "exactly 4,000 characters:" in told and "none is longer" not in told


def test_short_templates_are_no_cut() -> None:
    assert warned(hospital(text=lambda size: "x" * (150 if size % 3 else size))) == []


def test_notes_at_midnight() -> None:
    (told,) = warned(hospital(filed=lambda at: at.replace(hour=0, minute=0)))
    assert told.startswith("all note times that claim a time of day stand at midnight")
    assert warned(hospital(filed=lambda at: at.replace(hour=23, minute=59, second=59)))[0].startswith("all note times")
    (honest,) = warned(hospital(filed=lambda at: at.replace(hour=0, minute=0), precision="day"))
    assert honest.startswith("all note times are dates without a time")


def test_thinning_stays() -> None:
    thin = hospital(keep=lambda day, draw: day < date(2020, 11, 1) or draw.random() < 0.3)
    (told,) = warned(thin)
    assert told.startswith("stays fall to ") and "from 2020-11 to 2020-12: data_end 2020-12-31 may be too late" in told
    (gone,) = warned(hospital(keep=lambda day, draw: day < date(2020, 12, 1)))
    assert gone.startswith("stays fall to almost nothing of the year before in 2020-12")


def test_a_month_that_is_not_whole_is_no_tail() -> None:
    stays, notes = hospital(keep=lambda day, draw: day < date(2020, 12, 8))
    assert of_cohort(stays, notes, AFTER, (SPAN[0], date(2020, 12, 8)), 10) == []


def test_thinning_notes_labels_and_events() -> None:
    (told,) = warned(
        hospital(keep=lambda day, draw: "no note" if day > date(2020, 12, 1) and draw.random() < 0.6 else 1)
    )
    assert told.startswith("the share of stays with a note falls to ") and "notes may not all be filed" in told
    autumn = date(2020, 10, 1)
    (told,) = warned(hospital(back=lambda day, value: None if day >= autumn and day.day > 9 else value))
    assert told.startswith("the share of stays with a label back falls to ") and "from 2020-10 to 2020-11" in told
    (told,) = warned(hospital(back=lambda day, value: value * (day < autumn)))
    assert told.startswith("the rate of back falls to almost nothing of the year before from 2020-10 to 2020-11")
    assert "raise maturity_days" in told


def test_labels_that_cannot_be_known_yet_are_no_tail() -> None:
    assert warned(hospital(), AFTER) == []
    assert [told for told in warned(hospital(), {}) if "label days" in told], "without its clock it would look like one"


def test_notes_without_a_stay_and_stays_without_notes() -> None:
    rows = [stay(n, "2020-01-01 10:00") for n in range(100)]
    notes = [note(n + 50, "x" * n, "2020-01-01 11:00") for n in range(100)]
    assert any("50 % of notes belong to no stay" in told for told in warned(counted(rows, notes)))
    bare = [stay(n, "2020-01-01 10:00", None) for n in range(100)]
    assert any("hardly any stay has a note" in told for told in warned(counted(bare)))
    assert any("there is no stay in the whole span" in told for told in warned(counted([])))
