"""Make the demo hospital: a SQLite database in OMOP CDM 5.4 with clinical notes, and beside it what is knowable.

Every label is drawn from a known risk that depends only on what the note states (and age), so that the best
attainable AUC is known. Settings:
  seed, patients     `patients` is how many are expected to enter from 2011-01-01 to 2021-12-31; the rate holds later
  start, end         who enters before `start` is left out; a later `end` only adds rows and closes what was open
  note_words         median length of a note in words
  cue_share          0: status beside the name, absences mostly unnamed, so that words suffice; 1: only reading tells
  late               0: the decisive facts stand first; 1: after more than 512 words
  dirt               share of notes with markup remains, control characters, odd Unicode
  leak               planted leaks: label_words (outcome told in the text), patient_copies (one text for several
                     patients), late_filing (summaries filed after the readmission)
Outputs: the database, the oracle (task, visit_id, p, label) and a manifest that covers both.
"""

from typing import Any

from lib import shards, stage
from lib.demo_history import COUNTED_TO, FIRST_ENTRY, LAST_ENTRY, History, Stay, enrol
from lib.demo_notes import Chart
from lib.demo_omop import Warehouse
from lib.demo_oracle import SCHEMA, Oracle
from lib.demo_streams import DAY, Stream, date_text, day_from_text
from lib.demo_text import Knobs, Writer

LEAKS = ("label_words", "late_filing", "patient_copies")


def main(job: stage.Job) -> None:
    settings = job.settings
    start, end = _period(settings)
    share = {name: _number(settings, name, 0, 1) for name in ("cue_share", "late", "dirt")}
    seed, entering = int(_number(settings, "seed", 0, 2**31)), _number(settings, "patients", 1, 1e7)
    leaks = frozenset(settings["leak"])
    if not leaks <= set(LEAKS):
        raise stage.StageError(f"leak: names {len(leaks - set(LEAKS))} unknown; choose from {', '.join(LEAKS)}")
    knobs = Knobs(share["late"], _number(settings, "note_words", 20, 5_000), leaks)
    patients = round(entering * (LAST_ENTRY - FIRST_ENTRY + 1) / (COUNTED_TO - FIRST_ENTRY + 1))
    writer, oracle = Writer(knobs), Oracle(end)
    job.say(f"demo hospital: {patients} patients to look through")
    with shards.atomic(job.path("database")) as path, Warehouse(path, end) as warehouse:
        for index in range(patients):
            if not start <= enrol(seed, index)[0].entry <= end:
                continue
            history = History(seed, index, share["cue_share"], leaks)
            chart = Chart(history.person, writer, Stream(seed, index, 1), share["dirt"])
            visits = [(visit, list(chart.notes(visit))) for visit in history.visits((end + 1) * DAY - 1)]
            warehouse.add(history.person, visits, Stream(seed, index, 2))
            for visit, _ in visits:
                if isinstance(visit, Stay) and visit.start // DAY <= end:
                    oracle.add(history.person, visit)
        counts = warehouse.rows
    table = oracle.table()
    shards.write_parquet(job.path("oracle"), SCHEMA, [table])
    files = [job.path("database"), job.path("oracle")]
    facts = {"counts": counts, "data_end": date_text(end)}
    shards.write_json(job.path("manifest"), shards.manifest(files, table.num_rows, SCHEMA, **facts))
    job.say(f"demo hospital: {counts['person']} patients, {counts['visit_occurrence']} visits, {counts['note']} notes")


def _period(settings: dict[str, Any]) -> tuple[int, int]:
    try:
        start, end = (day_from_text(settings[name]) for name in ("start", "end"))
    except (TypeError, ValueError):
        raise stage.StageError("start, end: dates written YYYY-MM-DD are needed") from None
    if not FIRST_ENTRY <= start <= end <= LAST_ENTRY:
        bounds = f"{date_text(FIRST_ENTRY)} <= start <= end <= {date_text(LAST_ENTRY)}"
        raise stage.StageError(f"start, end: {bounds} is needed; move them")
    return start, end


def _number(settings: dict[str, Any], name: str, low: float, high: float) -> float:
    value = settings[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise stage.StageError(f"{name}: a number from {low:g} to {high:g} is needed")
    return value


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=[], outputs=["database", "oracle", "manifest"])
