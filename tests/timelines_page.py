"""Write docs/timelines.md: the histories of tests/timelines.yaml in plain words, for those who judge them."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from history import STILL_IN, has_time, kind
from lib.contract import REASONS
from random_histories import CHOICES, DATA_ENDS, PEOPLE, SEEDS
from wrong_queries import WRONG

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests" / "timelines.yaml"
PAGE = ROOT / "docs" / "timelines.md"
TASKS = {
    "readmission": "readmission within 30 days",
    "mortality": "death in hospital within 60 days",
    "length_of_stay_days": "length of stay",
    "charlson": "Charlson index",
    "denial": "insurance denial",
}
YES_OR_NO = ("readmission", "mortality", "denial")
HEAD = """# Patient histories, and what the cohorts make of them

Made from `tests/timelines.yaml` by `make docs`; do not edit it here. The patients are invented. Each history is run
through the real queries: what is written here is what they give. Disagree with a line? Then the cohort is not what you
want: the keys and their defaults are in [workflow/sql/README.md](../workflow/sql/README.md).

How to read it:

- A date without a time: the warehouse has none. A stay is inpatient, in Medicine, and ends at home unless told.
- Untold, the history and physical is filed 2 hours after admission, and the discharge summary at discharge. Codes are
  dated at discharge unless told.
- The data cover 2010 to 2019 and are known until 1 Jan 2021 unless told. Readmission looks 30 days ahead, death and
  length of stay 60, the Charlson index 60 and 30 more for codes to arrive, denial 90 and 90 more for claims.
- *Words in italics* are the reason why a stay has no label; it has the first that applies of: {reasons}.
- What a line does not say was not in question. *With* a setting: what is expected then.
"""


def page(text: str) -> str:
    """The page for the histories of `text`, the content of timelines.yaml."""
    histories = yaml.safe_load(text)
    told = {history["name"]: history for history in histories}
    lines = [HEAD.format(reasons=", ".join(reason.replace("_", " ") for reason in REASONS))]
    for title, names in _sections(text):
        lines += [f"## {title}", "", "| history | what happens | what is expected | because |", "|---|---|---|---|"]
        lines += [_row(told[name]) for name in names] + [""]
    return "\n".join([*lines, *_ending(histories)]) + "\n"


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Titles and the names of their histories: the comments between histories that are ruled to the margin."""
    parts = re.split(r"^# --- (.+?) -+$", text, flags=re.MULTILINE)
    for title, part in zip(parts[1::2], parts[2::2], strict=True):
        yield title, re.findall(r"^- name: (.+)$", part, flags=re.MULTILINE)


def _row(told: dict[str, Any]) -> str:
    expected = [_expected(told["expect"])]
    for case in told.get("also", ()):
        keys = ", ".join(f"`{name}: {_setting(value)}`" for name, value in case["with"].items())
        expected.append(f"*With* {keys}: {_expected(case['expect'])}")
    return f"| **{told['name']}** | {'<br>'.join(_happens(told))} | {'<br>'.join(expected)} | {told['because']} |"


def _happens(told: dict[str, Any]) -> Iterator[str]:
    if "born" in told:
        yield f"Born {_when(told['born'])}."
    for number, stay in told["stays"].items():
        yield f"Stay {number}: {'; '.join(_stay(stay))}."
    for number, note in enumerate(told.get("notes", ()), 1):
        yield f"Note {number}: {_note(note)}."
    if "died" in told:
        yield f"Died {_when(told['died'])}."
    if "window" in told:
        yield "Asked for: {} up to, not including, {}.".format(*map(_when, told["window"]))
    if "known_until" in told:
        yield f"Data known until {_when(told['known_until'])}."


