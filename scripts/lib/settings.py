"""What each stage is told: the part of the configuration that it uses, and nothing else.

A method a stage, its arguments the rule's wildcards. What it returns becomes one canonical JSON text, a job's only way
to the configuration: so a changed line re-runs exactly what depends on it. A key that no method passes on changes
nothing.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import canonical_json, optouts, point_in_time, provenance, splits
from lib.config import Start, Task, Tokenizer
from lib.config_errors import ConfigError, no_such
from lib.settings_source import SourceSettings
from lib.sqltext import SqlError

if TYPE_CHECKING:
    from lib.plan import Fit

CODING = "coding, not prediction"
STEP_NAMES = ("markup", "unicode", "whitespace", "empty", "short")  # of lib.cleaning, which jobs import


class Settings(SourceSettings):
    """The settings of every stage's jobs under a plan."""

    def check_files(self) -> None:
        """All files and folders are there and every parameter is used; raises ConfigError naming what is not."""
        for i, name in enumerate(self.steps()):
            if ":" in name and not provenance.own_module(name.split(":")[0]).is_file():
                raise ConfigError(f"clean.steps.{i}: there is no file {provenance.own_module(name.split(':')[0])}")
            if ":" not in name and name not in STEP_NAMES:
                raise ConfigError(f"clean.steps.{i}: {no_such(name, STEP_NAMES)}")
        folders = {f"models.{name}.start.folder": model.start.folder for name, model in self._config.models.items()}
        folders |= {f"tokenizers.{name}.folder": block.folder for name, block in self._config.tokenizers.items()}
        for key, folder in folders.items():
            if folder and not Path(folder).is_dir():
                raise ConfigError(f"{key}: there is no folder {folder}")
        database = self._config.source.sqlite
        if database and not Path(database).is_file():
            # Not its value: whoever mistakes the key writes a connection string there, password included.
            raise ConfigError("source.sqlite: there is no such file; a path begins at the folder that you run in")
        spoken = self._config.source.odbc.dialect if self._config.source.odbc else "sqlite"
        for name, cohort in self._config.cohorts.items():
            if cohort.dialect not in ("sqlite", spoken):
                raise ConfigError(f"cohorts.{name}.dialect: the source speaks {spoken}, not {cohort.dialect}")
        self._check_exclusions()
        if self._config.split.salt_env:
            self._secret_salt()
        for name in self._config.cohorts:
            try:
                self._parameters(name)
                point_in_time.read(Path(self._queries(name)[0]).parent)
            except FileNotFoundError as error:
                raise ConfigError(f"cohorts.{name}.sql: there is no file {error.filename}") from None
            except SqlError as error:
                raise ConfigError(f"cohorts.{name}: {error}") from None

    def _check_exclusions(self) -> None:
        """The list of those who opted out names patients: it is not for the clone."""
        query = self._config.source.exclusions_sql
        if query and not Path(query).is_file():
            raise ConfigError(f"source.exclusions_sql: there is no file {query}")
        if (given := self._config.source.exclusions) is None:
            return
        path, here, private = (Path(name).resolve() for name in (given, ".", self._config.private_root))
        if not path.is_file():
            raise ConfigError(f"source.exclusions: there is no file {given}")
        if path.is_relative_to(here) and not path.is_relative_to(private):
            raise ConfigError(
                f"source.exclusions: {given} names patients; put it outside the clone, or in private_root"
            )

    def clean(self, cohort: str, window: str) -> dict[str, Any]:
        block = self._config.cohorts[cohort]
        return self._config.clean.model_dump() | {"notes": block.notes, "addenda": block.addenda}

    def inventory(self, cohort: str) -> dict[str, Any]:
        # The version: not even --touch hides another list.
        return {"exclusions": optouts.version(Path(self._plan.exclusions)), "releases": self._config.source.releases}

    def split(self, cohort: str, window: str) -> dict[str, Any]:
        block = self._config.split
        settings = block.model_dump(mode="json", exclude={"ledger_tolerance", "salt_env"}, exclude_none=True)
        settings.setdefault("temporal_from", None)
        if block.salt_env:
            settings |= {"salt_env": block.salt_env, "salt_fingerprint": splits.fingerprint(self._secret_salt())}
        return settings

    def _secret_salt(self) -> str:
        name = self._config.split.salt_env or ""
        salt = os.environ.get(name, "")
        if len(salt) < splits.SECRET_LENGTH:
            state = "not set" if not salt else f"shorter than {splits.SECRET_LENGTH} characters"
            raise ConfigError(f"split.salt_env: the environment's variable {name} is {state}")
        return salt

    def ledger(self, cohort: str) -> dict[str, Any]:
        source, windows = self._config.source, self._plan.windows
        # Another generated hospital is another hospital: its patients are not those of the ledger.
        hospital = source.demo.model_dump(exclude={"leak"}) if source.demo else "warehouse"
        return {
            "source": hashlib.sha256(canonical_json(hospital).encode()).hexdigest()[:12],
            "windows": {name: f"{start}/{end}" for name, (start, end) in windows.items()},
            "tolerance": self._config.split.ledger_tolerance,
        }

    def eligibility(self, task: str) -> dict[str, Any]:
        block = self._config.tasks[task]
        return self._clock(task) | {
            "label": block.label,
            "kind": block.kind,
            "edges": block.edges,
            "values": block.values,
            "drop_duplicates": self._config.clean.drop_duplicates,
            "windows": list(self._plan.windows),
        }

    def tokenizer(self, tokenizer: str) -> dict[str, Any]:
        block = self._config.tokenizers[tokenizer]
        if block.wordpiece:
            return {"kind": "wordpiece"} | block.wordpiece.model_dump()
        self._fetched(f"tokenizers.{tokenizer}", block)
        return {"kind": "pretrained"} | block.model_dump(exclude_none=True)

    def fetch_models(self) -> dict[str, Any]:
        named = {(model.start.hub, model.start.revision) for model in self._config.models.values()}
        named |= {(block.hub, block.revision) for block in self._config.tokenizers.values()}
        return {"models": [{"hub": hub, "revision": revision} for hub, revision in sorted(filter(all, named))]}

    def _fetched(self, key: str, block: Start | Tokenizer) -> None:
        if block.hub and not (self._plan.cached(block.hub, block.revision) / "config.json").is_file():
            raise ConfigError(
                f"{key}: {block.hub} {block.revision} is not in the cache, and jobs do not download; run once, where "
                "there is a network, with the same configuration: snakemake fetch_models --cores 1"
            )

    def pretokenize(self, tokenizer: str, max_tokens: str, cohort: str, window: str) -> dict[str, Any]:
        return {"max_tokens": int(max_tokens)}

    def dataset(self, task: str, encoding: str) -> dict[str, Any]:
        return {"encoding": encoding if encoding in ("text", "features") else "tokens"} | {
            "parts": self._plan.parts,
            "counted": ["train", *self._plan.opened],
        }

    def flow(self, task: str) -> dict[str, Any]:
        return {
            "task": task,
            "classes": self._task(task)["classes"],
            "min_cell": self._config.min_cell,
            "opened": ["train", *self._plan.opened],
            "windows": list(self._plan.windows),
        }

    def duplicates(self, cohort: str) -> dict[str, Any]:
        return {}

    def leakage(self, task: str) -> dict[str, Any]:
        block = self._config.tasks[task]
        cohort = self._config.cohorts[block.cohort]
        return self._clock(task) | {
            "task": task,
            "kind": block.kind,
            "class_names": block.names(),
            "anchor": cohort.anchor,
            "maturity_days": cohort.labels[block.label].maturity_days,
            "limits": self._config.leakage.model_dump(),
            "min_cell": self._config.min_cell,
        }

    def _clock(self, task: str) -> dict[str, Any]:
        """How far the task's label looks ahead, and what the temporal test is."""
        block, split = self._config.tasks[task], self._config.split.model_dump(mode="json")
        horizon = self._config.cohorts[block.cohort].labels[block.label].horizon_days
        return {"horizon_days": horizon} | {name: split[name] for name in ("temporal_from", "temporal_periods")}

    def _task(self, task: str) -> dict[str, Any]:
        block: Task = self._config.tasks[task]
        return {
            "name": task,
            "title": block.title + (f" ({CODING})" if self._config.is_coding(task) else ""),
            "kind": block.kind,
            "classes": block.classes,
            "class_names": block.names(),
            "ordered": block.kind == "bins",
        }

    def finetune(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        block = self._config.models[model]
        self._fetched(f"models.{model}.start", block.start)
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

    def baseline(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        block = self._config.baselines[model]
        settings = block.model_dump(exclude={"permutations"} | (set() if block.kind == "tfidf" else {"tfidf"}))
        settings["task"] = {k: self._task(task)[k] for k in ("kind", "classes", "class_names")}
        return settings | {"size": size if size == "all" else int(size), "seed": int(seed)}

    def predict(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        kind = next(fit.kind for fit in self._plan.fits if fit.path == f"{model}/{size}-{seed}")
        settings = {"kind": kind, "size": size if size == "all" else int(size), "seed": int(seed)}
        settings |= {"classes": self._config.tasks[task].classes}
        if model in self._config.models:
            training = self._config.models[model].training
            settings |= {"batch_size": training.max_device_batch, "cpu_threads": training.cpu_threads}
        return settings

    def evaluate(self, task: str, model: str, size: str, seed: str) -> dict[str, Any]:
        block = self._config.evaluate.model_dump(exclude={"headline", "reference"})
        facts = {k: v for k, v in self._task(task).items() if k not in ("name", "title")}
        return block | {"task": facts, "parts": self._plan.opened, "min_cell": self._config.min_cell}

    def _described_fits(self) -> list[dict[str, Any]]:
        return [
            {"model": f.model, "kind": f.kind, "size": f.size, "seed": f.seed, "control": self._is_control(f)}
            for f in self._plan.fits
        ]

    def _is_control(self, fit: "Fit") -> bool:
        return fit.model in self._config.baselines and self._config.baselines[fit.model].shuffle_labels

    def certificate(self, task: str) -> dict[str, Any]:
        models = self._config.models
        fits = [
            {
                "name": fit.path,
                "encoding": self._plan.encoding(fit.model),
                "scratch": fit.model not in models or models[fit.model].start.scratch is not None,
            }
            for fit in self._plan.fits
        ]
        named = {key: self._task(task)[key] for key in ("name", "title")}
        return {"task": named, "evaluation": self._config.evaluation, "fits": fits}

    def compare(self, task: str) -> dict[str, Any]:
        block = self._config.evaluate
        return {
            "task": self._task(task),
            "fits": self._described_fits(),
            "headline": self._plan.headline,
            "reference": block.reference if self._config.baselines else None,
            "replicates": block.replicates,
            "seed": block.seed,
        }

    def figures(self, task: str) -> dict[str, Any]:
        fits = self._described_fits()
        return {
            "task": self._task(task),
            "fits": fits,
            "history_fits": [f for f in fits if f["kind"] == "transformer"],
            "headline": self._plan.headline,
            "min_cell": self._config.min_cell,
        }

    def share(self, task: str) -> dict[str, Any]:
        block = self._config.share
        if not block.enabled:
            raise ConfigError("share.enabled is false: no predictions are shared; the steward may set it to true")
        return {
            "task": self._task(task),
            "fits": [fit.path for fit in self._plan.fits],
            "parts": self._plan.opened,
            "groups": block.groups,
            "min_group": block.min_group,
        }

    def resolve(self) -> dict[str, Any]:
        # Hosts, users and paths are not for the report; and what is neutral would only write it anew.
        source: dict[str, Any] = dict.fromkeys(
            ("sqlite", "exclusions", "exclusions_sql", "batch_rows", "look_back"), True
        )
        if self._config.source.odbc:
            source["odbc"] = set(type(self._config.source.odbc).model_fields) - {"dialect"}
        hidden: Any = {"private_root": True, "source": source}
        told: dict[str, Any] = self._config.model_dump(mode="json", exclude=hidden, exclude_none=True)
        for block, key in [
            *((cohort, "sql") for cohort in told["cohorts"].values()),
            *((model["start"], "folder") for model in told["models"].values()),
            *((tokenizer, "folder") for tokenizer in told["tokenizers"].values()),
        ]:
            if block.get(key):
                block[key] = _without_folders(Path(block[key]))
        return told

    def report(self) -> dict[str, Any]:
        return {
            "name": self._config.name,
            "tasks": [self._task(task) | {"coding": self._config.is_coding(task)} for task in self._config.tasks],
            "headline": self._plan.headline,
            "evaluation": self._config.evaluation,
            "reference": self._config.evaluate.reference if self._config.baselines else None,
            "min_cell": self._config.min_cell,
        }

    def provenance(self) -> dict[str, Any]:
        source = self._config.source
        kind = "demo" if source.demo else "odbc" if source.odbc else "sqlite"
        lock = provenance.LOCK.read_bytes()
        return {
            "jobs": self._plan.jobs_hash,
            "lock": {"sha256": hashlib.sha256(lock).hexdigest(), "packages": lock.count(b"==")},
            "name": self._config.name,
            "evaluation": self._config.evaluation,
            "headline": self._plan.headline,
            "min_cell": self._config.min_cell,
            "source": {
                "kind": kind,
                "first_day": str(source.data_start),
                "last_day": str(source.data_end),
                "window": source.window,
            },
        }

    def crate(self) -> dict[str, Any]:
        return {}

    def steps(self) -> list[str]:
        return [step if isinstance(step, str) else next(iter(step)) for step in self._config.clean.steps]


def _without_folders(path: Path) -> str:
    """A path inside the folder that one runs in, as it is; of any other, which may name a user, the last name alone."""
    return path.name if path.is_absolute() or ".." in path.parts else str(path)
