"""The tampering table of docs/provenance.md: what was done to a finished run, and what `verify` said.

    PYTHONPATH=scripts python tests/tampering_page.py

makes a small run (a minute or two), does to copies of it what the cases have, and writes the table anew.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "workflow")]

import verify  # noqa: E402
from checkout import Checkout, small_config  # noqa: E402
from lib.findings import KINDS  # noqa: E402
from tampered import Room  # noqa: E402
from tampering_cases import CASES, Case  # noqa: E402

PAGE = ROOT / "docs" / "provenance.md"
BEGIN, END = "<!-- {}: made by tests/tampering_page.py -->\n", "<!-- end of {} -->\n"
UNKNOWN = re.compile(r"note: of the code of \d+ jobs no git revision is known")  # a test's copy is no clone of git


@dataclass(frozen=True)
class Told:
    """What verify said of a case: its findings and notes, its last line, its exit status."""

    lines: tuple[str, ...]
    verdict: str
    status: int


def said(case: Case, run: Checkout, folder: Path) -> Told:
    """Do what the case has to a copy of `run` in `folder`, and verify that."""
    room = Room(run, folder, whole=case.real)
    case.how(room)
    if case.apart:
        done = room.verify()
        text, status = done.stdout + done.stderr, done.returncode
    else:
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as out:
            status = verify.main(["--configfile", "config/test.yaml", *room.arguments])
        text = out.getvalue()
    *lines, verdict = text.splitlines()
    return Told(tuple(line for line in lines if not UNKNOWN.fullmatch(line)), verdict, status)


def table(told: Mapping[Case, Told]) -> str:
    """A row a case; of a line all but what to do, which its kind decides."""
    rows = ["| what was done | what verify says | status |", "|---|---|---|"]
    for case in CASES:
        lines = [line if line.startswith("note") else line.rpartition("; ")[0] for line in told[case].lines]
        cells = "<br>".join(f"`{_without_what_to_do(line)}`" for line in lines) or told[case].verdict.partition(":")[0]
        rows.append(f"| {case.done} | {cells} | {told[case].status} |")
    return "\n".join(rows) + "\n"


def _without_what_to_do(line: str) -> str:
    return re.sub(r"(; affects [^;]*).*", r"\1", line)


def plain(text: str) -> str:
    """Without what another machine has otherwise: digits of hashes and figures."""
    return re.sub(r"\b[0-9a-f]{10}\b|\d+\.\d{2,}|\d+ more of its values", "…", text)


def kinds() -> str:
    """A row a kind of finding."""
    rows = [f"| {name} | {kind.means} | {kind.mend} |" for name, kind in KINDS.items()]
    return "\n".join(["| kind | is | what to do |", "|---|---|---|", *rows]) + "\n"


def within(page: str, name: str) -> str:
    """What stands between the page's marks of this name."""
    return page.partition(BEGIN.format(name))[2].partition(END.format(name))[0]


def with_tables(page: str, **tables: str) -> str:
    for name, text in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        page = page.partition(begin)[0] + begin + text + end + page.partition(end)[2]
    return page


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        run = Checkout(Path(temporary, "run"), small_config())
        run.snakemake()
        told = {case: said(case, run, Path(temporary, str(i))) for i, case in enumerate(CASES)}
    page = with_tables(PAGE.read_text(encoding="utf-8"), kinds=kinds(), tampering=table(told))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
