"""The Charlson list inside the OMOP queries: whole, well-formed, and matched as the paper's table reads."""

import itertools
import re
from typing import Any

import pytest

import omop_db

SQL = (omop_db.ROOT / omop_db.OMOP / "admission.labels.sql").read_text(encoding="utf-8")
CODES = re.findall(r"\('(ICD9CM|ICD10CM)', '(\w+)', '(\w+)', '([^']+)'\)", SQL[SQL.index("charlson_code (") :])
WEIGHTS = re.findall(r"^    \('([^']+)', '([^']+)', (\d)\),?$", SQL, re.MULTILINE)

# A code of each condition in both systems, written with its dot as hospitals do, and a neighbour that is none of it.
CASES = [
    ("410.71", "I21.4", 1, "413.9", "I20.9"),  # myocardial infarction; angina
    ("428.0", "I50.9", 1, "429.3", "I51.7"),  # heart failure; cardiomegaly
    ("443.9", "I73.9", 1, "443.0", "I73.0"),  # peripheral vascular disease; Raynaud's syndrome
    ("434.91", "I63.9", 1, "439", "I72.9"),  # stroke; unused, aneurysm
    ("290.0", "F03.90", 1, "293.0", "F05"),  # dementia; delirium
    ("496", "J44.9", 1, "486", "J18.9"),  # chronic pulmonary disease; pneumonia
    ("710.0", "M32.10", 1, "710.5", "M35.0"),  # lupus; eosinophilia myalgia syndrome, sicca syndrome
    ("531.90", "K25.9", 1, "535.50", "K29.70"),  # gastric ulcer; gastritis
    ("571.5", "K74.60", 1, "572.0", "K75.0"),  # cirrhosis; liver abscess
    ("572.2", "K72.90", 3, "572.1", "K75.1"),  # hepatic encephalopathy, liver failure; portal pyaemia
    ("250.00", "E11.9", 1, "251.2", "E16.2"),  # diabetes; hypoglycaemia
    ("250.40", "E11.22", 2, "249.40", "E15"),  # with complications; secondary diabetes is not in the list
    ("342.90", "G81.90", 2, "345.90", "G40.909"),  # hemiplegia; epilepsy
    ("585.9", "N18.9", 2, "584.9", "N17.9"),  # chronic kidney disease; acute renal failure
    ("153.9", "C18.9", 2, "173.9", "C44.90"),  # colon cancer; skin cancer other than melanoma
    ("197.7", "C78.7", 6, "V10.05", "Z85.038"),  # metastases; history of cancer
    ("042", "B20", 6, "V08", "Z21"),  # AIDS; HIV positive without symptoms
]


def test_the_list_is_whole() -> None:
    assert len(WEIGHTS) == 17 and sorted(w for _, _, w in WEIGHTS) == sorted("11111111112222366")
    categories = {category for category, _, _ in WEIGHTS}
    assert {(vocabulary, category) for vocabulary, _, _, category in CODES} == {
        *itertools.product(("ICD9CM", "ICD10CM"), categories)
    }
    assert [c for c in CODES if len(c[1]) != len(c[2]) or c[1] > c[2]] == []


def test_ranges_do_not_overlap_but_where_the_paper_does() -> None:
    def meet(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
        length = min(len(a[1]), len(b[1]))
        return a[0] == b[0] and a[1][:length] <= b[2][:length] and b[1][:length] <= a[2][:length]

    twice = [(a[1], b[1]) for a, b in itertools.combinations(CODES, 2) if meet(a, b)]
    # Hypertensive heart and kidney disease with both failures; cerebral aneurysm: vascular, and cerebrovascular.
    assert twice == [("40403", "40402"), ("40413", "40412"), ("40493", "40492"), ("4373", "430")]


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    path = tmp_path_factory.mktemp("charlson") / "hospital.sqlite"
    with omop_db.Hospital(path) as hospital:
        for person, (nine, ten, _, not_nine, not_ten) in enumerate(CASES, 1):
            stays = {}
            for number, code in enumerate((nine, ten, not_nine, not_ten), 1):
                year = 2013 if number % 2 else 2017
                stays[number] = {
                    "in": f"{year}-0{number}-01 10:00",
                    "out": f"{year}-0{number}-04 10:00",
                    "codes": [code],
                }
            hospital.history({"stays": stays}, person)
        one_of_each = {"in": "2018-03-01 10:00", "out": "2018-03-04 10:00", "codes": [case[1] for case in CASES]}
        hospital.history({"stays": {1: one_of_each}}, 99)
    rows = omop_db.run(path, omop_db.settings("admission", "labels"))
    return dict(zip(rows["visit_id"].to_pylist(), rows["label_charlson"].to_pylist(), strict=True))


@pytest.mark.parametrize("person", range(1, len(CASES) + 1), ids=[case[0] for case in CASES])
def test_each_condition_and_its_neighbour(scores: dict[int, Any], person: int) -> None:
    weight = CASES[person - 1][2]
    assert [scores[person * 1000 + n] for n in (1, 2, 3, 4)] == [weight, weight, 0, 0]


def test_one_of_each(scores: dict[int, Any]) -> None:
    """All seventeen: the milder diabetes, liver disease and cancer add nothing."""
    assert scores[99001] == 8 + 2 + 3 + 2 + 2 + 6 + 6


def test_both_label_queries_hold_the_same_list() -> None:
    both = [(omop_db.ROOT / omop_db.OMOP / f"{c}.labels.sql").read_text("utf-8") for c in ("discharge", "admission")]
    blocks = [sql[sql.index("-- Charlson index, list version") : sql.index("-- End of the Charlson")] for sql in both]
    assert blocks[0] == blocks[1]
