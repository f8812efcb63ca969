"""Snakemake's table of files is read, and its errors are handed on."""

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


def test_what_is_pending_and_by_which_rule() -> None:
    assert dry_run.parsed(TABLE.splitlines()) == {"a/x.json": "clean", "a/x.parquet": "clean", "b/y.json": "split"}


def test_what_snakemake_says_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("name: c\n", encoding="utf-8")
    with pytest.raises(dry_run.DryRunError, match="No Snakefile found"):
        dry_run.pending([Path("c.yaml")])
