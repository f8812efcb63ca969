"""Every key, query, module and package changed in turn on a finished run, and what runs again compared with the table.

For every row, in this process: which jobs are told something else (their settings, their code), which are new or read
other files, and from these, along the edges that Snakemake itself sees between the rules, all that stands behind them.
That has to be the table's set.

And Snakemake's dry run, once for each *different* set of jobs so changed: all that it sees of a change are the jobs
that there are, their parameters (settings and code), their files, and their stamps, which `provenance.stamp` makes from
settings, code and the record beside the output. Two rows that change the same jobs are the same to it, but for the
values of two hashes.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import rerun_table
from checkout import ROOT, Checkout, merged, rule_of, small_config
from lib import optouts, provenance
from lib.splits import SECRET_LENGTH
from replanner import Replanner, changed_jobs, edited, forget
from rerun_table import TABLE, Row, configs, keys, rows

pytestmark = pytest.mark.slow
BY_NAME = set(TABLE["by_name"])
LIST = Path("results/private/small/stamps/exclusions/list.txt")


@pytest.fixture(scope="module")
def replanner(finished_run: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replanner]:
    run = finished_run.clone(tmp_path_factory.mktemp("rerun") / "copy")
    with pytest.MonkeyPatch.context() as patched:
        for name in ("SALT", "ANOTHER_SALT"):
            patched.setenv(name, name.ljust(SECRET_LENGTH, "."))
        _what_keys_ask_for(run.folder)
        replanner = Replanner(run, patched)
        yield replanner
        replanner.close()


def _what_keys_ask_for(folder: Path) -> None:
    """Files that values of the table name."""
    private = folder / "results/private"
    (private / "opted_out.txt").write_text("17\n")
    for name in ("some.sqlite", "another.sqlite"):
        (folder / name).touch()
    (folder / "opted_out.sql").write_text("SELECT 17 AS person_id\n")
    optouts.answer(private / "small").write_text("")
    shutil.copytree(folder / "workflow/sql/omop", folder / "workflow/sql/copy")
    cache = private / "small/cache/hub"
    cached = [("notes", "1" * 40), ("notes", "2" * 40), ("another", "1" * 40)]
    models = [folder / "some_model", folder / "another_model"]
    models += [cache / f"models--hospital--{name}" / "snapshots" / revision for name, revision in cached]
    for model in models:
        shutil.copytree(private / "small/finetune/readmission/tiny/all-0", model)


def test_every_key_every_file_and_every_package_has_a_row(finished_run: Checkout) -> None:
    named: dict[str, list[str]] = {
        kind: [row.name for row in rows() if row.kind == kind] for kind in ("config", "sql", "code", "lock")
    }
    there = {
        "config": list(keys()),
        "sql": _below(finished_run.folder / "workflow/sql", "*.sql", "*.yaml"),
        "code": _below(finished_run.folder / "scripts", "*.py"),
    }
    for kind, names in there.items():
        assert sorted(named[kind]) == sorted(names), kind


def test_every_package_that_a_stage_imports_has_a_row() -> None:
    modules = [ROOT / "scripts" / row.name for row in rows() if row.kind == "code" and row.runs]
    imported = {name for path in modules for name in provenance._module(path)[2]} - {"lib"}
    assert {provenance._DISTRIBUTION.get(name, name) for name in imported} <= set(TABLE["lock"])


def test_a_wrong_row_is_found(replanner: Replanner) -> None:
    """One that says too much, one that says too little, a key that is said to be neutral and is not."""
    right = next(row for row in rows() if row.name == "evaluate.reference")
    for runs in (right.runs | {"finetune"}, right.runs - {"compare"}, frozenset()):
        faults = list(_compared(replanner, replace(right, runs=frozenset(runs)), {}))
        assert len(faults) == 2, "by the plan, and by the dry run"
    assert not list(_compared(replanner, right, {}))


def _below(folder: Path, *patterns: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for pattern in patterns for path in folder.rglob(pattern)]


def test_the_committed_page_is_the_one_made_from_the_table() -> None:
    assert rerun_table.PAGE.read_text(encoding="utf-8") == rerun_table.page(), "run `make docs`"


def test_what_runs_again_is_what_the_table_says(replanner: Replanner) -> None:
    wrong: list[str] = []
    listed: dict[object, tuple[set[str], set[str]]] = {}
    for row in rows():
        if row.kind != "other" and "fixed" not in row.given:
            wrong += [f"{row.kind} {row.name}: {fault}" for fault in _compared(replanner, row, listed)]
    assert not wrong, "\n".join(["", *wrong])
    assert replanner.dry_run(small_config()) == (set(), set()), "changed back"


def _compared(replanner: Replanner, row: Row, listed: dict[object, tuple[set[str], set[str]]]) -> Iterator[str]:
    """What is wrong with a row, in words. `listed`: what the dry runs so far said, by what they were of."""
    before, after = configs(row)
    exclusions = LIST.read_bytes()
    told, edges = replanner.finished(before), replanner.edges(before)
    with replanner.changed(row):
        if moved := row.name in ("name", "private_root"):
            elsewhere = Path(after["private_root"], after["name"], *LIST.parts[3:])
            elsewhere.parent.mkdir(parents=True)
            elsewhere.write_bytes(exclusions)
        again = replanner.asked(after)
        changed = changed_jobs(told, again)
        if not moved:
            changed |= changed_jobs(edges.files, replanner.edges(after).files)
            edges = replanner.edges(after)
        found = {rule for rule, _ in edges.behind(changed)} - {"all"}
        found |= set(TABLE["always"]) if found - BY_NAME - set(TABLE["always"]) else set()
        if found != row.runs:
            yield f"{sorted(found - row.runs)} run too, and {sorted(row.runs - found)} do not"
        if not moved and not {"with", "example"} & set(row.given):
            shared = {"share"} if after.get("share", {}).get("enabled") else set()
            run = row.runs - (BY_NAME - shared)
            seen = frozenset(job for job in changed if job[0] not in BY_NAME - shared), frozenset(edges.files)
            if seen not in listed:
                listed[seen] = replanner.dry_run(after)
            sure, waiting = listed[seen]
            if not sure <= run or bool(sure) != bool(run) or (not waiting and sure != run):
                yield f"the dry run lists {sorted(sure - run)} too, and not {sorted(run - sure)}"
    LIST.write_bytes(exclusions)


def _touched(replanner: Replanner) -> set[str]:
    for path in replanner.run.folder.glob("[swrec]*/**/*"):
        if path.suffix in (".py", ".sql", ".smk", ".yaml") and "results" not in path.parts:
            os.utime(path)
    return _listed(replanner)


def _commented(replanner: Replanner) -> set[str]:
    for suffix, mark in (("py", "#"), ("sql", "--")):
        for path in replanner.run.folder.glob(f"[sw]*/**/*.{suffix}"):
            path.write_text(f"{mark} a comment\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    forget(modules=True)
    return _listed(replanner)


def _listed(replanner: Replanner, text: str | None = None) -> set[str]:
    sure, waiting = replanner.dry_run(small_config(), text)
    return sure | waiting


def _written(**options: bool) -> str:
    return yaml.safe_dump(small_config(), **options)


def _equal_number(replanner: Replanner) -> set[str]:
    text = _written(sort_keys=False)
    assert "learning_rate: 0.0005" in text
    return _listed(replanner, text.replace("learning_rate: 0.0005", "learning_rate: 5.00e-4"))


def _local_file(replanner: Replanner) -> set[str]:
    """Whoever has the file as an input, and who is behind them."""
    edges = replanner.edges(merged(small_config(), TABLE["with"]["local"]))
    readers = {job for job, files in edges.files.items() if "some_model/tokenizer.json" in files}
    return {rule for rule, _ in edges.behind(readers)} - {"all"}


OTHER: dict[str, Callable[[Replanner], set[str]]] = {
    "every file of the workflow touched": _touched,
    "a comment in every module and query": _commented,
    "the configuration's keys in another order": lambda here: _listed(here, _written(sort_keys=True)),
    "a comment in the configuration": lambda here: _listed(here, f"# a comment\n{_written(sort_keys=False)}"),
    "an equal number, 0.00002 for 2e-05": _equal_number,
    "a file of a model's and tokenizer's local folder": _local_file,
}


def test_what_is_no_change_runs_nothing(replanner: Replanner) -> None:
    expected = {row.name: row.runs for row in rows() if row.kind == "other"}
    assert {name: done(replanner) for name, done in OTHER.items()} == expected


REALLY = {  # and of which rules the outputs come out other
    "source.batch_rows": (),
    "replay.seed": ("resolve",),
    "lib/html.py": (),
    "evaluate.reference": ("compare", "report", "resolve"),
    "tokenizers.*.wordpiece.vocab_size": ("tokenizer", "pretokenize", "dataset", "finetune", "predict", "evaluate"),
    "evaluate.target_sensitivity": ("evaluate", "resolve"),
}


def test_some_are_really_run(finished_run: Checkout, tmp_path: Path) -> None:
    """One after the other: these rules run, the rule that is told of the change makes something else, no other does."""
    run = finished_run.clone(tmp_path / "copy")
    table = {row.name: row for row in rows()}
    for name in REALLY:
        row, before = table[name], run.bytes()
        if row.kind == "code":
            path = run.folder / "scripts" / name
            path.write_text(edited(path.read_text(encoding="utf-8"), row), encoding="utf-8")
        else:
            run.configure(merged(run.config, _only(row)))
        assert set(run.ran()) == row.runs - BY_NAME, name
        after = run.bytes()
        other = {rule_of(path) for path in after if after[path] != before.get(path)}
        assert other <= row.runs, name
        assert set(REALLY[name]) <= other and (REALLY[name] or not other), name


def _only(row: Row) -> dict[str, Any]:
    value = row.given["to"]
    for name in reversed(rerun_table.place(row).split(".")):
        value = {name: value}
    return dict(value)
