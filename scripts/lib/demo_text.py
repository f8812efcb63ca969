"""Notes written from facts: where each fact stands, and how plainly.

A plain note names what is present ("Has hip fracture.") and seldom what is absent ("No hip fracture."), so that words
suffice. A balanced one names every concept, each beside a decoy of the opposite status and with both statuses after
the names ("... the former is confirmed, the latter excluded"): the same words whatever is true, so that only reading
tells. `cue_share` is the share of balanced notes. `late` is how many words come before the facts, from none to more
than 512. The rest is filler to a lognormal length.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib import demo_phrases as phrases
from lib.demo_facts import (
    CHRONIC,
    DECOYS_ACUTE,
    DECOYS_CHRONIC,
    DECOYS_DISCHARGE,
    DECOYS_PAPERS,
    FINDINGS,
    INSURERS,
    NEEDS,
    PAPERS,
    Concept,
)
from lib.demo_history import AdmissionFacts, Stay
from lib.demo_streams import Stream

LATEST = 520  # words before the facts at late = 1
SPREAD = 0.55  # standard deviation of the log of a note's words
UNPROMPTED = 0.1  # share of absent concepts that a plain note names
USUAL = 0.75  # share of mentions by a concept's first name

_PRESENT = ("Has {}.", "{} present.", "{} noted.", "With {}.", "Active: {}.")
_ABSENT = ("No {}.", "Without {}.", "No evidence of {}.", "Negative for {}.")
_NOT_NOW = ("Denies {}.", "H/o {}, resolved.")
_CUES = (("confirmed", "excluded"), ("present", "absent"), ("established", "ruled out"))
_FAR = (
    "{} and {} were both raised at handover; on review the former is {}, the latter {}.",
    "Asked about {} as well as {}; per the team, the first one {}, the second one {}.",
    "Work-up for {} / {}: of these two the former {}, the latter {}.",
)
_HEADINGS: tuple[Callable[[str], str], ...] = (
    lambda h: f"{h}: ",
    lambda h: f"{h.upper()}:\n",
    lambda h: f"{h}:\n",
    lambda h: f"{h.upper()} - ",
)


@dataclass(frozen=True)
class Knobs:
    """How notes are written; see the module's head. `note_words` is the median length."""

    late: float
    note_words: float
    leaks: frozenset[str]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def near(name: str, present: bool, deniable: bool, draw: Stream) -> str:
    """One short sentence with the status beside the name."""
    if present:
        return capital(draw.pick(_PRESENT).format(name))
    return draw.pick(_ABSENT + _NOT_NOW if deniable else _ABSENT).format(name)


def far(name: str, present: bool, decoys: Sequence[str], draw: Stream) -> str:
    """One sentence with a decoy of the opposite status: the same words whatever the status."""
    status, other = draw.pick(_CUES) if present else draw.pick(_CUES)[::-1]
    pair = [(name, status), (draw.pick(decoys), other)]
    (a, s), (b, t) = pair if draw.flip(0.5) else pair[::-1]
    return capital(draw.pick(_FAR).format(a, b, s, t))


