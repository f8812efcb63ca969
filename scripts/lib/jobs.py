"""Every job of a whole run, as the configuration has it: what `verify`, the provenance document and the plan walk over.

The rules say the same in Snakemake's words; a test compares both. What is asked for by name (check_source, replay)
is none of them, nor is what only tells of the others (PROVENANCE).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import canonical_json

if TYPE_CHECKING:
    from lib.plan import Plan

FIT = "{task}/{model}/{size}-{seed}"
FIRST = {  # of a stage's outputs: beside it lies the record
    "demo_hospital": "<private>/hospital.sqlite",
    "extract": "<private>/extract/{cohort}/{window}.{kind}.parquet",
    "clean": "<private>/clean/{cohort}/{window}.parquet",
    "split": "<private>/split/{cohort}/{window}.parquet",
    "ledger": "<private>/ledger/{cohort}.json",
    "inventory": "<private>/inventory/{cohort}.json",
    "tokenizer": "<private>/tokenizers/{tokenizer}/tokenizer.json",
    "pretokenize": "<private>/pretokenize/{tokenizer}.{max_tokens}/{cohort}/{window}.arrow",
    "duplicates": "<private>/duplicates/{cohort}.parquet",
    "eligibility": "<private>/eligibility/{task}.parquet",
    "dataset": "<private>/dataset/{task}/{encoding}/train.json",
    "flow": "<results>/flow/{task}.json",
    "leakage": "<results>/leakage/{task}.json",
    "finetune": f"<private>/finetune/{FIT}/config.json",
    "baseline": f"<private>/baseline/{FIT}/model.json",
    "predict": f"<private>/predict/{FIT}/tuning.parquet",
    "evaluate": f"<results>/evaluate/{FIT}.json",
    "compare": "<results>/compare/{task}.json",
    "certificate": "<results>/certificate/{task}.json",
    "figures": "<results>/figures/{task}/roc.svg",
    "share": "<results>/share/{task}.parquet",
    "report": "<results>/summary.txt",
    "resolve": "<results>/config.yaml",
}
PROVENANCE = ("provenance", "crate")


@dataclass(frozen=True)
class Planned:
    """A job: its stage, its wildcards in the order of their names, and its first output (`<private>/...`)."""

    stage: str
    wildcards: tuple[tuple[str, str], ...]
    output: str

    @property
    def name(self) -> str:
        """As people call it: the stage and what it is about."""
        return " ".join([self.stage, "/".join(value for _, value in self.wildcards)]).strip()

    def path(self, plan: "Plan") -> Path:
        return plan.path(self.output)


def planned(plan: "Plan") -> Iterator[Planned]:
    """All jobs, a stage after the other, in the order in which data go through them."""
    for stage, pattern in FIRST.items():
        for wildcards in _wildcards(plan, stage):
            yield Planned(stage, tuple(sorted(wildcards.items())), pattern.format(**wildcards))


def asked(plan: "Plan") -> list[list[Any]]:
    """[stage, wildcards, first output, settings, code's hash] of every job: what decides a run's outputs."""
    return [
        [job.stage, dict(job.wildcards), job.output, plan.settings_of(job.stage, job.wildcards), plan.code(job.stage)]
        for job in planned(plan)
    ]


def text(asked: list[list[Any]]) -> str:
    """A line a job."""
    return "".join(canonical_json(job) + "\n" for job in asked)


def _wildcards(plan: "Plan", stage: str) -> Iterator[dict[str, str]]:
    config, tasks = plan.config, list(plan.config.tasks)
    tokens = [encoding for encoding in plan.encodings if "." in encoding]
    match stage:
        case "demo_hospital":
            yield from [{}] if config.source.demo else []
        case "extract":
            yield from _each(cohort=plan.needed_cohorts, window=plan.windows, kind=["text", "labels"])
        case "clean" | "split":
            yield from _each(cohort=plan.needed_cohorts, window=plan.windows)
        case "ledger" | "inventory":
            yield from _each(cohort=plan.needed_cohorts)
        case "tokenizer":
            yield from _each(tokenizer=dict.fromkeys(model.tokenizer for model in config.models.values()))
        case "pretokenize":
            for encoding in tokens:
                name, _, length = encoding.rpartition(".")
                yield from _each(tokenizer=[name], max_tokens=[length], cohort=plan.cohorts, window=plan.windows)
        case "duplicates":
            yield from _each(cohort=plan.cohorts)
        case "dataset":
            yield from _each(task=tasks, encoding=plan.encodings)
        case "finetune" | "baseline" | "predict" | "evaluate":
            for task, fit in product(tasks, plan.fits):
                if stage in ("predict", "evaluate") or fit.folder.startswith(stage):
                    yield {"task": task, "model": fit.model, "size": fit.size, "seed": str(fit.seed)}
        case "share":
            yield from _each(task=tasks if config.share.enabled else [])
        case "report" | "resolve":
            yield {}
        case _:
            yield from _each(task=tasks)


def _each(**values: Any) -> Iterator[dict[str, str]]:
    yield from (dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))
