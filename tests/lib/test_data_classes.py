"""The table of data classes: every output of every rule is of exactly one kind, and lies where its class says."""

import itertools
import re
from string import Formatter

import pytest

from checkout import ROOT
from lib.data_classes import CLASSES, NAMES, TABLE, kinds_of

SAMPLES = {
    "cohort": ["discharge"],
    "encoding": ["notes.48", "text", "features"],
    "kind": ["text", "labels"],
    "max_tokens": ["48"],
    "model": ["tiny"],
    "part": ["train", "tuning", "calibration", "test", "temporal_test"],
    "seed": ["0", "-3"],
    "size": ["all", "100"],
    "task": ["readmission", "length_of_stay"],
    "tokenizer": ["notes"],
    "window": ["2019", "2019-03", "2019Q1"],
}
RULES = ["workflow/Snakefile", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "workflow/rules").glob("*.smk"))]


def outputs() -> dict[str, list[str]]:
    """The output patterns of each rule of the workflow, `all` left out."""
    found = {}
    for file in RULES:
        text = (ROOT / file).read_text(encoding="utf-8")
        for name, body in re.findall(r"^(?:rule|checkpoint) (\w+):\n((?:(?: .*)?\n)+)", text, re.M):
            if block := re.search(r"^    output:\n((?:(?: {8}.*)?\n)+)", body, re.M):
                patterns = re.findall(r'"(<(?:private|results)>/[^"]+)"', block[1])
                found[name] = [pattern.replace("{{", "{").replace("}}", "}") for pattern in patterns]
    return found


def paths(pattern: str) -> list[str]:
    names = list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(pattern) if name))
    chosen = itertools.product(*(SAMPLES[name] for name in names))
    return [pattern.format(**dict(zip(names, values, strict=True))) for values in chosen]


def test_every_output_of_every_rule_is_of_one_kind() -> None:
    rules = outputs()
    declared = re.findall(r"^(?:rule|checkpoint) (\w+):", "".join((ROOT / f).read_text() for f in RULES), re.M)
    assert (
        sorted([*rules, "all", "replay", "check_source", "refresh", "fetch_models"]) == sorted(declared)
        and len(rules) > 15
        and all(rules.values())
    )
    for rule, patterns in rules.items():
        for path in itertools.chain.from_iterable(paths(pattern) for pattern in patterns):
            kinds = kinds_of(path)
            assert len(kinds) == 1, f"{rule}: {path} is of {len(kinds)} kinds in lib/data_classes.py"
            assert (kinds[0].data_class == "aggregate") == path.startswith("<results>/")
            assert len(kinds_of(f"{path}.record.jsonl")) == 1


def test_aggregate_is_what_lies_under_results_and_nothing_else() -> None:
    for kind in TABLE:
        assert kind.data_class in CLASSES and kind.holds
        assert (kind.data_class == "aggregate") == kind.pattern.startswith("<results>/"), kind.pattern
    assert len({kind.pattern for kind in TABLE}) == len(TABLE)


def test_wildcards_are_the_workflows() -> None:
    text = (ROOT / "workflow/Snakefile").read_text(encoding="utf-8")
    block = re.search(r"^wildcard_constraints:\n((?: +.*\n)+)", text, re.M)
    assert block is not None
    constraints = dict(re.findall(r'(\w+)=r?"(.+)"', block[1]))
    assert {name: NAMES[name] for name in constraints} == constraints


@pytest.mark.parametrize(
    "path",
    [
        "<results>/predict/readmission/tiny/all-0/test.parquet",
        "<results>/flow/readmission.csv",
        "<results>/rows.parquet",
        "<results>/figures/readmission/roc.png",
        "<results>/share/readmission/test.parquet",
        "<private>/extract/discharge/2019.parquet",
        "<private>/extract/discharge/19.text.parquet",
        "<private>/notes.txt",
        "<private>/finetune/readmission/tiny/all-0/optimizer.pt",
    ],
)
def test_an_unknown_file_is_of_no_kind(path: str) -> None:
    assert kinds_of(path) == []


@pytest.mark.parametrize(
    ("path", "data_class"),
    [
        ("<private>/extract/discharge/2019.text.parquet", "text"),
        ("<private>/extract/discharge/2019.labels.parquet", "row"),
        ("<private>/store/0123456789abcdef/checkpoint-3/random_0.json", "text"),
        ("<private>/store/0123456789abcdef/lock", "text"),
        ("<private>/clean/discharge/.2019.parquet.tmp", "text"),
        ("<private>/finetune/readmission/tiny/100--3/config.json.record.jsonl", "row"),
        ("<private>/leakage/readmission.terms.csv", "text"),
        ("<private>/ledger/discharge.0123456789ab.parquet", "row"),
        ("<results>/leakage/readmission.json", "aggregate"),
        ("<private>/fetched/discharge/2020-01.text.parquet", "row"),
        ("<private>/fetched/exclusions.txt", "row"),
        ("<private>/fetched/source.json.record.jsonl", "row"),
        ("<results>/check_source/source.json", "aggregate"),
        ("<results>/check_source/source.txt", "aggregate"),
        ("<results>/check_source/source.json.record.jsonl", "aggregate"),
        ("<results>/logs/finetune/readmission-tiny-all-0.log", "aggregate"),
    ],
)
def test_each_file_has_its_class(path: str, data_class: str) -> None:
    assert [kind.data_class for kind in kinds_of(path)] == [data_class]
