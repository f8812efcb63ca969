"""Snakemake's table of files becomes jobs."""

from pathlib import Path

import pytest

from lib import dry_run

TABLE = """output_file\tdate\trule\tlog-file(s)\tstatus\tplan
a/x.json\t-\tclean\tlogs/clean/a.log\tmissing\tupdate pending
a/x.parquet\t-\tclean\tlogs/clean/a.log\tok\tupdate pending
b/x.json\tSat Nov 28\tclean\tlogs/clean/b.log\tok\tno update
b/y.json\tSat Nov 28\tsplit\tlogs/split/b.log\tok\tupdate pending
a warning that some plugin printed
"""


def test_a_job_is_a_rule_and_its_log() -> None:
    assert dry_run.parsed(TABLE.splitlines()) == {
        ("clean", "logs/clean/a.log"): ["a/x.json", "a/x.parquet"],
        ("split", "logs/split/b.log"): ["b/y.json"],
    }


def test_what_snakemake_says_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("name: c\n", encoding="utf-8")
    with pytest.raises(dry_run.DryRunError, match="no Snakefile found"):
        dry_run.pending([Path("c.yaml")])
