"""The words of demo notes that say nothing about any risk: section headings, filler sentences, complaints.

No sentence here names a concept of `demo_facts` (a test looks), so that a note states its facts once.
"""

from itertools import product

COMPLAINTS = (
    *("dyspnea", "fever", "abdominal pain", "a fall at home", "cough", "leg swelling", "dizziness", "poor intake"),
    *("flank pain", "palpitations", "a referral by the clinic", "fatigue", "vomiting", "swelling of the arm"),
)

_DRUGS = (  # name, doses, how often
    ("lisinopril", "5 10 20", "PO daily"),
    ("metoprolol", "25 50 100", "PO BID"),
    ("furosemide", "20 40", "PO daily;PO BID;IV q12h"),
    ("atorvastatin", "20 40 80", "PO qHS"),
    ("metformin", "500 1000", "PO BID"),
    ("omeprazole", "20 40", "PO daily"),
    ("amlodipine", "5 10", "PO daily"),
    ("sertraline", "25 50 100", "PO daily"),
    ("gabapentin", "100 300", "PO TID;PO qHS"),
    ("prednisone", "5 10 20", "PO daily"),
    ("apixaban", "5", "PO BID"),
    ("acetaminophen", "500 650", "PO PRN;PO TID"),
    ("trazodone", "50 100", "PO qHS;PO PRN"),
    ("ceftriaxone", "1000 2000", "IV q24h"),
)
MEDICATIONS = tuple(
    f"{drug} {dose} mg {often}."
    for drug, doses, times in _DRUGS
    for dose, often in product(doses.split(), times.split(";"))
)

_SYMPTOMS = ("chills", "night sweats", "headache", "rash", "diarrhea", "dysuria", "orthopnea", "weight loss", "melena")
REVIEW = tuple(
    f"{verb} {a} {link} {b}."
    for verb, link in (("Denies", "or"), ("No", "and no"), ("Negative for", "and"), ("Reports mild", "but no"))
    for a, b in product(_SYMPTOMS, _SYMPTOMS)
    if a != b
)

EXAM = (
    "Alert, in no acute distress.",
    "Lungs clear to auscultation bilaterally.",
    "Faint crackles at the bases.",
    "Heart RRR, no murmurs.",
    "Systolic murmur 2/6 at the LSB.",
    "Abdomen soft, NT/ND, BS present.",
    "Ext warm, trace edema of the ankles.",
    "Ext w/o edema, pulses 2+.",
    "Neuro grossly non-focal, CN II-XII intact.",
    "Skin warm and dry, no lesions seen.",
    "HEENT: PERRL, moist mucosa.",
    "Gait not tested on the first day.",
)

COURSE = (
    "Pt was seen with the team on rounds.",
    "Pain was controlled w/ acetaminophen PRN.",
    "IV fluids were given on the first day and then stopped.",
    "Diet was advanced as tolerated.",
    "Electrolytes were repleted per protocol.",
    "PT and OT saw the pt and left their advice in the chart.",
    "Home meds were continued except as listed.",
    "Imaging was read by radiology without urgent findings.",
    "Blood cultures were drawn, no growth to date.",
    "Antibiotics were narrowed once cultures returned.",
    "The plan was discussed with the pt, who agreed.",
    "Nursing reported a quiet night.",
    "Telemetry showed sinus rhythm with occasional PVCs.",
    "EKG was unchanged from the tracing on file.",
    "The catheter was removed and the pt voided on their own.",
    "Labs were trended daily and stayed near baseline.",
    "Nutrition was consulted and gave written advice.",
    "Pharmacy went through the medication list with the pt.",
    "Consultants signed off with no further advice.",
    "Ultrasound was technically limited but reassuring.",
    "Pt slept well, ate most of the meals.",
    "Lines were checked on each shift and were clean.",
    "No changes were made to the regimen overnight.",
    "Chest film showed no new opacity.",
    "Social work left a note in the chart.",
    "Blood sugars were checked before meals.",
    "The pt tolerated the procedure well, EBL minimal.",
    "Drain output was recorded on the flow sheet.",
    "SCDs and SQ heparin were used for prophylaxis.",
    "The case was reviewed at the morning conference.",
    "Questions were answered at the bedside.",
    "CRP was <5 mg/L on the last check.",
    "Troponin was <0.01 twice.",
)

PLAN = (
    "Continue current management, reassess in the AM.",
    "Trend CBC and BMP daily.",
    "Follow cultures.",
    "DVT prophylaxis: SQ heparin.",
    "Code status was reviewed on arrival.",
    "Diet: regular.",
    "Monitor I/O, daily weights.",
    "Discuss with consultants as needed.",
    "Bowel regimen while on opioids.",
    "PT/OT to see.",
    "Keep K > 4 and Mg > 2.",
)

SOCIAL = (
    "Former smoker, quit years ago.",
    "Never smoker, occasional EtOH.",
    "Smokes half a pack per day.",
    "Retired teacher.",
    "Works as a driver.",
    "Lives in an apartment on the second floor.",
    "Lives in a house with a few steps.",
    "No illicit drugs.",
)

ALLERGIES = ("NKDA.", "Penicillin (rash).", "Sulfa (hives).", "Codeine (nausea).", "Latex.", "None known.")

INSTRUCTIONS = (
    "Return for fever, worsening pain or trouble breathing.",
    "Take medications as listed.",
    "No lifting > 10 lb for two weeks.",
    "Keep the dressing dry for 48 hours.",
    "Call the office with questions.",
    "Drink plenty of fluids.",
    "Bring this summary to the PCP.",
    "Labs to be repeated as an outpatient.",
)

ADDENDA = (
    "Medication list checked by pharmacy, no change.",
    "Corrected the spelling of the consultant's service.",
    "Final read of the film agrees with the preliminary one.",
    "Culture finalized, no growth.",
    "Discussed with the covering physician.",
)

NEWBORN = (
    "Term newborn, vaginal delivery, Apgars 8 and 9.",
    "Term newborn by C-section, good cry.",
    "Feeding well, voiding and stooling.",
    "Weight within 5% of birth weight.",
    "Hearing screen passed bilaterally.",
    "Vitamin K and eye ointment given.",
)
