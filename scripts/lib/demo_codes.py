"""ICD codes that the demo's coders write: ICD-9-CM for discharges before 1 October 2015, ICD-10-CM from then.

The chronic codes lie in Quan's lists of their condition (Quan et al. 2005, Med Care 43:1130, enhanced ICD-9-CM and
ICD-10); the others lie in none.
"""

from lib.demo_facts import CHRONIC
from lib.demo_streams import Stream, day_of

ICD10_FROM = day_of(2015, 10, 1)

_CHRONIC_CODES = {  # (ICD-9-CM), (ICD-10-CM)
    "myocardial_infarction": (("412", "410.91"), ("I25.2", "I21.4")),
    "heart_failure": (("428.0", "428.22", "428.32"), ("I50.9", "I50.22", "I50.32")),
    "peripheral_vascular": (("443.9", "440.20"), ("I73.9", "I70.209")),
    "cerebrovascular": (("438.9", "434.91"), ("I69.30", "I63.9")),
    "dementia": (("290.0", "331.2", "294.10"), ("F03.90", "G30.9")),
    "pulmonary": (("496", "491.21"), ("J44.9", "J44.1")),
    "rheumatic": (("714.0", "710.0"), ("M06.9", "M32.9")),
    "ulcer": (("531.90", "533.90"), ("K25.9", "K27.9")),
    "liver_mild": (("571.2", "070.54"), ("K70.30", "B18.2")),
    "diabetes": (("250.00", "250.02"), ("E11.9", "E11.65")),
    "diabetes_complicated": (("250.40", "250.50"), ("E11.21", "E11.319")),
    "plegia": (("342.90", "344.1"), ("G81.90", "G82.20")),
    "renal": (("585.3", "585.4"), ("N18.3", "N18.4")),
    "cancer": (("153.9", "202.80"), ("C18.9", "C85.90")),
    "liver_severe": (("456.1", "572.2"), ("I85.00", "K72.90")),
    "metastatic": (("197.7", "198.5"), ("C78.7", "C79.51")),
    "aids": (("042",), ("B20",)),
}
_OTHER_CODES = (
    ("486", "599.0", "786.50", "820.8", "272.4", "401.9", "530.81", "244.9", "285.9", "682.6", "276.51", "038.9"),
    ("J18.9", "N39.0", "R07.9", "S72.001A", "E78.5", "I10", "K21.9", "E03.9", "D64.9", "L03.115", "E86.0", "A41.9"),
)
VOCABULARIES = ("ICD9CM", "ICD10CM")
ALL_CODES = tuple(
    (VOCABULARIES[v], code)
    for v in (0, 1)
    for code in sorted({c for pair in _CHRONIC_CODES.values() for c in pair[v]} | set(_OTHER_CODES[v]))
)
CONCEPT_ID = {code: 2_000_000_001 + i for i, code in enumerate(ALL_CODES)}  # OMOP's range for a site's own concepts


def codes(chronic: tuple[int, ...], discharge_day: int, stream: Stream) -> list[tuple[str, int]]:
    """The stay's codes as the source wrote them (dots and case vary), each with its concept_id."""
    version = int(discharge_day >= ICD10_FROM)
    found = [stream.pick(_CHRONIC_CODES[c.key][version]) for c, has in zip(CHRONIC, chronic, strict=True) if has]
    others = _OTHER_CODES[version]
    first = stream.below(len(others))
    found += [others[(first + 5 * k) % len(others)] for k in range(1 + stream.below(3))]
    return [(_as_written(code, stream), CONCEPT_ID[VOCABULARIES[version], code]) for code in found]


def _as_written(code: str, stream: Stream) -> str:
    style = stream.uniform()
    if style < 0.35:
        code = code.replace(".", "")
    return code.lower() if style > 0.93 or style < 0.03 else code
