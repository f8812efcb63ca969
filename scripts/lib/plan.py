"""From the configuration to the graph: windows, fits, files, and what stands before what.

The workflow's rules ask here and hold no logic of their own.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from string import Formatter
from typing import Any

from lib import canonical_json, jobs, optouts, provenance
from lib.config import Config
from lib.config_errors import ConfigError
from lib.files import read_json, write_json, write_text
from lib.needs import Needs
from lib.settings import Settings
from lib.stored import Stored
from lib.submitted import Submitted, Waited, discard_old
from lib.windows import windows

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

    @property
    def folder(self) -> str:
        """Below the task's: what the stage that fits it writes."""
        return f"{'finetune' if self.kind == 'transformer' else 'baseline'}/{{task}}/{self.path}"


class Plan:
    """Everything that the rules need to know, from a checked configuration."""

    def __init__(self, config: Config, main_process: bool = True) -> None:
        self.config = config
        self.private = f"{config.private_root.rstrip('/')}/{config.name}"
        self.temporary = f"{Path(self.private).absolute()}/tmp"
        self.results = f"results/{config.name}"
        self.exclusions = f"{self.private}/stamps/exclusions/list.txt"  # as jobs read it; there even when it is empty
        self.windows = dict(windows(config.source.data_start, config.source.data_end, config.source.window))
        self.main_process = main_process
        self.noted: Submitted | Waited | None = None  # under a scheduler: see `submitted`
        self.settings_of = cache(self._settings_of)  # of a stage and its sorted wildcards: canonical JSON
        self._stages = Settings(self)
        self._stages.check_files()
        self.stored = Stored(self)
        self.needs = Needs(config, self._stages.shape, self.stored.has)

    def make_private(self) -> None:
        """Make the folder below which lies what is about patients, its owner's alone whatever the umask."""
        try:
            Path(self.private).mkdir(parents=True, exist_ok=True)
            Path(self.private).chmod(0o700)
            Path(self.temporary).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"private_root: {self.private} cannot be made its owner's alone ({error.strerror}); give one of yours"
            ) from None

    def describe_server(self) -> None:
        """Bring the description of the server that jobs read up to date; nothing secret stands in it."""
        if self.config.source.odbc:
            path, described = Path(self.database), self.config.source.odbc.model_dump()
            if not path.is_file() or read_json(path) != described:
                write_json(path, described)

    @cached_property
    def source_state(self) -> dict[str, Any]:
        """What `refresh` found last: see scripts/refresh.py."""
        path = Path(self.private, "fetched", "source.json")
        return dict(read_json(path)) if path.is_file() else {}

    def list_exclusions(self) -> None:
        """Bring the list that jobs read up to date with the site's, and with what its warehouse said."""
        source = self.config.source
        asked = optouts.answer(Path(self.private))
        lists = [source.exclusions, str(asked) if source.exclusions_sql and asked.is_file() else None]
        try:
            optouts.publish(Path(self.exclusions), optouts.together(filter(None, lists), source.id_type))
        except ValueError as error:
            raise ConfigError(f"source.exclusions: {error}") from None

    def keep_temporary_files(self) -> None:
        """Let this process, the head, leave its temporary files in the private folder, as its jobs do.

        Its scheduler's solver is asked in files. Python settles on a folder when it first needs one.
        """
        tempfile.tempdir = os.environ["TMPDIR"] = os.environ["TMP"] = self.temporary

    # --- what there is -------------------------------------------------------------------------------------------

    @property
    def database(self) -> str:
        """What jobs open: a SQLite file, or the description of a server."""
        if self.config.source.odbc:
            return f"{self.private}/stamps/source/server.json"
        return self.config.source.sqlite or f"{self.private}/hospital.sqlite"

    @property
    def cohorts(self) -> list[str]:
        """Those of the tasks."""
        return list(dict.fromkeys(task.cohort for task in self.config.tasks.values()))

    @property
    def parts(self) -> list[str]:
        """Every part of a dataset; those that predictions are made for are `opened`."""
        return [
            "train",
            *DEVELOPMENT_PARTS,
            "test",
            *(["temporal_test"] if self.config.split.has_temporal_test else []),
        ]

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

    def encoding(self, model: str) -> str:
        """The dataset that a model or baseline reads: `<tokenizer>.<max_tokens>`, text or features."""
        if model in self.config.models:
            return f"{self.config.models[model].tokenizer}.{self.config.models[model].max_tokens}"
        return "text" if self.config.baselines[model].kind == "tfidf" else "features"

    @property
    def encodings(self) -> list[str]:
        return list(dict.fromkeys(self.encoding(name) for name in (*self.config.models, *self.config.baselines)))

    def jobs(self) -> dict[str, int]:
        """How many jobs a run has of the stages that come often."""
        config, windows, tasks = self.config, len(self.windows), len(self.config.tasks)
        kinds = [fit.kind == "transformer" for fit in self.fits]
        cohorts = len({task.cohort for task in config.tasks.values()})
        encodings = sum("." in encoding for encoding in self.encodings)
        return {
            "extract": 2 * windows * len(config.cohorts),
            "clean": windows * len(config.cohorts),
            "split": windows * len(config.cohorts),
            "pretokenize": windows * cohorts * encodings,
            "finetune": tasks * kinds.count(True),
            "baseline": tasks * kinds.count(False),
            "predict": tasks * len(kinds),
            "evaluate": tasks * len(kinds),
        }

    @property
    def config_hash(self) -> str:
        """16 hexadecimal digits of the configuration as it was understood."""
        return hashlib.sha256(canonical_json(self._stages.resolve()).encode()).hexdigest()[:16]

    # --- what a job reads ----------------------------------------------------------------------------------------

    def files(self, pattern: str, wildcards: Any, **given: list[str]) -> list[str]:
        """`pattern` with its folders and names filled in, in the order of its names, the last one running fastest.

        A name has the values `given`, or the job's wildcard, or all that there is of it for this job: the windows
        (of a tokenizer: those that it trains on), the task's cohort, the model's encoding, the fits, the tasks.
        """
        pattern = pattern.replace("<private>", self.private).replace("<results>", self.results)
        own = {name: str(value) for name, value in dict(wildcards).items()}
        names = list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(pattern) if name))
        values = [given.get(name) or ([own[name]] if name in own else self._all(name, own)) for name in names]
        return [pattern.format(**dict(zip(names, chosen, strict=True))) for chosen in product(*values)]

    def path(self, name: str) -> Path:
        """Where a record's `<private>/...` or `<results>/...` lies."""
        root, _, inside = name.partition("/")
        return Path(self.private if root == "<private>" else self.results, inside)

    def _all(self, name: str, own: dict[str, str]) -> list[str]:
        match name:
            case "task":
                return list(self.config.tasks)
            case "fit":
                return [fit.path for fit in self.fits]
            case "encoding" if "model" in own:
                return [self.encoding(own["model"])]
            case "encoding":
                return self.encodings
            case "tokenizer":
                return list(dict.fromkeys(model.tokenizer for model in self.config.models.values()))
            case "cohort" if "task" in own:
                return [self.config.tasks[own["task"]].cohort]
            case "cohort":
                return self._trained_on(own["tokenizer"])
            case "window" if "tokenizer" in own:
                last = self.config.split.temporal_from or date.max  # of periods, any window may hold training rows
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

    def fitted(self, wildcards: Any) -> list[str]:
        """The manifests of all fits of a task, in the order of `fits`."""
        return [file for fit in self.fits for file in self.files(f"<private>/{fit.folder}/manifest.json", wildcards)]

    def local_files(self, block: str, name: str) -> list[str]:
        """The files of the local folder that model `name` starts from (block models) or tokenizer `name` is."""
        folder = self.config.models[name].start.folder if block == "models" else self.config.tokenizers[name].folder
        return [str(path) for path in sorted(Path(folder).iterdir()) if path.is_file()] if folder else []

    def start_folder(self, model: str) -> Path:
        """Where a model that is not made from scratch is read: its local folder, or its revision in the hub's cache."""
        start = self.config.models[model].start
        if start.folder:
            return Path(start.folder)
        return self.cached(start.hub, start.revision)

    def cached(self, hub: str | None, revision: str | None) -> Path:
        """Where a revision of the hub's lies once it is fetched."""
        return Path(self.private, "cache", "hub", f"models--{hub}".replace("/", "--"), "snapshots", f"{revision}")

    # --- what stands before what: see `behind` in workflow/rules/common.smk --------------------------------------

    def checkpoints_before(self, checkpoint: str, wildcards: Any) -> list[list[tuple[str, dict[str, str]]]]:
        """All checkpoints, as (name, wildcards), before a job that stands behind those called `checkpoint`.

        Level by level, the first one first, as `settling` asks for them.
        """
        levels: list[list[tuple[str, dict[str, str]]]] = [[("demo_hospital", {})] if self.config.source.demo else []]
        if checkpoint == "demo_hospital":
            return levels
        datasets = [{"task": task, "encoding": encoding} for task, encoding in self.datasets_before(wildcards)]
        behind = datasets if checkpoint == "dataset" else [dict(wildcards)]
        cohorts = dict.fromkeys(cohort for own in behind for cohort in self.cohorts_before(own))
        levels.append([("inventory", {"cohort": cohort}) for cohort in cohorts])
        if checkpoint == "dataset":
            tasks = dict.fromkeys(own["task"] for own in datasets)
            levels.append([("leakage", {"task": task}) for task in tasks] + [("dataset", own) for own in datasets])
        return levels

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

    @property
    def needed_cohorts(self) -> list[str]:
        """Those of the tasks, and those that their tokenizers are trained on."""
        datasets = ({"task": task, "encoding": encoding} for task, encoding in self.datasets_before({}))
        return list(dict.fromkeys(cohort for dataset in datasets for cohort in self.cohorts_before(dataset)))

    def datasets_before(self, wildcards: Any) -> list[tuple[str, str]]:
        """(task, encoding) of the datasets that a job draws on; without a task or a model, on all of them."""
        own = dict(wildcards)
        tasks = [own["task"]] if "task" in own else list(self.config.tasks)
        encodings = [self.encoding(own["model"])] if "model" in own else self.encodings
        return [(task, encoding) for task in tasks for encoding in encodings]

    def made(self, _: Any) -> list[str]:
        """What a run is for: a file of each job that nothing else waits for."""
        shared = ["<results>/share/{task}.parquet"] if self.config.share.enabled else []
        last = ["<results>/figures/{task}/roc.svg", "<results>/certificate/{task}.json", *shared]
        files = [file for pattern in last for file in self.files(pattern, {})]
        return [f"{self.results}/summary.txt", f"{self.results}/config.yaml", *files]

    def waited_for(self) -> list[str]:
        """A file of each checkpoint behind which the whole run stands: inventories, leakage, datasets."""
        return [
            *self.files("<private>/inventory/{cohort}.json", {}, cohort=self.needed_cohorts),
            *self.files("<results>/leakage/{task}.json", {}),
            *self.files("<private>/dataset/{task}/{encoding}/train.json", {}),
        ]

    # --- settings, code, stamps ----------------------------------------------------------------------------------

    def settings(self, stage: str) -> Callable[[Any], str]:
        """A function of the wildcards, for `params`: the stage's settings as canonical JSON."""

        def told(wildcards: Any) -> str:
            own = tuple(sorted(dict(wildcards).items()))
            settings = self.settings_of(stage, own)
            if self.noted:
                self.noted.job(stage, canonical_json(own), settings, self.code(stage))
            return settings

        return told

    def _settings_of(self, stage: str, wildcards: tuple[tuple[str, str], ...]) -> str:
        return canonical_json(getattr(self._stages, stage)(**dict(wildcards)))

    def list_jobs(self, _: Any) -> str:
        """An input function: the file with what every job is asked for.

        Each list is a file of its own: a dry run of another configuration writes nothing that a job is reading.
        """
        path = Path(self.private, "stamps", "jobs", f"{self.jobs_hash}.jsonl")
        if self.main_process and not path.is_file():
            write_text(path, self._jobs)
            discard_old(path.parent)
        return str(path)

    @cached_property
    def _jobs(self) -> str:
        return jobs.text(jobs.asked(self))

    @cached_property
    def jobs_hash(self) -> str:
        """16 hexadecimal digits of what every job is asked for."""
        return hashlib.sha256(self._jobs.encode()).hexdigest()[:16]

    def own_modules(self, stage: str) -> tuple[str, ...]:
        """The site's own modules that a stage imports: cleaning steps."""
        return tuple(name.split(":")[0] for name in self._stages.steps() if ":" in name) if stage == "clean" else ()

    def code(self, stage: str) -> str:
        return provenance.code_hash(provenance.SCRIPTS / f"{stage}.py", self.own_modules(stage))

    def stamp(self, stage: str, *outputs: str) -> Callable[[Any], str]:
        """An input function: the job's stamp, newer than `outputs` (patterns) when they were made otherwise."""

        def path(wildcards: Any) -> str:
            name = "-".join(str(v) for _, v in sorted(dict(wildcards).items())) or "all"
            # A folder each: Snakemake remembers what it saw in a folder, and would miss the next stamp made there.
            file = Path(self.private, "stamps", stage, name, "stamp.json")
            if self.main_process:
                made = [Path(made) for output in outputs for made in self.files(output, wildcards)]
                provenance.stamp(file, made, self.settings(stage)(wildcards), self.code(stage))
            return str(file)

        return path

    def environment(self, code: Path = provenance.ROOT) -> str:
        """What every job's shell begins with (braces doubled, as Snakemake formats it); `code`: whose scripts run.

        This interpreter, no network, files for their owner alone, temporary files and caches in the private folder;
        what cannot change a result, which therefore is in no job's settings; and `logged`.
        """
        neutral = canonical_json({"batch_rows": self.config.source.batch_rows, "config": self.config_hash})
        private = Path(self.private).absolute()
        variables = {
            "PATH": f"{Path(sys.executable).parent}:$PATH",
            "NOTECAST_NEUTRAL": neutral.replace('"', '\\"').replace("{", "{{").replace("}", "}}"),
            "NOTECAST_CODE": f"{code}",
            "NOTECAST_PRIVATE": f"{private}",
            "NOTECAST_RESULTS": f"{Path(self.results).absolute()}",
            "TMPDIR": self.temporary,
            "HF_HOME": f"{private}/cache",
            "XDG_CACHE_HOME": f"{private}/cache",
            "HF_HUB_OFFLINE": "1",
            "MPLCONFIGDIR": f"{private}/cache/matplotlib",
        }
        exports = " ".join(f'{name}="{value}"' for name, value in variables.items())
        # fontconfig makes its folder readable to all, whatever the umask, unless it is there.
        folders = f'"{self.temporary}" "{private}/cache/fontconfig"'
        return (
            f'set -euo pipefail; umask 077; mkdir -p {folders}; export {exports}; source "{code}/workflow/logged.sh"; '
        )
