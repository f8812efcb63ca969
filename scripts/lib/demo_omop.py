"""The demo hospital's rows as an OMOP CDM 5.4 database in SQLite, as it stands at the end of a day.

A row is written if its own date lies within the data; a stay that has not ended by then is in progress (end time
NULL, end date made up, "still patient"), its codes and claims have not arrived, a claim not yet decided is pending.
So a later end adds rows, closes stays, decides claims, and changes nothing else.

The extension table `notecast_claim` holds one row a claim: submitted_date, decided_date (NULL while pending) and
status: 'paid', 'final, adverse determination', 'final, favorable determination' (rejected, then paid), 'pending'.
A visit may have several.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib.demo_codes import CONCEPT_ID, codes
from lib.demo_facts import CHRONIC, INSURERS
from lib.demo_history import DEPARTMENTS, Person, Stay, Visit
from lib.demo_notes import Note, visit_id
from lib.demo_schema import create_indexes, create_tables, insert
from lib.demo_streams import DAY, Stream, birthday, date_text, time_text

_KINDS = {"inpatient": 9201, "er_inpatient": 262, "er": 9203, "outpatient": 9202, "observation": 581385}
_DISCHARGED = {"home": 581476, "died": 4216643, "against_advice": 4021968, "hospital": 8717, "nursing": 8863}
_STILL_PATIENT = 32220
_RACES = ((8527, "White"), (8516, "Black"), (8515, "Asian"), (0, "Other"))
_RECORD = 32817  # EHR, as the type of every record

_COLUMNS = {
    "person": "person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime race_concept_id "
    "ethnicity_concept_id person_source_value gender_source_value race_source_value",
    "observation_period": "observation_period_id person_id observation_period_start_date observation_period_end_date "
    "period_type_concept_id",
    "payer_plan_period": "payer_plan_period_id person_id payer_plan_period_start_date payer_plan_period_end_date "
    "payer_concept_id payer_source_value",
    "visit_occurrence": "visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime "
    "visit_end_date visit_end_datetime visit_type_concept_id care_site_id discharged_to_concept_id",
    "visit_detail": "visit_detail_id person_id visit_detail_concept_id visit_detail_start_date "
    "visit_detail_start_datetime visit_detail_end_date visit_detail_end_datetime visit_detail_type_concept_id "
    "care_site_id visit_occurrence_id",
    "note": "note_id person_id note_date note_datetime note_type_concept_id note_class_concept_id note_title "
    "note_text encoding_concept_id language_concept_id visit_occurrence_id note_event_id",
    "condition_occurrence": "condition_occurrence_id person_id condition_concept_id condition_start_date "
    "condition_end_date condition_type_concept_id visit_occurrence_id condition_source_value "
    "condition_source_concept_id",
    "death": "person_id death_date death_datetime death_type_concept_id",
    "notecast_claim": "claim_id person_id visit_occurrence_id submitted_date decided_date status",
}
_INSERT = {table: insert(table, tuple(names.split())) for table, names in _COLUMNS.items()}
_BATCH = 4_000  # rows held before they are written


class Warehouse:
    """Writes patients into a new SQLite file; `last_day` is the last day of the data. Use as a context manager."""

    def __init__(self, path: Path, last_day: int) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("page_size=4096", "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"):
            self._connection.execute(f"PRAGMA {pragma}")
        create_tables(self._connection)
        self._connection.execute("BEGIN")
        self._last, self._until = last_day, (last_day + 1) * DAY - 1
        self._held: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
        self.rows = dict.fromkeys(_COLUMNS, 0)
        self._reference()

    def __enter__(self) -> "Warehouse":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self._flush()
            create_indexes(self._connection)
            self._connection.execute("COMMIT")
        self._connection.close()

    def add(self, person: Person, charts: Iterable[tuple[Visit, list[Note]]], coders: Stream) -> None:
        """One patient with visits and their notes; `coders` gives the codes their form."""
        ends = [person.entry]
        for visit, notes in charts:
            if visit.start <= self._until:
                ends.append(min(visit.end // DAY, self._last))
                self._visit(person, visit)
                if isinstance(visit, Stay):
                    self._conditions(person, visit, coders)
                    self._claims(person, visit)
            self._notes(person, notes)
        self._person(person, max(ends))
        if sum(map(len, self._held.values())) > _BATCH:
            self._flush()

    def _put(self, table: str, *row: Any) -> None:
        self._held[table].append(row)
        self.rows[table] += 1

    def _flush(self) -> None:
        for table, rows in self._held.items():
            self._connection.executemany(_INSERT[table], rows)
            rows.clear()

    def _reference(self) -> None:
        connection = self._connection
        sites = [(i + 1, name) for i, name in enumerate(DEPARTMENTS)]
        connection.executemany(insert("care_site", ("care_site_id", "care_site_name")), sites)
        names = ("concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_class_id", "concept_code")
        rows = [
            (number, f"{vocabulary} {code}", "Condition", vocabulary, f"{vocabulary[:-2]} code", code, *_VALID)
            for (vocabulary, code), number in CONCEPT_ID.items()
        ]
        connection.executemany(insert("concept", (*names, "valid_start_date", "valid_end_date")), rows)
        released = date_text(self._last)
        source = {
            "cdm_source_name": "Notecast demo hospital",
            "cdm_source_abbreviation": "demo",
            "cdm_holder": "nobody: all of it is made up",
            "source_release_date": released,
            "cdm_release_date": released,
            "cdm_version": "5.4",
            "cdm_version_concept_id": 756265,
            "vocabulary_version": "none",
        }
        connection.execute(insert("cdm_source", tuple(source)), tuple(source.values()))

    def _person(self, person: Person, last_seen: int) -> None:
        born = birthday(person.born)
        race, race_name = _RACES[person.race]
        number = person.person_id
        self._put(
            *("person", number, 8532 if person.female else 8507, born.year, born.month, born.day),
            *(f"{born.isoformat()} 00:00:00", race, 38003563 if person.hispanic else 38003564),
            *(f"MRN{number * 7919 % 10**9:09d}", "F" if person.female else "M", race_name),
        )
        # As in many sites the period ends with the last contact, not with the data.
        self._put("observation_period", number, number, date_text(person.entry), date_text(last_seen), _RECORD)
        covered = (number, number, date_text(person.entry), date_text(last_seen), 0, INSURERS[person.insurer])
        self._put("payer_plan_period", *covered)
        if person.died is not None and person.died <= self._until:
            self._put("death", number, date_text(person.died // DAY), time_text(person.died), _RECORD)

    def _visit(self, person: Person, visit: Visit) -> None:
        number, site = visit_id(person, visit.number), visit.department + 1
        ended = visit.end <= self._until
        end = (date_text(visit.end // DAY), time_text(visit.end)) if ended else (date_text(self._last), None)
        start = (date_text(visit.start // DAY), time_text(visit.start))
        to = _DISCHARGED[visit.to] if ended else _STILL_PATIENT
        kind = _KINDS[visit.kind]
        moved = visit.moved_at if isinstance(visit, Stay) else None
        if not ended and isinstance(visit, Stay):
            site = (visit.came_from if moved is not None and moved > self._until else visit.department) + 1
        self._put("visit_occurrence", number, person.person_id, kind, *start, *end, _RECORD, site, to)
        if isinstance(visit, Stay):
            parts = [(*start, *end, site)]
            if moved is not None and moved <= self._until:
                change = (date_text(moved // DAY), time_text(moved))
                parts = [(*start, *change, visit.came_from + 1), (*change, *end, site)]
            for i, (*times, where) in enumerate(parts):
                detail = (number * 10 + i, person.person_id, kind, *times, _RECORD, where, number)
                self._put("visit_detail", *detail)

    def _notes(self, person: Person, notes: Iterable[Note]) -> None:
        for note in notes:
            if note.filed <= self._until:
                written = (date_text(note.filed // DAY), time_text(note.filed) if note.timed else None)
                about = (_RECORD, note.note_class, note.title, note.text, 32678, 4180186)
                self._put("note", note.note_id, person.person_id, *written, *about, note.visit_id, note.parent)

    def _conditions(self, person: Person, stay: Stay, coders: Stream) -> None:
        if stay.coded is None:
            return
        chronic = stay.admission.chronic if stay.admission is not None else (0,) * len(CHRONIC)
        written = codes(chronic, stay.end // DAY, coders)
        if stay.coded > self._last:
            return
        number = visit_id(person, stay.number)
        start, end = date_text(stay.start // DAY), date_text(stay.end // DAY)
        for i, (code, concept) in enumerate(written):
            row = (number * 100 + i, person.person_id, 0, start, end, _RECORD, number, code, concept)
            self._put("condition_occurrence", *row)

    def _claims(self, person: Person, stay: Stay) -> None:
        number = visit_id(person, stay.number)
        for i, claim in enumerate(stay.claims):
            if claim.submitted <= self._last:
                decided = claim.decided <= self._last
                outcome = (date_text(claim.decided), claim.status) if decided else (None, "pending")
                submitted = date_text(claim.submitted)
                self._put("notecast_claim", number * 10 + i, person.person_id, number, submitted, *outcome)


_VALID = ("1970-01-01", "2099-12-31")
