"""Each leak that the demo hospital can plant stops a real run before it trains, and a clean one goes on.

The verdicts are those of docs/leakage.md, whose figures are of a larger hospital.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from checkout import ROOT, Checkout, small_config
from lib import shards

pytestmark = pytest.mark.slow


def documented(task: str, column: str) -> tuple[set[str], set[str]]:
    """How the names of the checks begin, and which of them fail, in the page's table of the task."""
    page = (ROOT / "docs" / "leakage.md").read_text(encoding="utf-8")
    section = page.split(f"### {task} ")[1].split("\n## ")[0].split("\n### ")[0]
    head, _, *rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    cells = {row[0]: row[head.index(column)] for row in rows}
    return set(cells), {name for name, cell in cells.items() if cell.startswith("**")}


def leaky(folder: Path, leak: str, cohort: str, task: dict[str, Any], drop_duplicates: bool) -> Checkout:
    """The small demo with a leak planted, one task, and a tokenizer of its cohort alone."""
    config = small_config(
        source={"demo": {"leak": [leak]}},
        clean={"drop_duplicates": drop_duplicates},
        tokenizers={"notes": {"wordpiece": {"cohorts": [cohort]}}},
    )
    return Checkout(folder, config | {"tasks": task})


@pytest.mark.parametrize(
    ("leak", "column", "task", "cohort"),
    [
        ("label_words", "`label_words`", "readmission", "discharge"),
        ("late_filing", "`late_filing`", "readmission", "discharge"),
        ("patient_copies", "`patient_copies`, kept", "mortality", "admission"),
    ],
)
def test_a_planted_leak_stops_the_run(leak: str, column: str, task: str, cohort: str, tmp_path: Path) -> None:
    told = {"title": task, "cohort": cohort, "label": task, "kind": "binary"}
    run = leaky(tmp_path / "run", leak, cohort, {task: told}, drop_duplicates=not column.endswith("kept"))
    ended = run.snakemake(f"results/private/small/finetune/{task}/tiny/all-0/model.safetensors", check=False)
    assert ended.returncode != 0
    said = (run.folder / f"results/small/logs/leakage/{task}.log").read_text(encoding="utf-8")
    terminal = ended.stdout + ended.stderr
    assert said.strip() in terminal, "the terminal shows why"
    last = terminal[terminal.index("\nFailed:\n") :]
    assert f"\nleakage {task}: {said.partition('error: ')[2].partition('; ')[0]}" in last, "and again at the end"
    failed = [part.split(": ")[0] for part in said.strip().split("; ")[1:] if ", allowed " in part]
    names, expected = documented(task, column)
    assert {name for name in names for check in failed if check.startswith(name)} == expected
    assert all(any(check.startswith(name) for name in names) for check in failed)
    left = {path.relative_to(run.folder).as_posix() for path in (run.folder / "results").rglob("*") if path.is_file()}
    assert not [path for path in left if re.search(r"/finetune/.*\.(safetensors|record.*)$|/leakage/\w+\.json$", path)]
    words = run.folder / f"results/private/small/leakage/{task}.terms.failed.csv"
    assert words.is_file() == (leak == "label_words")
    assert not words.is_file() or "readmitted,yes" in words.read_text(encoding="utf-8")
    assert "readmitted" not in said


def test_a_clean_run_is_certified_and_its_page_shows_it(finished_run: Checkout) -> None:
    certificate = shards.read_json(finished_run.folder / "results/small/leakage/readmission.json")
    names, expected = documented("readmission", "clean")
    assert certificate["verdict"] == "pass" and not expected
    page = (finished_run.folder / "results/small/index.html").read_text(encoding="utf-8")
    for check in certificate["checks"]:
        assert any(check["check"].startswith(name) for name in names)
        assert check["verdict"] != "fail"
        assert check["check"].replace("'", "&#x27;") in page
    by_name = {check["check"]: check for check in certificate["checks"]}
    assert 0.5 < by_name["highest AUROC of a single word of the training texts"]["value"] < 0.75
