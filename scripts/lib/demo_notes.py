"""Which notes a visit leaves, and what happens to them: copies, addenda, dirt, empty texts, lost times.

Everything here is drawn from the patient's second stream, apart from history and outcomes: other words, another
length or more dirt change no label, and nothing here depends on the end of the data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lib.demo_dirt import dirty
from lib.demo_history import Person, Stay, Visit
from lib.demo_streams import DAY, Stream
from lib.demo_text import Writer

DISCHARGE, ADMISSION, PROGRESS = 44814637, 44814638, 44814639  # note_class_concept_id
_TITLES = {DISCHARGE: "Discharge summary", ADMISSION: "History and physical", PROGRESS: "Progress note"}


@dataclass(slots=True)
class Note:
    """One row of `note`. `filed` is a minute; where `timed` is false the warehouse kept its date only."""

    note_id: int
    visit_id: int | None
    filed: int
    timed: bool
    note_class: int
    title: str
    text: str | None
    parent: int | None = None


def visit_id(person: Person, number: int) -> int:
    return person.person_id * 1000 + number


class Chart:
    """The notes of one patient, visit by visit in the order of the history."""

    def __init__(self, person: Person, writer: Writer, draw: Stream, dirt: float) -> None:
        self._person, self._writer, self._draw, self._dirt = person, writer, draw, dirt

    def notes(self, visit: Visit) -> Iterator[Note]:
        """The visit's notes with ids in rising order; those without a visit come with the stay that they follow."""
        first = visit_id(self._person, visit.number) * 100
        for offset, note in enumerate(self._of_stay(visit) if isinstance(visit, Stay) else self._of_contact(visit)):
            note.note_id = first + offset
            if note.title == "Addendum":
                note.parent = note.note_id - 1
            yield note

    def _of_contact(self, visit: Visit) -> Iterator[Note]:
        """Notes of the wrong kind, or of the right kind at a visit that is no inpatient stay."""
        if visit.noted:
            kind = ADMISSION if visit.kind == "observation" else PROGRESS
            yield self._row(visit, kind, visit.start + 30, self._writer.progress(self._draw))

    def _of_stay(self, stay: Stay) -> Iterator[Note]:
        draw, writer = self._draw, self._writer
        if stay.hp_filed is not None:
            yield from self._filed(stay, ADMISSION, stay.hp_filed, self._admission_text(stay))
        for _ in range(draw.choose((0.62, 0.25, 0.13))):
            filed = draw.between(stay.start, stay.end)
            yield self._row(stay, PROGRESS, filed, self._soiled(writer.progress(draw)))
        if stay.summary_filed is not None:
            yield from self._filed(stay, DISCHARGE, stay.summary_filed, self._summary_text(stay))
        if draw.flip(0.01):  # from elsewhere, attached to no visit
            stray = self._row(stay, DISCHARGE, stay.end + draw.between(0, 3 * DAY), writer.progress(draw))
            stray.visit_id = None
            yield stray

    def _admission_text(self, stay: Stay) -> str:
        facts, writer = stay.admission, self._writer
        if facts is None:
            return writer.newborn(self._draw)
        if facts.text is None:
            source = self._draw if facts.source is None else Stream(*facts.source, 1)
            facts.text = self._soiled(writer.admission(facts, source), source)
        return writer.planted(facts.text, "mortality", bool(stay.outcome["mortality"]), self._draw)

    def _summary_text(self, stay: Stay) -> str:
        if stay.admission is None:
            return self._writer.newborn(self._draw)
        text = self._writer.discharge(stay, self._draw)
        text = self._writer.planted(text, "readmission", stay.outcome.get("readmission") == 1, self._draw)
        return self._soiled(text)

    def _soiled(self, text: str, draw: Stream | None = None) -> str:
        draw = draw or self._draw
        return dirty(text, draw) if draw.flip(self._dirt) else text

    def _filed(self, stay: Stay, kind: int, filed: int, text: str) -> Iterator[Note]:
        """The note; sometimes empty, sometimes twice, sometimes with an addendum before or after the clock."""
        draw = self._draw
        fate = draw.uniform()
        stored = None if fate < 0.003 else draw.pick(("", " \n ")) if fate < 0.006 else text
        note = self._row(stay, kind, filed, stored)
        note.timed = not draw.flip(0.03)
        yield note
        if draw.flip(0.05):
            waits = stay.end - filed if kind == DISCHARGE and filed < stay.end and draw.flip(0.7) else 4 * DAY
            yield self._row(stay, kind, filed + draw.between(1, waits), self._writer.addendum(draw), "Addendum")
        if draw.flip(0.015):
            yield self._row(stay, kind, filed + draw.between(1, 600), stored)

    def _row(self, visit: Visit, kind: int, filed: int, text: str | None, title: str | None = None) -> Note:
        number = visit_id(self._person, visit.number)
        return Note(0, number, filed, True, kind, title or _TITLES[kind], text)