class Writer:
    """Writes notes; every draw comes from the stream that the caller gives."""

    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs

    def admission(self, facts: AdmissionFacts, draw: Stream) -> str:
        """A history and physical: who, cover and papers, findings, chronic conditions, then filler."""
        cover = [f"{draw.pick(('Insurance', 'Payer'))}: {INSURERS[facts.insurer]}."]
        cover += self._mentions(PAPERS, facts.papers, facts.balanced, DECOYS_PAPERS, draw)
        complaint = draw.pick(phrases.COMPLAINTS)
        history = [f"{_who(facts.age, facts.female, draw)} presenting with {complaint}."]
        history += self._mentions(FINDINGS, facts.findings, facts.balanced, DECOYS_ACUTE, draw)
        key = [
            (draw.pick(("Registration", "Coverage")), " ".join(cover)),
            (draw.pick(("HPI", "History of present illness")), " ".join(history)),
            (draw.pick(("PMH", "Past medical history")), self._past(facts.stated, facts.balanced, draw)),
        ]
        if draw.flip(0.3):
            key[1], key[2] = key[2], key[1]
        rest = [*self._background(draw), ("Family history", self._family(facts.balanced, draw))]
        title = draw.pick(("HISTORY AND PHYSICAL", "H&P", "Admission note"))
        return self._note(title, key, rest, ("Assessment/Plan", phrases.PLAN), draw)

    def discharge(self, stay: Stay, draw: Stream) -> str:
        """A discharge summary: who and the needs at discharge, then filler; it tells the end of the stay only."""
        assert stay.admission is not None
        who = _who(stay.age, stay.admission.female, draw)
        course = [f"{who} admitted with {draw.pick(phrases.COMPLAINTS)}."]
        course += self._mentions(NEEDS, stay.needs, stay.balanced, DECOYS_DISCHARGE, draw)
        key = [(draw.pick(("Summary", "Condition at discharge", "Brief course")), " ".join(course))]
        home = {"died": "deceased", "against_advice": "left AMA", "nursing": "SNF", "hospital": "other hospital"}
        rest = [*self._background(draw), ("Disposition", home.get(stay.to, "home") + ".")]
        rest.append(("Hospital course", _some(phrases.COURSE, draw.between(2, 6), draw)))
        title = draw.pick(("DISCHARGE SUMMARY", "Discharge summary", "D/C summary"))
        return self._note(title, key, rest, ("Instructions", phrases.INSTRUCTIONS), draw)

    def planted(self, text: str, task: str, positive: bool, draw: Stream) -> str:
        """With the leak `label_words`: a sentence that tells the outcome, mostly where it is true."""
        if "label_words" in self._knobs.leaks and draw.flip(0.6 if positive else 0.01):
            return f"{text}\n{'Pt expired.' if task == 'mortality' else 'Pt was readmitted since.'}"
        return text

    def progress(self, draw: Stream) -> str:
        return "Progress note\n" + _some(phrases.COURSE, draw.between(2, 7), draw)

    def newborn(self, draw: Stream) -> str:
        return "Newborn\n" + _some(phrases.NEWBORN, draw.between(3, 6), draw)

    def addendum(self, draw: Stream) -> str:
        return f"Addendum: {draw.pick(phrases.ADDENDA)}"

    @staticmethod
    def _mentions(
        concepts: Sequence[Concept], present: Sequence[int], balanced: bool, decoys: Sequence[str], draw: Stream
    ) -> list[str]:
        sentences = []
        for concept, has in zip(concepts, present, strict=True):
            if has or balanced or draw.flip(UNPROMPTED):
                name = concept.names[not draw.flip(USUAL)]
                if balanced:
                    sentences.append(far(name, bool(has), decoys, draw))
                else:
                    sentences.append(near(name, bool(has), concept.denied, draw))
        return draw.shuffle(sentences)

    @staticmethod
    def _past(stated: Sequence[int | None], balanced: bool, draw: Stream) -> str:
        """Chronic conditions: those plainly present in one list, others ruled out or beside a decoy."""
        listed, sentences = [], []
        for condition, has in zip(CHRONIC, stated, strict=True):
            if has is None:
                continue
            name = condition.names[not draw.flip(USUAL)]
            if balanced:
                sentences.append(far(name, bool(has), DECOYS_CHRONIC, draw))
            elif has:
                listed.append(name)
            else:
                sentences.append(draw.pick(("No {}.", "No h/o {}.", "Denies {}.")).format(name))
        if listed:
            sentences.insert(0, capital(", ".join(draw.shuffle(listed))) + ".")
        return " ".join(sentences) or draw.pick(("Reviewed in the chart.", "As per prior notes.", "See problem list."))

    @staticmethod
    def _family(balanced: bool, draw: Stream) -> str:
        if not draw.flip(0.5 if balanced else 0.1):
            return draw.pick(("Non-contributory.", "Reviewed, not relevant."))
        return f"{draw.pick(('Mother', 'Father', 'Brother'))} had {draw.pick(draw.pick(CHRONIC).names)}."

    def _background(self, draw: Stream) -> list[tuple[str, str]]:
        some = draw.between
        vitals = (
            f"T {36 + some(2, 28) / 10:.1f}, HR {some(58, 118)}, BP {some(96, 168)}/{some(52, 96)}, "
            f"RR {some(12, 26)}, SpO2 {some(89, 100)}% {draw.pick(('RA', 'on 2L NC'))}."
        )
        labs = f"WBC {some(40, 170) / 10}, Hgb {some(80, 155) / 10}, Na {some(129, 146)}, K {some(32, 53) / 10}."
        return [
            ("Medications", _some(phrases.MEDICATIONS, some(2, 7), draw)),
            ("Allergies", draw.pick(phrases.ALLERGIES)),
            ("Social history", _some(phrases.SOCIAL, some(1, 3), draw)),
            ("ROS", _some(phrases.REVIEW, some(1, 3), draw)),
            ("Vitals", vitals),
            ("Exam", _some(phrases.EXAM, some(2, 6), draw)),
            ("Labs", labs),
        ]

    def _note(
        self,
        title: str,
        key: list[tuple[str, str]],
        rest: list[tuple[str, str]],
        last: tuple[str, Sequence[str]],
        draw: Stream,
    ) -> str:
        """Title, `late` words of filler, the decisive sections, others until the length is reached, the last one."""
        heading = draw.pick(_HEADINGS)
        words = self._knobs.note_words * math.exp(SPREAD * draw.normal())
        before = round(self._knobs.late * LATEST)
        parts = [title]
        if before:
            parts.append(heading("Interval events") + self._filler(before, draw))
        parts += [heading(name) + body for name, body in key]
        closing = _some(last[1], draw.between(1, 4), draw)
        left = words - sum(len(part.split()) for part in parts) - len(closing.split()) - 2
        for name, body in draw.shuffle(rest):
            if left <= 0:
                break
            parts.append(heading(name) + body)
            left -= len(body.split()) + 2
        if left > 0:
            parts.append(heading("Interval events") + self._filler(left, draw))
        parts.append(heading(last[0]) + closing)
        return draw.pick(("\n", "\n\n")).join(parts)

    @staticmethod
    def _filler(words: float, draw: Stream) -> str:
        sentences = []
        while words > 0:
            sentence = draw.pick(phrases.COURSE)
            sentences.append(sentence)
            words -= sentence.count(" ") + 1
        return " ".join(sentences)


def _some(sentences: Sequence[str], count: int, draw: Stream) -> str:
    """Sentences in a random order, none twice."""
    chosen: dict[str, None] = {}
    while len(chosen) < min(count, len(sentences)):
        chosen[draw.pick(sentences)] = None
    return " ".join(chosen)


def _who(age: int, female: bool, draw: Stream) -> str:
    person = draw.pick(("woman", "female", "F")) if female else draw.pick(("man", "male", "M"))
    return draw.pick(("{} yo {}", "{} y/o {}", "{}-year-old {}", "Pt is a {} yo {}")).format(age, person)
