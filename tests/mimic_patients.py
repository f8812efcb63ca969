"""A seeded hospital of invented patients in MIMIC-IV's shape, for runs of the whole workflow.

Each patient has a span of dates of their own. A latent risk, which the sentences of a summary tell in part, decides who
comes back and who dies, so that a model of the text beats chance. Notes are filed late, twice, without a storetime, or
not at all, as in the source; reports of radiology, which must not enter, hold the word RADIOLOGY.
"""

import math
import random
from datetime import datetime, timedelta
from typing import Any

from mimic_db import Rows

GROUPS = ("2008 - 2010", "2011 - 2013", "2014 - 2016", "2017 - 2019")
HIGH = (
    "Lives alone and has no help at home.",
    "Missed several appointments before this admission.",
    "Remains weak and walks with two people.",
    "Oral intake was poor until discharge.",
    "Needed oxygen until the last day.",
    "Goals of care were discussed with the family.",
    "Confused at night, reoriented each time.",
    "Discharged with a drain and a long list of new medications.",
)
LOW = (
    "Independent in all activities of daily living.",
    "Walks the stairs without help.",
    "Tolerates a regular diet.",
    "Pain is well controlled with acetaminophen.",
    "The wound is clean and dry.",
    "Family is present and supportive.",
    "No events overnight.",
    "Home medications are unchanged.",
)
# As the summary names it; ICD-9-CM, ICD-10-CM; how many of a hundred patients have it.
CONDITIONS = (
    ("hypertension", "4019", "I10", 50),
    ("heart failure", "4280", "I509", 20),
    ("COPD", "496", "J449", 18),
    ("diabetes", "25000", "E119", 25),
    ("chronic kidney disease", "5859", "N189", 15),
    ("prior stroke", "43491", "I639", 8),
    ("cirrhosis", "5715", "K7460", 6),
    ("metastatic cancer", "1977", "C787", 6),
)
SERVICES = ("MED", "CMED", "SURG", "NMED", "OMED")
RACES = (
    "WHITE",
    "WHITE - RUSSIAN",
    "BLACK/AFRICAN AMERICAN",
    "HISPANIC/LATINO - DOMINICAN",
    "ASIAN - CHINESE",
    "UNKNOWN",
)


def generated(seed: int, patients: int, years: tuple[int, int] = (2110, 2190)) -> Rows:
    """The rows of all tables that are filled. `years`: the first and last shifted year of a first admission."""
    made = _Maker(random.Random(seed), years)
    for subject in made.random.sample(range(10_000_000, 20_000_000), patients):
        made.patient(subject)
    return made.rows


