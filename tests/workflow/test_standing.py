"""Snakemake's report shows current code beside old results; so its first page says whether the run stands.

With the real `snakemake --report`, on a copy of the finished run in a clone of its own.
"""

import html
import re
import subprocess
from collections.abc import Callable

import pytest

from checkout import Checkout, merged

Copy = Callable[..., Checkout]
REPORT = "results/small/report.html"


def git(run: Checkout, *words: str) -> str:
    names = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
    return subprocess.run(["git", *names, *words], cwd=run.folder, capture_output=True, text=True, check=True).stdout


def clone(run: Checkout) -> str:
    """Make the copy a clone with all committed, and its jobs those of this commit; the commit."""
    (run.folder / ".gitignore").write_text("results/\n.snakemake/\n__pycache__/\n", encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "All"]):
        git(run, *words)
    commit = git(run, "rev-parse", "HEAD").strip()
    for record in (run.folder / "results").rglob("*.record.jsonl"):
        told = record.read_text(encoding="utf-8")
        record.write_text(
            told.replace('"commit":null', f'"commit":"{commit}"').replace('"dirty":null', '"dirty":false')
        )
    return commit


def said(run: Checkout) -> str:
    """What the report's first page says of the run, without markup."""
    run.snakemake("--report", REPORT)
    source = (run.folder / REPORT).read_text(encoding="utf-8")
    (brand,) = re.findall(r'role=\\?"alert\\?".*?</div>.*?</p>', source, re.S)
    return html.unescape(re.sub(r"<[^>]+>", " ", brand))


@pytest.fixture
def run(finished: Copy) -> Checkout:
    return finished()


def test_a_clean_clone_stands(run: Checkout) -> None:
    commit = clone(run)
    told = said(run)
    assert f"Reproducible as it stands: commit {commit[:12]}, 72 jobs" in told
    assert f"Code shown in this report: commit {commit[:12]}" in told


def test_without_git_nothing_is_in_red(run: Checkout) -> None:
    told = said(run)
    assert "No git revision is known of 72 of 72 jobs" in told and "Not reproducible" not in told


def test_what_is_out_of_date_is_named(run: Checkout) -> None:
    """Code, configuration, a file and a commit, one after the other."""
    clone(run)
    script = run.folder / "scripts" / "compare.py"
    text = script.read_text(encoding="utf-8")
    script.write_text(text + "\nOTHER = 1\n", encoding="utf-8")
    told = said(run)
    assert "Not reproducible as it stands:" in told and "the code in this folder has been changed" in told
    assert "1 of 72 jobs ran other code than today's (compare 1)" in told
    script.write_text(text, encoding="utf-8")

    configuration = run.config
    run.configure(merged(configuration, {"min_cell": 11}))
    told = said(run)
    assert "jobs ran with other settings than the configuration has today (" in told
    assert "evaluate 6" in told and "finetune" not in told and "has been changed" not in told
    run.configure(configuration)

    metrics = run.folder / "results/small/evaluate/readmission/tiny/all-0.json"
    metrics.write_bytes(metrics.read_bytes().replace(b'"n_rows": 44', b'"n_rows": 45'))
    assert "1 of 72 jobs have files that were changed after they were written (evaluate 1)" in said(run)
