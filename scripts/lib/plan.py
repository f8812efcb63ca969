"""From the configuration to the graph: windows, fits, paths, and the settings of every job.

The workflow's rules ask here and hold no logic of their own. Settings are one canonical JSON text a job, made of
the blocks that its stage uses and of nothing else: so a changed line re-runs exactly what depends on it.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import product
from pathlib import Path
from string import Formatter
from typing import Any

from lib import canonical_json, provenance
from lib.config import Config, Task
from lib.config_errors import ConfigError, no_such
from lib.sqltext import SqlError, canonical_sql_hash, parameters_of, share

STEP_NAMES = ("markup", "unicode", "whitespace", "empty", "short")  # of lib.cleaning, which jobs import
DEVELOPMENT_PARTS = ["tuning", "calibration"]


@dataclass(frozen=True)
class Fit:
    """One fitted model of a task: its name, kind (transformer, tfidf, structured), training size and seed."""

    model: str
    kind: str
    size: str
    seed: int

    @property
    def path(self) -> str:
        return f"{self.model}/{self.size}-{self.seed}"


class Plan:
    """Everything that the rules need to know, from a checked configuration."""

    def __init__(self, config: Config, main_process: bool = True) -> None:
        self.config = config
        self.private = f"{config.private_root.rstrip('/')}/{config.name}"
        self.results = f"results/{config.name}"
        self.windows = dict(windows(config.source.data_start, config.source.data_end, config.source.window))
        self.main_process = main_process
        self._settings = cache(self._settings_of)
        self._check_files()
        if main_process:  # whatever the umask of who starts it: below this folder lies what is about patients
            Path(self.private).mkdir(parents=True, exist_ok=True)
            Path(self.private).chmod(0o700)

    # --- what there is -------------------------------------------------------------------------------------------

    @property
    def database(self) -> str:
        return self.config.source.sqlite or f"{self.private}/hospital.sqlite"

    @property
    def parts(self) -> list[str]:
        """Every part of a dataset; those that predictions are made for are `opened`."""
        return ["train", *DEVELOPMENT_PARTS, "test", *(["temporal_test"] if self.config.split.temporal_from else [])]

    @property
    def opened(self) -> list[str]:
        return self.parts[1:] if self.config.evaluation == "final" else DEVELOPMENT_PARTS

    @property
    def headline(self) -> str:
        return self.config.evaluate.headline if self.config.evaluation == "final" else "calibration"

    @property
    def fits(self) -> list[Fit]:
        """Models and baselines by size and seed. A baseline of all rows draws nothing; a control has permutations."""
        fits, seeds = [], self.config.seeds
        for size in map(str, self.config.sizes):
            fits += [Fit(name, "transformer", size, seed) for name in self.config.models for seed in seeds]
            for name, baseline in self.config.baselines.items():
                draws = list(range(baseline.permutations)) if baseline.shuffle_labels else seeds
                drawn = size != "all" or baseline.shuffle_labels
                fits += [Fit(name, baseline.kind, size, draw) for draw in (draws if drawn else draws[:1])]
        return sorted(fits, key=lambda f: (f.kind != "transformer", f.model, f.size, f.seed))

    def fit(self, wildcards: Any) -> Fit:
        return next(f for f in self.fits if f.path == f"{wildcards.model}/{wildcards.size}-{wildcards.seed}")

    def encoding(self, model: str) -> str:
        """The dataset that a model or baseline reads: `<tokenizer>.<max_tokens>`, text or features."""
        if model in self.config.models:
            return f"{self.config.models[model].tokenizer}.{self.config.models[model].max_tokens}"
        return "text" if self.config.baselines[model].kind == "tfidf" else "features"

    @property
    def encodings(self) -> list[str]:
        return list(dict.fromkeys(self.encoding(name) for name in (*self.config.models, *self.config.baselines)))

    # --- what a job reads ----------------------------------------------------------------------------------------

    def files(self, pattern: str, wildcards: Any, **given: list[str]) -> list[str]:
        """`pattern` with its names filled in, in the order of the pattern's names, the last one running fastest.

        A name has the values `given`, or the job's wildcard, or all that there is of it for this job: the windows
        (of a tokenizer: those that it trains on), the task's cohort, the model's encoding, the fits, the tasks.
        """
        pattern = self.expand(pattern)
        own = {name: str(value) for name, value in dict(wildcards).items()}
        names = list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(pattern) if name))
        values = [given.get(name) or ([own[name]] if name in own else self._all(name, own)) for name in names]
        return [pattern.format(**dict(zip(names, chosen, strict=True))) for chosen in product(*values)]

    def _all(self, name: str, own: dict[str, str]) -> list[str]:
        match name:
            case "task":
                return list(self.config.tasks)
            case "fit":
                return [fit.path for fit in self.fits]
            case "encoding":
                return [self.encoding(own["model"])]
            case "cohort" if "task" in own:
                return [self.config.tasks[own["task"]].cohort]
            case "cohort":
                return self._trained_on(own["tokenizer"])
            case "window" if "tokenizer" in own:
                last = self.config.split.temporal_from or date.max
                return [window for window, (_, end) in self.windows.items() if end <= last]
            case "window":
                return list(self.windows)
        raise ValueError(f"a pattern names {name}, which the job's wildcards do not decide")

    def encoded(self, wildcards: Any, ending: str) -> list[str]:
        """For a dataset: the shards (`ending` empty) or manifests (`.json`) that hold what its encoding reads."""
        shard = {"text": "clean/{cohort}/{window}.parquet", "features": "extract/{cohort}/{window}.labels.parquet"}.get(
            wildcards.encoding, "pretokenize/{encoding}/{cohort}/{window}.arrow"
        )
        return self.files(f"<private>/{Path(shard).with_suffix(ending) if ending else shard}", wildcards)

    def model_files(self, wildcards: Any, transformer: list[str], baseline: list[str]) -> list[str]:
        """The files of the fit that a job predicts with."""
        stage, names = ("finetune", transformer) if wildcards.model in self.config.models else ("baseline", baseline)
        return self.files(f"<private>/{stage}/{{task}}/{{model}}/{{size}}-{{seed}}/{{file}}", wildcards, file=names)

    def local_files(self, block: str, name: str) -> list[str]:
        """The files of the local folder that model `name` starts from (block models) or tokenizer `name` is."""
        folder = self.config.models[name].start.folder if block == "models" else self.config.tokenizers[name].folder
        return [str(path) for path in sorted(Path(folder).iterdir()) if path.is_file()] if folder else []

    # --- what stands before what: see `behind` in workflow/rules/common.smk --------------------------------------

    def cohorts_before(self, wildcards: Any) -> list[str]:
        """Cohorts whose inventory has to be taken before it is known whether a job has to run."""
        own = dict(wildcards)
        cohorts = [own["cohort"]] if "cohort" in own else []
        if "task" in own:
            cohorts.append(self.config.tasks[own["task"]].cohort)
        tokenizer = own.get("tokenizer", own.get("encoding", "").rpartition(".")[0])
        return list(dict.fromkeys([*cohorts, *(self._trained_on(tokenizer) if tokenizer else [])]))

    def _trained_on(self, tokenizer: str) -> list[str]:
        trained = self.config.tokenizers[tokenizer].wordpiece
        return list(trained.cohorts) if trained else []

    def datasets_before(self, wildcards: Any) -> list[tuple[str, str]]:
        """(task, encoding) of the datasets that a job draws on; without a task or a model, on all of them."""
        own = dict(wildcards)
        tasks = [own["task"]] if "task" in own else list(self.config.tasks)
        encodings = [self.encoding(own["model"])] if "model" in own else self.encodings
        return [(task, encoding) for task in tasks for encoding in encodings]

    def expand(self, pattern: str) -> str:
        """`<private>` and `<results>` of a pattern replaced by this run's folders."""
        return pattern.replace("<private>", self.private).replace("<results>", self.results)

    # --- settings, code, stamps ----------------------------------------------------------------------------------

    def settings(self, stage: str) -> Callable[[Any], str]:
        """A function of the wildcards, for `params`: the stage's settings as canonical JSON."""
        return lambda wildcards: self._settings(stage, tuple(sorted(dict(wildcards).items())))

    def _settings_of(self, stage: str, wildcards: tuple[tuple[str, str], ...]) -> str:
        return canonical_json(getattr(self, f"_{stage}")(**dict(wildcards)))

    def code(self, stage: str) -> str:
        own = tuple(name.split(":")[0] for name in self._steps() if ":" in name) if stage == "clean" else ()
        return provenance.code_hash(provenance.SCRIPTS / f"{stage}.py", own)

    def _steps(self) -> list[str]:
        return [step if isinstance(step, str) else next(iter(step)) for step in self.config.clean.steps]

    def stamp(self, stage: str, *outputs: str) -> Callable[[Any], str]:
        """An input function: the job's stamp, newer than `outputs` (patterns) when they were made otherwise."""

        def path(wildcards: Any) -> str:
            name = "-".join(str(v) for _, v in sorted(dict(wildcards).items())) or "all"
            # A folder each: Snakemake remembers what it saw in a folder, and would miss the next stamp made there.
            file = Path(self.private, "stamps", stage, name, "stamp.json")
            if self.main_process:
                made = [Path(self.expand(o).format(**dict(wildcards))) for o in outputs]
                provenance.stamp(file, made, self.settings(stage)(wildcards), self.code(stage))
            return str(file)

        return path

    def _demo_hospital(self) -> dict[str, Any]:
        source = self.config.source
        assert source.demo is not None
        return source.demo.model_dump() | {"start": str(source.data_start), "end": str(source.data_end)}

    def _extract(self, cohort: str, kind: str, window: str) -> dict[str, Any]:
        block = self.config.cohorts[cohort]
        start, end = self.windows[window]
        sql = Path(self._queries(cohort)[kind == "labels"])
        settings = {
            "kind": kind,
            "sql": str(sql),
            "sql_sha256": canonical_sql_hash(sql),
            "id_type": self.config.source.id_type,
            "window_start": _midnight(start),
            "window_end": _midnight(end),
            "parameters": self._parameters(cohort)[kind == "labels"],
        }
        if kind == "labels":
            longest = max(label.horizon_days + label.maturity_days for label in block.labels.values())
            data_end = self.config.source.data_end + timedelta(days=1)
            settings["known_until"] = _midnight(min(end + timedelta(days=longest), data_end))
        return settings

    def _check_files(self) -> None:
        """Queries and steps are there and every parameter is used; raises ConfigError naming what is not."""
        for i, name in enumerate(self._steps()):
            if ":" in name and not provenance.own_module(name.split(":")[0]).is_file():
                raise ConfigError(f"clean.steps.{i}: there is no file {provenance.own_module(name.split(':')[0])}")
            if ":" not in name and name not in STEP_NAMES:
                raise ConfigError(f"clean.steps.{i}: {no_such(name, STEP_NAMES)}")
        for name in self.config.cohorts:
            try:
                self._parameters(name)
            except FileNotFoundError as error:
                raise ConfigError(f"cohorts.{name}.sql: there is no file {error.filename}") from None
            except SqlError as error:
                raise ConfigError(f"cohorts.{name}: {error}") from None

    def _queries(self, cohort: str) -> list[str]:
        return [f"{self.config.cohorts[cohort].sql}{ending}" for ending in (".sql", ".labels.sql")]

    def _parameters(self, cohort: str) -> list[dict[str, Any]]:
        """What is bound in the text query and in the labels query: each gets only the parameters that it uses."""
        block = self.config.cohorts[cohort]
        values: dict[str, Any] = dict(block.parameters)
        for name, label in block.labels.items():
            values[f"{name}_horizon_days"] = label.horizon_days
            values[f"{name}_maturity_days"] = label.maturity_days
        queries = [Path(file).read_text(encoding="utf-8") for file in self._queries(cohort)]
        share(queries, block.parameters)  # a parameter that neither uses is a mistake
        used = [set(parameters_of(query)) for query in queries]
        return [{name: values[name] for name in values if name in names} for names in used]

    def _clean(self, cohort: str, window: str) -> dict[str, Any]:
        block = self.config.cohorts[cohort]
        return self.config.clean.model_dump() | {"notes": block.notes, "addenda": block.addenda}

    def _inventory(self, cohort: str) -> dict[str, Any]:
        return {}

    def _split(self, cohort: str, window: str) -> dict[str, Any]:
        return self.config.split.model_dump(mode="json")

    def _eligibility(self, task: str) -> dict[str, Any]:
        block = self.config.tasks[task]
        clock = self.config.cohorts[block.cohort].labels[block.label]
        return {
            "label": block.label,
            "kind": block.kind,
            "edges": block.edges,
            "values": block.values,
            "horizon_days": clock.horizon_days,
            "temporal_from": self.config.split.model_dump(mode="json")["temporal_from"],
            "drop_duplicates": self.config.clean.drop_duplicates,
            "windows": list(self.windows),
        }

    def _tokenizer(self, tokenizer: str) -> dict[str, Any]:
        block = self.config.tokenizers[tokenizer]
        if block.wordpiece:
            return {"kind": "wordpiece"} | block.wordpiece.model_dump()
        return {"kind": "pretrained"} | block.model_dump(exclude_none=True)

    def _pretokenize(self, tokenizer: str, max_tokens: str, cohort: str, window: str) -> dict[str, Any]:
        return {"max_tokens": int(max_tokens)}

    def _dataset(self, task: str, encoding: str) -> dict[str, Any]:
        return {"encoding": encoding if encoding in ("text", "features") else "tokens", "parts": self.parts}

    def _flow(self, task: str) -> dict[str, Any]:
        return {"task": task, "classes": self._task(task)["classes"], "min_cell": self.config.min_cell}

    def _leakage(self, task: str) -> dict[str, Any]:
        clock = self.config.cohorts[self.config.tasks[task].cohort].labels[self.config.tasks[task].label]
        temporal_from = self.config.split.model_dump(mode="json")["temporal_from"]
        return {"task": task, "horizon_days": clock.horizon_days, "temporal_from": temporal_from}

    def _task(self, task: str) -> dict[str, Any]:
        block: Task = self.config.tasks[task]
        return {
            "name": task,
            "title": block.title,
            "kind": block.kind,
            "classes": block.classes,
            "class_names": block.names(),
            "ordered": block.kind == "bins",
        }

    def _finetune(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        block = self.config.models[model]
        start = block.start.model_dump(exclude_none=True)
        if block.start.folder:
            start = {"folder": True}
        return {
            "task": {k: self._task(task)[k] for k in ("kind", "classes", "class_names")},
            "size": size if size == "all" else int(size),
            "seed": int(seed),
            "max_tokens": block.max_tokens,
            "model": {"start": start},
            "training": block.training.model_dump(),
        }

    def _baseline(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        block = self.config.baselines[model]
        settings = block.model_dump(exclude={"permutations"} | (set() if block.kind == "tfidf" else {"tfidf"}))
        settings["task"] = {k: self._task(task)[k] for k in ("kind", "classes", "class_names")}
        return settings | {"size": size if size == "all" else int(size), "seed": int(seed)}

    def _predict(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        fit = Fit(model, "", size, int(seed))
        kind = next(f.kind for f in self.fits if f.path == fit.path)
        settings = {"kind": kind, "size": size if size == "all" else int(size), "seed": int(seed)}
        settings |= {"classes": self.config.tasks[task].classes}
        if model in self.config.models:
            training = self.config.models[model].training
            settings |= {"batch_size": training.max_device_batch, "cpu_threads": training.cpu_threads}
        return settings

    def _evaluate(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        block = self.config.evaluate.model_dump(exclude={"headline", "reference"})
        facts = {k: v for k, v in self._task(task).items() if k not in ("name", "title")}
        return block | {"task": facts, "parts": self.opened, "min_cell": self.config.min_cell}

    def _described_fits(self) -> list[dict[str, Any]]:
        return [
            {"model": f.model, "kind": f.kind, "size": f.size, "seed": f.seed, "control": self._is_control(f)}
            for f in self.fits
        ]

    def _is_control(self, fit: Fit) -> bool:
        return fit.model in self.config.baselines and self.config.baselines[fit.model].shuffle_labels

    def _compare(self, task: str) -> dict[str, Any]:
        block = self.config.evaluate
        return {
            "task": self._task(task),
            "fits": self._described_fits(),
            "headline": self.headline,
            "reference": block.reference if self.config.baselines else None,
            "replicates": block.replicates,
            "seed": block.seed,
        }

    def _figures(self, task: str) -> dict[str, Any]:
        fits = self._described_fits()
        return {
            "task": self._task(task),
            "fits": fits,
            "history_fits": [f for f in fits if f["kind"] == "transformer"],
            "headline": self.headline,
            "min_cell": self.config.min_cell,
        }

    def _resolve(self) -> dict[str, Any]:
        hidden: Any = {"private_root": True, "source": {"sqlite"}}  # host paths are not for the report
        return self.config.model_dump(mode="json", exclude=hidden, exclude_none=True)

    def _report(self) -> dict[str, Any]:
        return {
            "name": self.config.name,
            "tasks": [self._task(task) for task in self.config.tasks],
            "headline": self.headline,
            "evaluation": self.config.evaluation,
            "reference": self.config.evaluate.reference if self.config.baselines else None,
            "min_cell": self.config.min_cell,
        }

    def environment(self) -> str:
        """What every job's shell begins with (braces doubled, as Snakemake formats it).

        This interpreter, no network, files for their owner alone, temporary files and caches in the private folder;
        and what cannot change a result, which therefore is in no job's settings.
        """
        neutral = canonical_json({"batch_rows": self.config.source.batch_rows})
        private = Path(self.private).absolute()
        variables = {
            "PATH": f"{Path(sys.executable).parent}:$PATH",
            "NOTECAST_NEUTRAL": neutral.replace('"', '\\"').replace("{", "{{").replace("}", "}}"),
            "TMPDIR": f"{private}/tmp",
            "HF_HOME": f"{private}/cache",
            "HF_HUB_OFFLINE": "1",
            "MPLCONFIGDIR": f"{private}/cache/matplotlib",
        }
        exports = " ".join(f'{name}="{value}"' for name, value in variables.items())
        # The log keeps all that a stage says; to the terminal come its progress and, when it fails, its last line.
        failed = '{{ code=$?; tail -n 1 "$1" >&2; exit $code; }}'
        logged = f'logged() {{{{ NOTECAST_TERMINAL=3 "${{{{@:2}}}}" 3>&2 2> "$1" || {failed}; }}}}'
        return f'set -euo pipefail; umask 077; mkdir -p "{private}/tmp"; export {exports}; {logged}; '


def windows(start: date, last: date, unit: str) -> Iterator[tuple[str, tuple[date, date]]]:
    """Half-open calendar windows (name, (start, end)) from `start` through the day `last`; the ends are clipped.

    >>> [name for name, _ in windows(date(2020, 11, 5), date(2021, 1, 31), "month")]
    ['2020-11', '2020-12', '2021-01']
    """
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    beyond = last + timedelta(days=1)
    first = start.replace(month=(start.month - 1) // months * months + 1, day=1)
    while first < beyond:
        index = first.month - 1 + months
        following = date(first.year + index // 12, index % 12 + 1, 1)
        name = {"month": f"{first:%Y-%m}", "quarter": f"{first.year}Q{first.month // 3 + 1}", "year": f"{first.year}"}
        yield name[unit], (max(first, start), min(following, beyond))
        first = following


def _midnight(day: date) -> str:
    return datetime.combine(day, time()).strftime("%Y-%m-%d %H:%M:%S")
