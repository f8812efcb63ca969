"""Errors that do not talk: every stage is made to fail on a canary, and nothing outside the private root holds it.

docs/canaries.md tells the cases; it is made from the same list.
"""

import base64
import bz2
import contextlib
import gzip
import json
import lzma
import re
import shlex
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import canaries
import canary_cases
from canaries import TEXT, WORD
from canary_cases import CASES, Call, Case
from checkout import ROOT, Checkout, merged
from lib.config import Config
from lib.config_errors import validated
from lib.config_source import Demo
from lib.plan import Plan
from test_kills import STAGES

pytestmark = pytest.mark.slow
REPORT = "results/canaries/report.html"


class Hospital(Checkout):
    """A finished run on the source of canaries; `private` may hold them, and what is `said` may not."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, canaries.CONFIG)
        self.private = folder / "results" / "private"
        self.private.mkdir(parents=True)
        canaries.source(self.private / "source.sqlite")
        (folder / "stays.sql").write_text(canaries.TEXT_SQL, encoding="utf-8")
        (folder / "stays.labels.sql").write_text(canaries.LABEL_SQL, encoding="utf-8")
        ended = self.snakemake("all", "check_source", "refresh", "--printshellcmds")
        self.said = ended.stdout + ended.stderr
        lines = re.findall(r"(logged \S+ \w+ --.+)", self.said)
        self.commands = [shlex.split(line) for line in lines]
        with contextlib.chdir(folder):
            self.shell = Plan(validated(Config, self.config)).environment().replace("{{", "{").replace("}}", "}")

    def call(self, case: Case) -> Call:
        """The stage's command as the workflow ran it; the demo's stage, which it did not run, as it would have."""
        folder = self.private / "broken" / case.name
        folder.mkdir(parents=True)
        if case.stage == "demo_hospital":
            files = {name: [str(folder / name)] for name in ("database", "oracle", "manifest")}
            return Call(case.stage, Demo().model_dump() | {"start": "2020-01-01", "end": "2020-12-31"}, files, folder)
        ours = [words for words in self.commands if words[2] == case.stage and case.of in words[1]]
        return Call.of(ours[0], folder)

    def run(self, call: Call, log: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-c", f"{self.shell} mkdir -p results/canaries/logs/cases; {call.command(log)}"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return Hospital(tmp_path_factory.mktemp("canaries") / "run")


def outside(run: Checkout) -> list[str]:
    return canaries.found(run.folder, (run.folder / "results" / "private",))


def packed(data: bytes, folder: Path) -> dict[str, bytes]:
    """The data in every disguise that the search knows."""
    with zipfile.ZipFile(folder / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", data)
    text = data.decode()
    return {
        "plain": data,
        "upper case": text.upper().encode(),
        "utf-16": text.encode("utf-16"),
        "hex": data.hex().encode(),
        "gzip": gzip.compress(data),
        "zlib": zlib.compress(data),
        "bz2": bz2.compress(data),
        "xz": lzma.compress(data),
        "zstd": pa.compress(data, "zstd", asbytes=True),
        "zip": (folder / "zip").read_bytes(),
        "json": json.dumps({"a": text}).encode(),
        "url": "".join(f"%{byte:02X}" for byte in data).encode(),
        "html": "".join(f"&#{ord(c)};" for c in text).encode(),
        "base64": b"x" + base64.b64encode(b"a" + data),
        "data URI of gzip": b"<a href='data:text/plain;base64," + base64.b64encode(gzip.compress(data)) + b"'>",
    }


def test_the_search_finds_every_disguise(tmp_path: Path) -> None:
    for value in (WORD, canaries.NAME, str(canaries.NUMBER)):
        for disguise, content in packed(f"a patient named {value} came".encode(), tmp_path).items():
            assert canaries.holds_a_canary(content), (value, disguise)
    for disguise, content in packed(b"a patient whom nobody named came and went home", tmp_path).items():
        assert not canaries.holds_a_canary(content), disguise


def test_a_finished_run_and_its_report_hold_none(hospital: Hospital) -> None:
    hospital.snakemake("--report", REPORT)
    assert (hospital.folder / REPORT).stat().st_size > 500_000
    assert outside(hospital) == []
    assert not canaries.holds_a_canary(hospital.said)
    within = canaries.found(hospital.private / "canaries")
    assert {path.split("/")[0] for path in within} >= {"extract", "clean", "split", "eligibility", "dataset", "predict"}
    planted = hospital.folder / "results" / "canaries" / "planted.gz"
    planted.write_bytes(gzip.compress(TEXT.encode()))
    assert outside(hospital) == ["results/canaries/planted.gz"]
    planted.unlink()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_stage_fails_and_its_log_does_not_talk(hospital: Hospital, case: Case) -> None:
    call = hospital.call(case)
    case.do(call)
    log = f"results/canaries/logs/cases/{case.name}.log"
    ended = hospital.run(call, log)
    said = (hospital.folder / log).read_text()
    kept = hospital.private / "canaries/logs/cases" / f"{case.name}.log"
    assert re.search(f"^error: .*({case.told})", said, re.M | re.S), (said, kept.read_text() if kept.exists() else "")
    assert ended.returncode == case.status
    assert not canaries.holds_a_canary(said) and not canaries.holds_a_canary(ended.stdout + ended.stderr)
    assert ended.stderr in said and ended.stderr.startswith("error: ") and not ended.stdout
    assert kept.is_file() and kept.stat().st_mode & 0o077 == 0
    assert f"details: logs/cases/{case.name}.log below the private root" in said
    assert canaries.holds_a_canary(kept.read_bytes()) == case.echoed


def test_every_stage_has_a_case() -> None:
    assert {case.stage for case in CASES} == {*STAGES, "provenance", "resolve", "check_source", "refresh", "crate"}


def test_the_table_is_of_these_cases() -> None:
    assert (ROOT / "docs" / "canaries.md").read_text(encoding="utf-8") == canary_cases.page()


NOISE = "import subprocess, sys, warnings\ndef step(text):\n    print(text); warnings.warn(text)\n"
NOISE += "    subprocess.run(['sh', '-c', 'echo \"$0\" >&2', text])\n"


def test_a_run_that_ends_well_despite_noise_tells_none(hospital: Hospital, tmp_path: Path) -> None:
    run = hospital.clone(tmp_path / "run")
    (run.folder / "mine.py").write_text(NOISE + "    return text\n")
    run.configure(merged(run.config, {"clean": {"steps": ["mine:step"]}}))
    ended = run.snakemake("results/private/canaries/clean/stays/2020.json")
    assert outside(run) == [] and not canaries.holds_a_canary(ended.stdout + ended.stderr)
    assert "clean/stays-2020.log" in canaries.found(run.folder / "results/private/canaries/logs")


def _extracts(run: Checkout) -> dict[str, object]:
    (run.folder / "stays.labels.sql").write_text(canaries.LABEL_SQL.replace("outcome AS", "department AS"))
    broken = canaries.TEXT_SQL.replace("body AS text", "json_extract('{}', body) AS text")
    (run.folder / "stays.sql").write_text(broken)
    return {}


def _step(run: Checkout) -> dict[str, object]:
    (run.folder / "mine.py").write_text(NOISE + "    raise ValueError(text)\n")
    return {"clean": {"steps": ["mine:step"]}}


def _connection(_: Checkout) -> dict[str, object]:
    return {"source": {"sqlite": f"postgresql://{WORD}:Quackenbush@warehouse/notes", "id_type": TEXT}}


def _connection_alone(_: Checkout) -> dict[str, object]:
    return {"source": {"sqlite": f"postgresql://{WORD}:Quackenbush@warehouse/notes"}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_extracts, ["SQLITE_ERROR", "label_back is not a 64-bit integer"]),
        (_step, ["builtins.ValueError", "details: logs/clean/stays-2020.log below the private root"]),
        (_connection, ["source.id_type"]),
        (_connection_alone, ["source.sqlite: there is no such file"]),
    ],
)
def test_the_workflow_fails_and_tells_none(
    hospital: Hospital, tmp_path: Path, change: Callable[[Checkout], dict[str, object]], told: list[str]
) -> None:
    run = hospital.clone(tmp_path / "run")
    run.configure(merged(run.config, change(run)))
    ended = run.snakemake("--keep-going", "--show-failed-logs", check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode and all(what in said for what in told), said[-3000:]
    config = "config/test.yaml"  # the user's own file may hold a connection
    assert not canaries.holds_a_canary(said) and [path for path in outside(run) if path != config] == []


def test_at_last_nothing_outside_the_private_root_holds_one(hospital: Hospital) -> None:
    """After all of the above; no core file either."""
    assert outside(hospital) == []
    assert not [path for path in hospital.folder.iterdir() if path.name.startswith("core")]
    assert len(canaries.found(hospital.private / "canaries/logs/cases")) >= sum(case.echoed for case in CASES)
