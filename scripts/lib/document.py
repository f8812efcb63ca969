"""A run's provenance in one document of class aggregate: from every figure back to the query that its rows came from.

Made from records and manifests. Hashes stand for what is private, but of files that could be found from theirs
(`told_hashes`) "hidden" stands; a count of stays by window is left out where any window of the query is small; hosts,
users, paths outside the run and job numbers stay in the records.

name, evaluation, headline, min_cell    of the run
workflow      commits [{commit, dirty, jobs}], python, versions {library: [versions]}, lock {sha256, packages}
source        kind (demo, sqlite, odbc), first_day, last_day, window
releases      {cohort: [rows of the release query, for each release that its extracts are of]}
queries       [{cohort, kind, file, sha256, dialect, parameters, windows, rows}]; sha256 is of the canonical SQL
extracts      [{cohort, kind, window, rows (of labels, or null), sha256, extracted}]
cohort_flow   {task: {file, sha256, opted_out, steps, parts, ...}}, from flow/
split         the settings, as the configuration shows them
disjoint      {task: [checks of the certificate on what two parts share]}
leakage       {task: {file, sha256, verdicts, unsettled [checks that fail or are not verifiable]}}
headlines     [{task, title, part, n_rows, n_persons, model, kind, control, size, seeds, auroc, difference, reference,
              file, sha256}]: the figures of the report, of compare's tables
models        [{task, model, kind, size, seed, file, sha256, start, tokenizer, train, tuning, ...}]: see `_model`
metrics       [{task, model, size, seed, part, n_rows, measures, file, sha256, predictions, weights, train}]
openings      [{task, config, first, last, models, predictions}] of the test
shared        [{task, parts, groups, min_group, file, sha256}] of predictions written for a reviewer
jobs          every job: stage, wildcards, code, settings (sha256), inputs, outputs, commit, dirty, started, seconds,
              python, versions, scheduler, attempt, gpu, peak_mb; {"missing": true} without a record
outputs       {path: sha256} of every declared output
standing      what keeps the run from being reproducible as it stands, as the records have it: [] or sentences
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib import document_tables, records, standing, told_hashes
from lib.files import read_json

_OF_A_JOB = (
    *("code", "commit", "dirty", "started", "seconds"),
    *("python", "versions", "scheduler", "attempt", "gpu", "peak_mb"),
)


class Run:
    """What a run has left: its jobs with their newest records, and its files by their logical names."""

    def __init__(self, jobs: Path, results: Path, min_cell: int) -> None:
        self.private, self.results = jobs.parents[2], results
        lines = map(json.loads, jobs.read_text(encoding="utf-8").splitlines())
        self.jobs = [dict(zip(("stage", "wildcards", "output"), line, strict=False)) for line in lines]
        for job in self.jobs:
            job["record"] = records.last(self.path(job["output"]))
        made = [records.written(job["output"], job["record"]) for job in self.jobs]
        self._written = {name: digest for files in made for name, digest in files.items()}
        self._few = {name for files in made for name in self._of_few_rows(files, min_cell)}

    def path(self, name: str) -> Path:
        """Where `<private>/...` or `<results>/...` lies."""
        root, _, inside = name.partition("/")
        return (self.private if root == "<private>" else self.results) / inside

    def of(self, stage: str) -> Iterator[dict[str, Any]]:
        """The stage's jobs that have a record."""
        yield from (job for job in self.jobs if job["stage"] == stage and job["record"])

    @staticmethod
    def settings_of(job: Mapping[str, Any]) -> dict[str, Any]:
        return dict(json.loads(job["record"]["settings"]))

    def outputs(self, job: Mapping[str, Any]) -> dict[str, str]:
        """sha256 by logical name of what a job wrote, as it may be told."""
        return told_hashes.told(records.written(job["output"], job["record"]), self._written, self._few)

    def inputs(self, job: Mapping[str, Any]) -> dict[str, str]:
        """sha256 of what it read; of files outside the run by their names alone."""
        return told_hashes.told(job["record"]["inputs"], self._written, self._few)

    def _of_few_rows(self, files: Mapping[str, str], min_cell: int) -> Iterator[str]:
        """Of a job's files those whose manifest, one of them, tells of so few rows that these could be guessed."""
        for name in files:
            path = self.path(name)
            if not (told_hashes.is_guessable(name) and path.suffix == ".json" and path.is_file()):
                continue
            manifest = read_json(path)
            if manifest.get("rows", min_cell) < min_cell:
                yield from (f"{name.rpartition('/')[0]}/{file}" for file in manifest.get("files", ()))


def document(run: Run, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document, as the module's docstring has it; `settings` are those of the stage `provenance`."""
    tables = document_tables.Tables(run, settings["min_cell"])
    split = next((run.settings_of(job) for job in run.of("split")), {})
    whole = {
        **{key: settings[key] for key in ("name", "evaluation", "headline", "min_cell", "source")},
        "workflow": _workflow(run) | {"lock": settings["lock"]},
        "releases": tables.releases(),
        "queries": tables.queries(),
        "extracts": tables.extracts(),
        "cohort_flow": tables.flows(),
        "split": {key: value for key, value in split.items() if key != "salt_fingerprint"},  # which can be guessed at
        "disjoint": tables.disjoint(),
        "leakage": tables.leakage(),
        "headlines": tables.headlines(),
        "models": tables.models(),
        "metrics": tables.metrics(),
        "openings": tables.openings(),
        "shared": tables.shared(),
        "jobs": [_job(run, job) for job in run.jobs],
        "outputs": {name: digest for job in run.jobs for name, digest in run.outputs(job).items()},
    }
    return whole | {"standing": standing.against(whole)}


def _workflow(run: Run) -> dict[str, Any]:
    made = [job["record"] for job in run.jobs if job["record"]]
    used = sorted({(name, version) for record in made for name, version in record["versions"].items()})
    return {
        "commits": standing.commits(made),
        "python": sorted({record["python"] for record in made}),
        "versions": {name: [version for other, version in used if other == name] for name, _ in used},
    }


def _job(run: Run, job: Mapping[str, Any]) -> dict[str, Any]:
    record = job["record"]
    told = {key: job[key] for key in ("stage", "wildcards", "output")}
    if record is None:
        return told | {"missing": True}
    return told | {
        **{key: record[key] for key in _OF_A_JOB},
        "settings": hashlib.sha256(record["settings"].encode()).hexdigest(),
        "inputs": run.inputs(job),
        "outputs": run.outputs(job),
    }
