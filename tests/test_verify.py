"""verify: what it says of a run that was tampered with, case by case, and that an untouched one is verified."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import tampering
import tampering_page
import verify
from checkout import Checkout, small_config
from lib import reasons
from lib.config import Config
from lib.config_errors import validated
from lib.plan import Plan
from tampered import Room
from tampering_cases import CASES, Case

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told() -> dict[Case, tampering_page.Told]:
    return {}


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case.how.__name__}" for i, case in enumerate(CASES)])
def test_each_case_is_told_as_what_it_is(
    case: Case, finished_run: Checkout, tmp_path: Path, told: dict[Case, tampering_page.Told]
) -> None:
    told[case] = said = tampering_page.said(case, finished_run, tmp_path / "room")
    assert said.status == case.status, said.lines
    left = list(said.lines)
    for begins, words in case.says:
        found = [line for line in left if line.startswith(begins) and words in line]
        assert len(found) == 1, f"{begins} … {words}: {found or left}"
        left.remove(found[0])
    assert left == [], "and nothing else is said"
    assert not re.search(r"(?<![<\w.])/(tmp|work|home|root)\b", "".join(said.lines) + said.verdict)
    assert said.verdict.startswith("verified: " if case.status == 0 else "not verified: ")


def test_the_tables_of_the_page_are_what_was_said(
    told: dict[Case, tampering_page.Told], finished_run: Checkout, tmp_path: Path
) -> None:
    for i, case in enumerate(CASES):
        if case not in told:  # this test was asked for alone
            told[case] = tampering_page.said(case, finished_run, tmp_path / str(i))
    page, plain = tampering_page.PAGE.read_text(encoding="utf-8"), tampering_page.plain
    assert plain(tampering_page.table(told)) == plain(tampering_page.within(page, "tampering"))
    assert tampering_page.kinds() == tampering_page.within(page, "kinds")


def test_what_it_says_to_do_mends_the_run(finished_run: Checkout, tmp_path: Path) -> None:
    room = Room(finished_run, tmp_path / "room", whole=True)
    for spoil in (tampering.swap_shards, tampering.edit_metrics, tampering.delete_file, tampering.delete_record):
        spoil(room)
    named = re.findall(r"^(?:swapped|edited|record): (<\S+>\S+): ", room.verify().stdout, re.M)
    assert len(named) == 4
    for name in named:
        room.remove(name)
    room.snakemake()
    mended = room.verify()
    assert mended.returncode == 0, mended.stdout


def test_a_lost_file_that_was_made_again_says_nothing_against_the_run(finished_run: Checkout, tmp_path: Path) -> None:
    """Its job has a newer record than the document, which is not collected again where nothing came out new."""
    room = Room(finished_run, tmp_path / "room", whole=True)
    room.remove("<private>/clean/discharge/2018.parquet")
    room.snakemake()
    assert room.verify().returncode == 0


def test_no_small_count_of_the_warehouse_is_told() -> None:
    plan = Plan(validated(Config, small_config()), main_process=False)
    told = [verify._shown(count, plan) for count in (0, 1, 9, 10, 214, reasons.ABSENT)]
    assert told == ["0", "hidden", "hidden", "10", "214", "hidden"]


def test_intervals_are_recomputed_when_asked(
    finished_run: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room = Room(finished_run, tmp_path / "room")
    monkeypatch.chdir(room.folder)

    def wider(metrics: dict) -> None:
        metrics["parts"]["test"]["auroc"]["low"] += 0.01

    room.edit(f"{tampering.EVALUATE}/tfidf/all-0.json", wider)
    command = ["--configfile", "config/test.yaml"]
    assert verify.main(command) == 1 and "figures:" not in capsys.readouterr().out
    assert verify.main([*command, "--intervals"]) == 1
    assert "figures: <results>/evaluate/readmission/tfidf/all-0.json: parts.test.auroc.low" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--configfile", "none.yaml"], "there is no file none.yaml"),
        (["--configfile", "config/test.yaml", "--document", "none.json"], "there is no file none.json"),
    ],
)
def test_what_it_cannot_look_for_is_an_error(
    arguments: list[str],
    words: str,
    finished_run: Checkout,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(finished_run.folder)
    assert verify.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_run_that_never_was_is_missing(
    finished_run: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone: Callable[..., Checkout] = finished_run.clone
    other = clone(tmp_path / "copy", results=False)
    monkeypatch.chdir(other.folder)
    assert verify.main(["--configfile", "config/test.yaml"]) == 1
    said = capsys.readouterr().out
    assert "missing: <results>/summary.txt: there is no such file, and no record that report ran" in said
    assert "missing: <private>/extract/discharge/2018.text.parquet and 15 more: there is no such file" in said
    assert re.search(r"^not verified: 23 findings \(22 missing, 1 figures\)", said, re.M)