class _Maker:
    def __init__(self, generator: random.Random, years: tuple[int, int]) -> None:
        self.random, self._years = generator, years
        self._admissions = iter(generator.sample(range(20_000_000, 30_000_000), 50_000))
        names = ("patients", "admissions", "services", "diagnoses_icd", "discharge", "radiology")
        self.rows: Rows = {name: [] for name in names}
        self._sequence: dict[tuple[int, str], int] = {}

    def _happens(self, probability: float) -> bool:
        return self.random.random() < probability

    def patient(self, subject: int) -> None:
        year, group = self.random.randint(*self._years), self.random.choice(GROUPS)
        age, frailty = self.random.randint(18, 89), self.random.gauss(0, 0.8)
        chronic = [condition for condition in CONDITIONS if self._happens(condition[3] / 100)]
        ninth = group < "2014" or (group == "2014 - 2016" and self._happens(0.5))
        self._described = {
            "insurance": self.random.choice(["Medicare", "Medicaid", "Private", None]),
            "race": self.random.choice(RACES),
            "language": "English",
        }
        arrives: datetime | None = datetime(year, 1, 1) + timedelta(minutes=self.random.randrange(365 * 1440))
        died = None
        for _ in range(8):
            if arrives is None or died:
                break
            arrives, died = self._stay(subject, arrives, frailty, chronic, ninth, group == GROUPS[-1])
        self.rows["patients"].append(
            {
                "subject_id": subject,
                "gender": self.random.choice("FM"),
                "anchor_age": 91 if age > 88 else age,
                "anchor_year": year,
                "anchor_year_group": group,
                "dod": f"{died:%Y-%m-%d}" if died else None,
            }
        )

    def _stay(
        self, subject: int, arrives: datetime, frailty: float, chronic: list[Any], ninth: bool, last: bool
    ) -> tuple[datetime | None, datetime | None]:
        """One admission with its notes; when the next one begins and when the patient dies, if either comes."""
        admission, risk = next(self._admissions), frailty + self.random.gauss(0, 1) + 0.2 * (len(chronic) - 1)
        leaves = arrives + timedelta(minutes=self.random.randrange(600, 600 + int(1440 * (2 + 5 * _share(risk)))))
        kind = self.random.choices(
            ["EW EMER.", "URGENT", "ELECTIVE", "SURGICAL SAME DAY ADMISSION", "EU OBSERVATION", "OBSERVATION ADMIT"],
            [50, 15, 8, 6, 9, 12],
        )[0]
        dies_here = kind != "EU OBSERVATION" and self._happens(0.08 * _share(risk))
        still_in = last and self._happens(0.03)
        self._admitted(subject, admission, (arrives, leaves), kind, dies_here, still_in)
        for position, condition in enumerate(chronic if self._happens(0.97) else (), 1):
            code = {"icd_code": condition[1 if ninth else 2].ljust(7), "icd_version": 9 if ninth else 10}
            self.rows["diagnoses_icd"].append(
                {"subject_id": subject, "hadm_id": admission, "seq_num": position, **code}
            )
        if still_in:
            return None, None
        self._notes(subject, admission, leaves, risk, chronic)
        if dies_here:
            return None, leaves
        if self._happens(0.3 * _share(2 * risk - 1)):
            return None, leaves + timedelta(days=self.random.randint(1, 28))
        if self._happens(0.75 * _share(2.5 * risk - 0.6)):
            return leaves + timedelta(minutes=self.random.randrange(1440, 29 * 1440)), None
        if self._happens(0.5):
            return leaves + timedelta(days=self.random.randint(40, 500)), None
        return None, leaves + timedelta(days=self.random.randint(40, 365)) if self._happens(0.1) else None

    def _admitted(
        self, subject: int, admission: int, span: tuple[datetime, datetime], kind: str, dies: bool, still_in: bool
    ) -> None:
        arrives, leaves = span
        to = "DIED" if dies else self.random.choice(["HOME", "HOME", "HOME HEALTH CARE", "SKILLED NURSING FACILITY"])
        to = "AGAINST ADVICE" if not dies and self._happens(0.02) else to
        emergency = kind not in ("ELECTIVE", "SURGICAL SAME DAY ADMISSION") and self._happens(0.8)
        self.rows["admissions"].append(
            {
                "subject_id": subject,
                "hadm_id": admission,
                "admittime": _text(arrives),
                "dischtime": None if still_in else _text(leaves),
                "deathtime": _text(leaves) if dies and not still_in else None,
                "admission_type": kind,
                "discharge_location": None if still_in else to,
                "edregtime": _text(arrives - timedelta(hours=5)) if emergency else None,
                "edouttime": _text(arrives) if emergency else None,
                "hospital_expire_flag": int(dies and not still_in),
                **self._described,
            }
        )
        for hours in (0, 20) if self._happens(0.2) else (0,):
            self.rows["services"].append(
                {
                    "subject_id": subject,
                    "hadm_id": admission,
                    "transfertime": _text(arrives + timedelta(hours=hours / 2)),
                    "curr_service": self.random.choice(SERVICES),
                }
            )

    def _notes(self, subject: int, admission: int, leaves: datetime, risk: float, chronic: list[Any]) -> None:
        hours = self.random.uniform(80, 200) if self._happens(0.06) else self.random.uniform(-6, 60)
        filed = leaves + timedelta(minutes=int(hours * 60))
        if self._happens(0.93):
            self._note(subject, admission, "DS", leaves, filed, self._summary(risk, chronic))
        if self._happens(0.08):  # some twice, word for word
            for _ in range(self.random.choice([1, 1, 2])):
                after = filed + timedelta(hours=self.random.randint(-3, 30))
                self._note(subject, admission, "AD", leaves, after, "Addendum: results were pending at discharge.")
        for _ in range(self.random.randint(0, 2)):
            self._note(subject, admission, "RR", leaves, leaves, "RADIOLOGY report: no acute process.")

    def _note(self, subject: int, admission: int, kind: str, leaves: datetime, filed: datetime, text: str) -> None:
        number = self._sequence[subject, kind] = self._sequence.get((subject, kind), 1) + 1
        charted = leaves if self._happens(0.03) else leaves.replace(hour=0, minute=0, second=0)
        self.rows["radiology" if kind == "RR" else "discharge"].append(
            {
                "note_id": f"{subject}-{kind}-{number}",
                "subject_id": subject,
                "hadm_id": admission,
                "note_type": kind,
                "note_seq": number,
                "charttime": _text(charted),
                "storetime": None if self._happens(0.08) else _text(filed),
                "text": text,
            }
        )

    def _summary(self, risk: float, chronic: list[Any]) -> str:
        told = [self.random.choice(HIGH if self._happens(_share(1.5 * risk)) else LOW) for _ in range(6)]
        history = ", ".join(name for name, *_ in chronic if self._happens(0.9)) or "none of note"
        numbers = f"{self.random.randint(90, 180)}/{self.random.randint(50, 100)}, {self.random.randint(50, 120)}"
        return "\n".join(
            [
                " \nName:  ___                     Unit No:   ___",
                "Past Medical History:",
                history,
                "Brief Hospital Course:",
                f"Vitals on discharge {numbers}. " + " ".join(dict.fromkeys(told)),
            ]
        )


def _share(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
