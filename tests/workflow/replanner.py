"""What a change of a finished run would run again, found in this process: of each job its settings and code before and
after; the edges between the rules' real files; Snakemake's own dry run. Milliseconds, and a third of a second."""

import contextlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from snakemake.api import SnakemakeApi
from snakemake.io import is_flagged
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
    StorageSettings,
    WorkflowSettings,
)

from checkout import Checkout
from lib import jobs, provenance
from lib.config import Config
from lib.plan import Plan
from lib.settling import Settling
from rerun_table import Row

Job = tuple[str, tuple[tuple[str, str], ...]]  # a rule and its wildcards
BY_NAME = ("check_source", "refresh", "replay", "fetch_models", "share")


@dataclass(frozen=True)
class Edges:
    """Of each job of a whole run its files and its readers; without those that only have to be there (`ancient`)."""

    files: Mapping[Job, frozenset[str]]
    readers: Mapping[Job, frozenset[Job]]

    def behind(self, changed: set[Job]) -> set[Job]:
        found, pending = set(changed), list(changed)
        while pending:
            new = self.readers.get(pending.pop(), frozenset()) - found
            found |= new
            pending += new
        return found


class Replanner:
    """Plans of a checkout, in which the process works from now on."""

    def __init__(self, run: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run = run
        self._finished: dict[str, dict[Job, tuple[str, str]]] = {}
        self._edges: dict[str, Edges] = {}  # by configuration, and by what decides them
        monkeypatch.chdir(run.folder)
        for name in ("TMPDIR", "TMP"):
            monkeypatch.setenv(name, os.environ.get(name, "/tmp"))  # restored: the workflow's head sets its own
        monkeypatch.setattr("tempfile.tempdir", None)
        monkeypatch.setattr("sys.path", list(sys.path))
        for name, path in (("ROOT", ""), ("SCRIPTS", "scripts"), ("LOCK", "requirements.lock")):
            monkeypatch.setattr(provenance, name, run.folder / path)
        self._umask = os.umask(0o077)

    def close(self) -> None:
        os.umask(self._umask)

    def asked(self, config: Mapping[str, Any]) -> dict[Job, tuple[str, str]]:
        """Settings and code of every job, of what tells of them, and of the rules that are asked for by name."""
        plan = Plan(Config.model_validate(config))
        plan.list_exclusions()
        told = {(job[0], tuple(job[1].items())): (job[3], job[4]) for job in jobs.asked(plan)}
        named: list[Job] = [("replay", (("cohort", cohort),)) for cohort in plan.config.cohorts]
        for stage, wildcards in [*named, *((name, ()) for name in (*jobs.PROVENANCE, *BY_NAME) if name != "replay")]:
            if stage != "share":
                told[stage, wildcards] = (plan.settings_of(stage, wildcards), plan.code(stage))
            elif not plan.config.share.enabled:
                told[stage, wildcards] = ("", plan.code(stage))
        return told

    def finished(self, config: Mapping[str, Any]) -> dict[Job, tuple[str, str]]:
        """The same, with nothing changed; remembered."""
        told = repr(config)
        if told not in self._finished:
            self._finished[told] = self.asked(config)
        return self._finished[told]

    @staticmethod
    def _shape_of(plan: Plan) -> str:
        """What decides which jobs there are, and which files each reads."""
        config = plan.config
        return repr([
            [(job.stage, job.wildcards) for job in jobs.planned(plan)],
            [plan.private, plan.parts, plan.opened, plan.headline, plan.database, config.split.temporal_from],
            [(name, task.cohort) for name, task in config.tasks.items()],
            [(name, model.tokenizer, model.start.folder) for name, model in config.models.items()],
            [(name, block.folder, getattr(block.wordpiece, "cohorts", 0)) for name, block in config.tokenizers.items()],
        ])  # fmt: skip

    def edges(self, config: Mapping[str, Any]) -> Edges:
        """As the rules have them, whatever is there: no checkpoint is waited for."""
        told = repr(config)
        if told not in self._edges:
            key = self._shape_of(Plan(Config.model_validate(config)))
            self._edges[told] = self._edges[key] if key in self._edges else self._edges_of(config)
            self._edges[key] = self._edges[told]
        return self._edges[told]

    def _edges_of(self, config: Mapping[str, Any]) -> Edges:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Settling, "ask", lambda *_: None)
            dag = self._dag(config)
        files, readers = {}, defaultdict(set)
        for job in dag.jobs:
            mine = _known(job)
            stamps = {str(file) for file in job.input if "/stamps/" in str(file)}
            files[mine] = frozenset({*map(str, job.input), *(f"made: {file}" for file in job.output)} - stamps)
            for other, read in dag.dependencies[job].items():
                if not all(file.is_ancient for file in read):
                    readers[_known(other)].add(mine)
        return Edges(files, {job: frozenset(who) for job, who in readers.items()})

    def dry_run(self, config: Mapping[str, Any], text: str | None = None) -> tuple[set[str], set[str]]:
        """The rules of the jobs that `snakemake -n` lists: surely; and only because they wait for a checkpoint.

        `text`: the configuration as it stands in its file.
        """
        sure, waiting = set(), set()
        dag = self._dag(config, text)
        for job in filter(dag.needrun, dag.jobs):
            waits = any(is_flagged(file, "checkpoint_target") for file in job.input)
            (waiting if waits else sure).add(job.rule.name)
        return sure - {"all"}, waiting - {"all"}

    def _dag(self, config: Mapping[str, Any], text: str | None = None) -> Any:
        self.run.configure(dict(config))
        if text is not None:
            (self.run.folder / "config/test.yaml").write_text(text, encoding="utf-8")
        output = OutputSettings(dryrun=True, quiet={Quietness.ALL}, enable_file_logging=False, log_level_override=60)
        with SnakemakeApi(output) as api:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[Path("config/test.yaml")]),
                storage_settings=StorageSettings(),
                workflow_settings=WorkflowSettings(),
                snakefile=self.run.folder / "workflow" / "Snakefile",
                workdir=self.run.folder,
            )
            workflow.dag(DAGSettings()).execute_workflow(executor="dryrun")
            return workflow._workflow.dag

    @contextlib.contextmanager
    def changed(self, row: Row) -> Iterator[None]:
        """With the row's query, module or package changed."""
        if row.kind in ("config", "other"):
            yield
            return
        folders = {"code": "scripts", "sql": "workflow/sql", "lock": ""}
        name = "requirements.lock" if row.kind == "lock" else row.name
        path = self.run.folder / folders[row.kind] / name
        before = path.read_text(encoding="utf-8")
        now = edited(before, row)
        assert now != before, row.name
        path.write_text(now, encoding="utf-8")
        forget()
        try:
            with self._parsed_again(path) if row.kind == "code" else contextlib.nullcontext():
                yield
        finally:
            path.write_text(before, encoding="utf-8")
            forget()

    @staticmethod
    @contextlib.contextmanager
    def _parsed_again(path: Path) -> Iterator[None]:
        """All modules as they were read before, but for this one."""
        before, now = provenance._module, provenance._module.__wrapped__(path)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(provenance, "_module", lambda file: now if file == path else before(file))
            yield


def forget(modules: bool = False) -> None:
    """Let what was read of the lock, and of the modules, be read again."""
    for cached in (provenance.code_hash, provenance._locked, *([provenance._module] if modules else [])):
        cached.cache_clear()


def edited(text: str, row: Row) -> str:
    """The text of the row's file, changed: a statement more, another bound, another version."""
    if row.kind == "code":
        return f"{text}\n_CHANGED = 1\n"
    if row.name.endswith(".sql"):
        return f"{text.rstrip().removesuffix(';')}\nLIMIT 1000000000\n"
    if row.kind == "sql":
        return text.replace("timeless: [", "timeless: [another_table, ")
    return re.sub(rf"^({re.escape(row.name)}==)", r"\g<1>99.", text, count=1, flags=re.M | re.I)


def _known(job: Any) -> Job:
    return job.rule.name, tuple(sorted(job.wildcards_dict.items()))


def changed_jobs(before: Mapping[Job, Any], after: Mapping[Job, Any]) -> set[Job]:
    """Those of `after` that are new or told something else."""
    return {job for job, told in after.items() if before.get(job) != told}
