"""A few codes of the Charlson index as Quan et al. (2005) list them, in both systems, for histories and their oracle.

The whole list is in the query; `test_charlson.py` goes through it.
"""

WEIGHTS = {
    "myocardial infarction": 1,
    "heart failure": 1,
    "chronic pulmonary disease": 1,
    "diabetes": 1,
    "diabetes with complications": 2,
    "renal disease": 2,
    "mild liver disease": 1,
    "severe liver disease": 3,
    "cancer": 2,
    "metastases": 6,
    "AIDS": 6,
}
GRAVER = {
    "diabetes": "diabetes with complications",
    "mild liver disease": "severe liver disease",
    "cancer": "metastases",
}
NINE = {
    "428.0": "heart failure",
    "496": "chronic pulmonary disease",
    "250.00": "diabetes",
    "250.40": "diabetes with complications",
    "V42.0": "renal disease",
    "571.5": "mild liver disease",
    "572.2": "severe liver disease",
    "153.9": "cancer",
    "196.0": "metastases",
    "197.7": "metastases",
    "042": "AIDS",
    "401.9": "",
}
TEN = {
    "I21.4": "myocardial infarction",
    "I50.9": "heart failure",
    "J44.1": "chronic pulmonary disease",
    "J44.9": "chronic pulmonary disease",
    "E11.9": "diabetes",
    "E11.21": "diabetes with complications",
    "E11.22": "diabetes with complications",
    "Z94.0": "renal disease",
    "K70.30": "mild liver disease",
    "K74.60": "mild liver disease",
    "K72.90": "severe liver disease",
    "K76.6": "severe liver disease",
    "C18.2": "cancer",
    "C18.9": "cancer",
    "C78.7": "metastases",
    "B20": "AIDS",
    "I10": "",
}


def points(dated: list[tuple[str, str]], icd10_from: str) -> int:
    """The weights of the conditions that these codes name, each once, the milder ones left out. A code of the other
    system names none; dots, cases and spaces do not matter."""
    found = {_condition(TEN if day >= icd10_from else NINE, code) for code, day in dated} - {""}
    return sum(WEIGHTS[condition] for condition in found if GRAVER.get(condition) not in found)


def _condition(system: dict[str, str], code: str) -> str:
    return {_bare(known): condition for known, condition in system.items()}.get(_bare(code), "")


def _bare(code: str) -> str:
    return code.replace(".", "").strip().upper()
