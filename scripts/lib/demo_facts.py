"""What a demo note can state: findings on admission, needs at discharge, chronic conditions, cover and its papers.

A patient's severity moves how often findings and needs are present, and acts only through them. All tables are
closed: `demo_risk` gives each entry its effect, `demo_text` its words, `demo_codes` its ICD codes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """Something present or absent: `base` is its log-odds at severity 0, `slope` the change with each unit of it."""

    key: str
    names: tuple[str, ...]
    base: float
    slope: float
    denied: bool = True  # whether a patient can deny it, have had it, or have it in the family


@dataclass(frozen=True)
class Chronic:
    """A Charlson condition: `odds` is the log-odds of having it at 65, `by_age` the change with ten years."""

    key: str
    names: tuple[str, ...]
    points: int
    odds: float
    by_age: float  # >= 0: a condition once there stays


# Stated in the admission note; decide death in hospital and length of stay.
FINDINGS = (
    Concept("shock", ("septic shock", "vasopressor need"), -2.2, 0.9),
    Concept("respiratory", ("respiratory failure", "ventilator need"), -1.9, 0.9),
    Concept("consciousness", ("altered mental status", "reduced consciousness"), -1.5, 0.7),
    Concept("comfort", ("comfort-focused goals", "hospice enrolment"), -2.6, 0.7, denied=False),
    Concept("fracture", ("hip fracture", "broken femur"), -1.6, 0.0),
    Concept("bone", ("osteomyelitis", "deep bone infection"), -1.8, 0.2),
    Concept("chest", ("low-risk chest pain", "atypical chest pain"), -1.1, -0.5),
    Concept("walking", ("independent walking", "steady gait"), -0.2, -0.6, denied=False),
)

# Stated in the discharge summary; decide readmission.
NEEDS = (
    Concept("congestion", ("residual congestion", "persistent fluid overload"), -1.2, 0.6),
    Concept("adherence", ("poor medication adherence", "missed home doses"), -1.1, 0.3),
    Concept("oxygen", ("new oxygen requirement", "new home oxygen"), -1.5, 0.6, denied=False),
    Concept("delirium", ("ward delirium", "inpatient confusion"), -1.4, 0.6),
    Concept("recent", ("recent admission", "earlier stay this half-year"), 0.0, 0.0, denied=False),  # from the history
    Concept("nursing", ("home nursing", "visiting nurse service"), -0.4, 0.0, denied=False),
    Concept("visit", ("early follow-up visit", "booked clinic visit"), 0.0, -0.2, denied=False),
)
RECENT = 4  # index of "recent" in NEEDS: not drawn, true of a stay that follows another within RECENT_DAYS
RECENT_DAYS = 183

# Stated in the admission note; with the insurer they decide denial.
PAPERS = (
    Concept("authorization", ("prior authorization", "payer pre-approval"), 0.5, 0.0, denied=False),
    Concept("necessity", ("necessity statement", "level-of-care letter"), 0.9, 0.0, denied=False),
)

INSURERS = ("Medicare", "Medicaid", "commercial HMO", "commercial PPO", "self-pay")
INSURER_SHARES = ((0.0, 0.28, 0.32, 0.28, 0.12), (0.86, 0.05, 0.04, 0.04, 0.01))  # under 65, from 65

# Quan et al. 2005 (Med Care 43:1130): the seventeen conditions with Charlson's original weights.
CHRONIC = (
    Chronic("myocardial_infarction", ("myocardial infarction", "prior MI"), 1, -3.3, 0.4),
    Chronic("heart_failure", ("heart failure", "CHF"), 1, -2.5, 0.7),
    Chronic("peripheral_vascular", ("peripheral vascular disease", "PVD"), 1, -3.7, 0.4),
    Chronic("cerebrovascular", ("old stroke", "prior CVA"), 1, -3.3, 0.5),
    Chronic("dementia", ("dementia", "Alzheimer disease"), 1, -4.2, 1.0),
    Chronic("pulmonary", ("COPD", "chronic lung disease"), 1, -2.7, 0.4),
    Chronic("rheumatic", ("rheumatoid arthritis", "systemic lupus"), 1, -4.3, 0.0),
    Chronic("ulcer", ("peptic ulcer disease", "PUD"), 1, -4.5, 0.2),
    Chronic("liver_mild", ("chronic hepatitis", "alcoholic cirrhosis"), 1, -3.9, 0.0),
    Chronic("diabetes", ("diabetes", "T2DM"), 1, -2.7, 0.4),
    Chronic("diabetes_complicated", ("diabetic nephropathy", "diabetic retinopathy"), 2, -3.0, 0.5),
    Chronic("plegia", ("hemiplegia", "paraplegia"), 2, -3.7, 0.3),
    Chronic("renal", ("chronic kidney disease", "CKD"), 2, -2.2, 0.7),
    Chronic("cancer", ("colon cancer", "lymphoma"), 2, -2.6, 0.5),
    Chronic("liver_severe", ("esophageal varices", "hepatic encephalopathy"), 3, -3.8, 0.1),
    Chronic("metastatic", ("metastatic tumor", "distant metastases"), 6, -3.0, 0.4),
    Chronic("aids", ("AIDS", "advanced HIV disease"), 6, -4.6, 0.0),
)
# The milder of each pair adds nothing where the graver is present.
HIERARCHY = (("liver_mild", "liver_severe"), ("diabetes", "diabetes_complicated"), ("cancer", "metastatic"))
STATED_PRESENT = 0.6  # share of a patient's chronic conditions that the admission note names


# Share of the absent chronic conditions that the note rules out by name: plain notes, balanced notes.
STATED_ABSENT = (0.05, 0.5)


# Named beside a concept with the opposite status, so that counting words tells nothing; they have no effect.
DECOYS_ACUTE = ("urinary retention", "cellulitis", "constipation", "dehydration", "syncope", "vertigo", "thrush")
DECOYS_DISCHARGE = ("fall risk", "skin tear", "insomnia", "hearing loss", "poor appetite", "nausea", "weakness")
DECOYS_CHRONIC = ("gout", "hypothyroidism", "hyperlipidemia", "migraine", "psoriasis", "glaucoma", "kidney stones")
DECOYS_PAPERS = ("advance directive", "proxy form", "photo consent", "interpreter request", "parking form")
