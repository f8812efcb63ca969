"""A patient's history: stays, what their notes will state, outcomes drawn from the known risks, visits between.

Outcomes are drawn in this order: the note's facts, then the label with its known risk, then everything that the
label allows. What makes a stay ineligible (department, late note, against advice, ...) is drawn apart from
the label, so that the eligible stays keep the known risk. Three rules keep the labels from disturbing one another:
a stay either has its next one 1-29 days after discharge (and after its summary was filed) or not within 31; who is
readmitted does not die at home; a hospital that one is transferred to on the same day leaves no timely notes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from lib import demo_risk
from lib.demo_facts import (
    CHRONIC,
    FINDINGS,
    INSURER_SHARES,
    NEEDS,
    PAPERS,
    RECENT,
    RECENT_DAYS,
    STATED_ABSENT,
    STATED_PRESENT,
)
from lib.demo_streams import DAY, Stream, day_of

FIRST_ENTRY = day_of(2011, 1, 1)
COUNTED_TO = day_of(2021, 12, 31)  # `patients` counts those who enter up to here
LAST_ENTRY = day_of(2030, 12, 31)  # fixed, so that a later end of the data adds patients and moves none

DEPARTMENTS = (
    *("Medicine", "Cardiology", "Surgery", "Neurology", "Oncology"),
    *("Rehabilitation", "Dialysis", "Palliative care", "Newborn"),
)
ACUTE, NOT_ACUTE, NEWBORN = range(5), range(5, 8), 8


@dataclass(slots=True)
class Person:
    """One patient; `chances` fix which chronic conditions come at which age."""

    person_id: int
    entry: int
    born: int
    female: bool
    race: int
    hispanic: bool
    insurer: int
    severity: float
    chances: tuple[float, ...]
    newborn: bool
    died: int | None = None  # minute of death, in hospital or at home

    def age(self, day: int) -> int:
        """Completed years (of 365.2425 days)."""
        return int((day - self.born) / 365.2425)


@dataclass(slots=True)
class AdmissionFacts:
    """What the admission note states, and the truth behind what it states of chronic conditions."""

    age: int
    female: bool
    insurer: int
    findings: tuple[int, ...]
    papers: tuple[int, ...]
    chronic: tuple[int, ...]
    stated: tuple[int | None, ...]
    balanced: bool  # how it is written: every finding named, each beside a decoy of the opposite status
    source: tuple[int, ...] | None = None  # key of a text stream shared between patients (a planted leak)
    text: str | None = None  # once written; a copied note has it word for word


@dataclass(slots=True)
class Claim:
    submitted: int  # days
    decided: int
    status: str


@dataclass(slots=True)
class Visit:
    """Any contact with the hospital; `kind` is inpatient, er_inpatient, outpatient, er or observation."""

    number: int  # order among the patient's visits, which makes its id
    kind: str
    start: int
    end: int
    department: int
    to: str = "home"  # home, died, against_advice, hospital or nursing
    noted: bool = False  # an outpatient, emergency or observation visit that leaves a note


@dataclass(slots=True)
class Stay(Visit):
    """An inpatient visit with everything about it; `admission` None where no fact is known (elsewhere, newborn)."""

    admission: AdmissionFacts | None = None
    age: int = 0
    needs: tuple[int, ...] = ()
    balanced: bool = False  # how the discharge summary is written
    outcome: dict[str, int] = field(default_factory=dict)  # class of each task, drawn from its risk
    moved_at: int | None = None  # transfer between departments within the stay
    came_from: int = 0  # department before it
    hp_filed: int | None = None
    summary_filed: int | None = None
    hp_counts: bool = False  # filed in time, before any later event
    summary_counts: bool = False
    event: int | None = None  # start of the next inpatient stay, if within 30 days
    coded: int | None = None  # day on which the codes arrived
    claims: list[Claim] = field(default_factory=list)


def enrol(seed: int, index: int) -> tuple[Person, Stream]:
    """The patient of an index and the stream of his or her history; the entry is drawn first and costs little."""
    stream = Stream(seed, index)
    entry = stream.between(FIRST_ENTRY, LAST_ENTRY)
    newborn = stream.flip(0.03)
    years = 0.0 if newborn else min(max(63 + 15 * stream.normal(), 18.5), 95.0)
    born = entry - (0 if newborn else int(years * 365.2425) + 1)
    return Person(
        person_id=10_000_001 + index,
        entry=entry,
        born=born,
        female=stream.flip(0.52),
        race=stream.choose((0.62, 0.18, 0.09, 0.11)),
        hispanic=stream.flip(0.16),
        insurer=stream.choose(INSURER_SHARES[years >= 65]),
        severity=stream.normal(),
        chances=tuple(stream.uniform() for _ in CHRONIC),
        newborn=newborn,
    ), stream


def facts(person: Person, age: int, severity: float, cue_share: float, stream: Stream) -> AdmissionFacts:
    """Draw what an admission note states. Conditions once acquired stay, and each has its prevalence at every age."""
    prevalence = demo_risk.chronic_prevalence(age)
    chronic = tuple(int(chance < q) for chance, q in zip(person.chances, prevalence, strict=True))
    draws = [(c, stream.uniform()) for c in chronic]
    balanced = stream.flip(cue_share)
    absent_share = STATED_ABSENT[balanced]
    return AdmissionFacts(
        age=age,
        female=person.female,
        insurer=person.insurer,
        findings=tuple(int(stream.flip(demo_risk.prevalence(c.base, c.slope, severity))) for c in FINDINGS),
        papers=tuple(int(stream.flip(demo_risk.prevalence(c.base, c.slope, severity))) for c in PAPERS),
        chronic=chronic,
        stated=tuple(c if u < (STATED_PRESENT if c else absent_share) else None for c, u in draws),
        balanced=balanced,
    )


class History:
    """The visits of one patient in order of time, as `visits()` yields them; `leaks` plants what it is asked to."""

    def __init__(self, seed: int, index: int, cue_share: float, leaks: frozenset[str]) -> None:
        self.person, self._stream = enrol(seed, index)
        self._seed, self._index, self._cue_share, self._leaks = seed, index, cue_share, leaks
        self._number = 0
        self._transferred: Stay  # the other hospital's part, where a stay ends with a transfer

    def visits(self, until: int) -> Iterator[Visit]:
        """Visits that start up to the minute `until`, a stay before those that follow it."""
        arrival: int | None = self.person.entry * DAY
        previous: Stay | None = None
        if self.person.newborn:
            yield self._birth(self.person.entry)
            return
        while arrival is not None and arrival <= until:
            day, readmitted = arrival // DAY, previous is not None and previous.event is not None
            opens = 5 * 60
            if self._stream.flip(0.015):  # from another hospital, on the day of the transfer
                elsewhere = self._elsewhere(day, day + self._stream.between(1, 2))
                day, opens = elsewhere.end // DAY, 14 * 60
                yield elsewhere
            start = day * DAY + self._stream.between(opens, 18 * 60)
            stay = self._stay(start, previous, acute=readmitted)
            arrival = self._after(stay)
            if stay.kind == "er_inpatient" and self._stream.flip(0.3):
                er_end = stay.start + self._stream.between(10, 60)  # the emergency visit, overlapping
                yield self._visit("er", stay.start - self._stream.between(60, 200), er_end, 0)
            yield stay
            if stay.to == "hospital":
                yield self._transferred
            yield from self._between(stay, arrival)
            previous = stay

    def _visit(self, kind: str, start: int, end: int, department: int, noted: bool = False) -> Visit:
        self._number += 1
        return Visit(self._number, kind, start, end, department, noted=noted)

    def _birth(self, day: int) -> Stay:
        draw = self._stream
        start = day * DAY + draw.between(0, DAY - 1)
        end = (day + draw.between(1, 4)) * DAY + draw.between(600, 1100)
        hp, summary = start + draw.between(60, 600), end - draw.between(0, 120)
        return Stay(1, "inpatient", start, end, NEWBORN, hp_filed=hp, summary_filed=summary, coded=end // DAY + 5)

    def _elsewhere(self, first: int, last: int) -> Stay:
        """A stay in another hospital that ends (or began) with a transfer: no notes, or a summary weeks late."""
        draw = self._stream
        self._number += 1
        start, end = first * DAY + draw.between(300, 480), last * DAY + draw.between(500, 800)
        late = end + draw.between(10, 20) * DAY if draw.flip(0.3) else None
        return Stay(self._number, "inpatient", start, end, 0, "hospital", summary_filed=late, coded=last + 9)

    def _stay(self, start: int, previous: Stay | None, acute: bool) -> Stay:
        draw, person = self._stream, self.person
        severity = 0.7 * person.severity + 0.7 * draw.normal()
        day = start // DAY
        age = person.age(day)
        admission = facts(person, age, severity, self._cue_share, draw)
        if "patient_copies" in self._leaks and draw.flip(0.06):
            # A note that fifty neighbours share, age and all.
            source = (self._seed, 1_000_000_000 + self._index // 50)
            template, stream = enrol(*source)
            admission = facts(template, 66, 0.0, self._cue_share, stream)
            admission.source = source
        if previous is not None and previous.admission is not None and draw.flip(0.015):
            admission = previous.admission  # copied forward: the same text, so the same facts and truth
        recent = previous is not None and day - previous.end // DAY <= RECENT_DAYS
        needs = [int(draw.flip(demo_risk.prevalence(c.base, c.slope, severity))) for c in NEEDS]
        needs[RECENT] = int(recent)

        died = draw.flip(demo_risk.mortality(admission.findings, admission.age))
        length = draw.choose(demo_risk.length_of_stay(admission.findings, admission.age))
        midnights = self._midnights(length)
        filed = start + min(max(int(60 * math.exp(0.6 + 0.5 * draw.normal())), 15), 299)  # on the same day
        hp_fate, summary_fate = draw.uniform(), draw.uniform()
        overtaken = 0.05 <= hp_fate < 0.058  # gone before the note was filed
        if overtaken:
            midnights, filed = 0, start + draw.between(8 * 60, 20 * 60)
            end = start + draw.between(120, 300)
        elif midnights == 0:
            end = draw.between(filed + 10, (day + 1) * DAY - 1)
        else:
            end = (day + midnights) * DAY + (draw.between(1, DAY - 1) if died else draw.between(10 * 60, 17 * 60))
        if 0.03 <= hp_fate < 0.05:
            filed = start + draw.between(25 * 60, 60 * 60)

        department = draw.pick(ACUTE) if acute or draw.flip(0.95) else draw.pick(NOT_ACUTE)
        self._number += 1
        stay = Stay(
            *(self._number, draw.pick(("inpatient", "er_inpatient")), start, end, department),
            admission=admission,
            age=age,
            needs=tuple(needs),
            balanced=draw.flip(self._cue_share),
            came_from=draw.pick(ACUTE),
            hp_filed=None if hp_fate < 0.03 else filed,
            hp_counts=hp_fate >= 0.058,
        )
        if midnights >= 2 and draw.flip(0.3):
            stay.moved_at = start + draw.between(DAY // 2, DAY)
        if died:
            stay.to, person.died = "died", end
        elif draw.flip(0.012):
            stay.to = "against_advice"
        elif draw.flip(0.12):
            stay.to = "nursing"
        self._summary(stay, summary_fate)
        stay.outcome = {
            "mortality": int(died),
            "length_of_stay": length,
            "comorbidity": demo_risk.charlson_class(demo_risk.charlson(admission.chronic)),
        }
        if not draw.flip(0.03):
            stay.coded = end // DAY + draw.between(1, 20)
        self._claims(stay)
        return stay

    def _midnights(self, length: int) -> int:
        first, last = demo_risk.MIDNIGHTS[length]
        if length == 0:
            return self._stream.choose((0.03, 0.42, 0.55))
        return min(last, first + int(self._stream.wait(4.0))) if length == 3 else self._stream.between(first, last)

    def _summary(self, stay: Stay, fate: float) -> None:
        """When the discharge summary is filed: 0-47 hours after discharge, some before it, some never or too late."""
        draw = self._stream
        if fate < 0.04:
            return
        if fate < 0.07:
            stay.summary_filed = stay.end + draw.between(73 * 60, 10 * DAY)
            return
        if draw.flip(0.25):
            stay.summary_filed = max(stay.end - draw.between(30, 300), stay.start + 30)
        else:
            stay.summary_filed = stay.end + min(int(60 * draw.wait(9.0)), 47 * 60)
        stay.summary_counts = stay.to != "died"

    def _claims(self, stay: Stay) -> None:
        draw, admission = self._stream, stay.admission
        assert admission is not None
        stay.outcome["denial"] = denied = int(draw.flip(demo_risk.denial(admission.insurer, admission.papers)))
        if draw.flip(0.08):
            return
        submitted = stay.end // DAY + draw.between(3, 20)
        decided = submitted + min(10 + int(draw.wait(25.0)), 140)  # whatever the outcome
        if not denied:
            rows = 2 if draw.flip(0.05) else 1  # the facility's and the physicians' part
            stay.claims = [Claim(submitted, decided, "paid")] * rows
            return
        fate = draw.uniform()
        status = "final, favorable determination" if fate < 0.25 else "final, adverse determination"
        stay.claims = [Claim(submitted, decided, status)]
        if fate > 0.85:  # sent again and paid: still rejected at first
            stay.claims.append(Claim(decided + 10, decided + 10 + draw.between(10, 40), "paid"))

    def _after(self, stay: Stay) -> int | None:
        """Draw readmission with its known risk; then when the next stay starts, or death at home, or nothing."""
        draw, discharge = self._stream, stay.end // DAY
        if stay.to == "died":
            return None
        readmitted = draw.flip(demo_risk.readmission(stay.needs, stay.age))
        stay.outcome["readmission"] = int(readmitted)
        earliest = discharge + 1
        if stay.summary_counts:
            assert stay.summary_filed is not None
            if draw.flip(0.01):  # back before the summary was filed
                stay.summary_filed, stay.summary_counts = stay.end + draw.between(49 * 60, 71 * 60), False
                stay.event = (discharge + 1) * DAY
                return stay.event
            earliest = max(discharge, stay.summary_filed // DAY) + 1
            if stay.to == "home" and draw.flip(0.012):
                stay.to = "hospital"
                self._transferred = self._elsewhere(discharge, discharge + draw.between(1, 4))
                self._transferred.start = stay.end + draw.between(30, 120)
                self._transferred.to = "home"
                earliest = max(earliest, self._transferred.end // DAY + 1)
        if readmitted:
            day = earliest + int((discharge + 30 - earliest) * draw.uniform() ** 1.5)
            if stay.summary_counts and "late_filing" in self._leaks and draw.flip(0.3):
                day = discharge + 1  # the summary is filed when the patient is back already
                stay.summary_filed, stay.summary_counts = stay.end + draw.between(47 * 60, 71 * 60), False
            stay.event = day * DAY
            return stay.event
        if draw.flip(0.05):
            self.person.died = (earliest + int(draw.wait(120.0))) * DAY + draw.between(0, DAY - 1)
            return None
        return (discharge + 32 + int(draw.wait(330.0))) * DAY if draw.flip(0.46) else None

    def _between(self, stay: Stay, arrival: int | None) -> Iterator[Visit]:
        """Clinic, emergency and observation visits from two days after a stay, for a year, in no relation to risk."""
        draw = self._stream
        first = (self._transferred.end if stay.to == "hospital" else stay.end) // DAY
        last = min(first + 365, *(m // DAY for m in (arrival, self.person.died) if m is not None), first + 365)
        day = first + 1 + int(draw.wait(90.0))
        while day < last - 1 and stay.to != "died":
            kind = ("outpatient", "er", "observation")[draw.choose((0.65, 0.22, 0.13))]
            start = day * DAY + draw.between(8 * 60, 15 * 60)
            minutes = {"outpatient": 40, "er": 300, "observation": 1300}[kind]
            yield self._visit(kind, start, start + minutes, draw.pick(ACUTE), noted=draw.flip(0.35))
            day += 2 + int(draw.wait(120.0))