def _stay(stay: dict[str, Any]) -> Iterator[str]:
    yield f"{_when(stay['in'])} " + ("and still in" if stay["out"] == STILL_IN else f"to {_when(stay['out'])}")
    if kind(stay) != "inpatient":
        yield kind(stay)
    if "moves" in stay:
        yield "moves: " + ", ".join(f"{name} from {_when(since)}" for name, since in stay["moves"])
    elif "department" in stay:
        yield str(stay["department"])
    if "mark" in stay:
        yield f"marked {stay['mark']}"
    if stay.get("to", "home") != "home":
        yield {"died": "died there", "against advice": "left against advice"}.get(stay["to"], stay["to"])
    for key, words in (("history", "history and physical"), ("summary", "summary")):
        if key in stay:
            yield f"no {words}" if stay[key] == "none" else f"{words} filed {_when(stay[key])}"
    codes = [code if isinstance(code, list) else [code] for code in stay.get("codes", ())]
    if codes:
        yield "codes " + ", ".join(
            f"`{code}`" + "".join(f" of {_when(day)}" for day in dated) for code, *dated in codes
        )
    for status, submitted, decided in stay.get("claims", ()):
        end = "not decided" if decided == "none" else f"decided {_when(decided)}"
        yield f"claim of {_when(submitted)}: {status}, {end}"


def _note(note: dict[str, Any]) -> str:
    words = {"history": "history and physical", "progress": "progress note"}.get(note["class"], note["class"])
    words += " (addendum)" if note.get("addendum") else ""
    words += f" of stay {note['stay']}" if "stay" in note else " of no stay"
    words += ", another patient's" if "person" in note else ""
    return f"{words}, filed {_when(note['filed'])}"


def _expected(expect: dict[int, dict[str, Any]]) -> str:
    return "<br>".join(f"Stay {number}: {'; '.join(_facts(facts))}." for number, facts in expect.items())


def _facts(facts: dict[str, Any]) -> Iterator[str]:
    for name, value in facts.items():
        if name in TASKS:
            yield f"{TASKS[name]}: {_label(name, value)}"
        elif name in ("discharge", "admission"):
            none = {"none": f"no prediction at {name}", "no row": f"not in the {name} cohort"}
            yield none.get(value) or f"prediction at {name}: {_when(value)}"
        elif name == "features":
            yield from (f"{feature.replace('_', ' ')} {known}" for feature, known in value.items())
        elif name.endswith("_texts"):
            yield f"read at {name.removesuffix('_texts')}: {', '.join(value) or 'nothing'}"
        else:
            yield f"{name.replace('_', ' ')}: {value}"


def _label(task: str, value: Any) -> str:
    if isinstance(value, str):
        return f"*{value.replace('_', ' ')}*"
    if task in YES_OR_NO:
        return ("no", "yes")[value]
    return f"{value} day{'' if value == 1 else 's'}" if task == "length_of_stay_days" else str(value)


def _setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", "")


def _when(told: Any) -> str:
    moment = datetime.fromisoformat(str(told))
    clock = f", {moment:%H:%M:%S}".removesuffix(":00") if has_time(told) else ""
    return f"{moment.day} {moment:%b %Y}{clock}"


def _ending(histories: list[dict[str, Any]]) -> Iterator[str]:
    cases = sum(1 + len(history.get("also", ())) for history in histories)
    runs = sum(map(len, CHOICES.values())) * len(DATA_ENDS)
    people = PEOPLE * len(SEEDS)
    yield "## How much is tried\n"
    yield f"- **{len(histories)} named histories**, {cases} with their other settings: those above."
    yield (
        f"- **{people} random histories**, {PEOPLE} from each of the seeds {' and '.join(map(str, SEEDS))}, with a "
        f"liking for edges. The discharge cohort is asked under {len(CHOICES['discharge'])} settings, the admission "
        f"cohort under {len(CHOICES['admission'])}, each with {len(DATA_ENDS)} ends of the data: {people * runs:,} "
        "answers, each equal to that of an oracle written from the contract and not from the queries. `make test` "
        "takes the first seed, `NOTECAST_SEEDS=2 make test` both."
    )
    yield (
        f"- **{len(WRONG)} wrong queries**, each with one mistake. Named and random histories contradict every one; a "
        "random history is shrunk to as few stays as can show the mistake.\n"
    )
    yield "| task | mistake | contradicted by | stays |\n|---|---|---|---|"
    for wrong in WRONG:
        yield f"| {TASKS[wrong.task]} | {wrong.mistake} | {wrong.history} | {wrong.stays} |"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
