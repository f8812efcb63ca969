"""What the stages are told that ask a source: generate it, extract, look before, look again, replay.

Part of `settings`, whose rules hold here too.
"""

import hashlib
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import canonical_json, model_size, optouts, point_in_time
from lib.config_errors import ConfigError
from lib.files import read_json
from lib.sqltext import canonical_sql_hash, parameters_of, share

if TYPE_CHECKING:
    from lib.plan import Plan


class SourceSettings:
    """The settings of the jobs that open the source."""

    def __init__(self, plan: "Plan") -> None:
        self._plan, self._config = plan, plan.config
        # The same for every window, of which there are hundreds: read and hashed once.
        self._query, self._release = cache(self._query_of), cache(self._release_of)

    def demo_hospital(self) -> dict[str, Any]:
        source = self._config.source
        assert source.demo is not None
        return source.demo.model_dump() | {"start": str(source.data_start), "end": str(source.data_end)}

    def extract(self, cohort: str, kind: str, window: str) -> dict[str, Any]:
        bounds = self._bounds(cohort, window)
        if kind == "text":
            del bounds["known_until"]
        release = self._release(cohort)
        told: dict[str, Any] = {"release": release} if release else {}
        told |= self._hospital()
        # Another number extracts the window again: `refresh` has found that the warehouse has changed.
        turn = self._plan.source_state.get("turns", {}).get(f"{cohort}/{window}.{kind}")
        if self._config.source.exclusions_sql and not optouts.answer(Path(self._plan.private)).is_file():
            raise ConfigError(optouts.NOT_ASKED)
        return self._query(cohort, kind) | bounds | told | ({"turn": turn} if turn else {})

    def refresh(self) -> dict[str, Any]:
        source, cohorts = self._config.source, self._config.cohorts
        releases = {name: self._release(name) for name in cohorts}
        exclusions = source.exclusions_sql
        last = list(self._plan.windows)[-source.look_back :] if source.look_back else []
        return {
            "cohorts": {cohort: self._in_windows(cohort, last) for cohort in cohorts},
            "releases": {name: query for name, query in releases.items() if query},
            "exclusions": self._described(None, Path(exclusions)) if exclusions else None,
            "id_type": source.id_type,
        }

    def check_source(self) -> dict[str, Any]:
        config = self._config
        structured = [name for name, block in config.baselines.items() if block.kind == "structured"]
        return {
            "name": config.name,
            "first_day": str(config.source.data_start),
            "last_day": str(config.source.data_end),
            "text_windows": config.check_source.text_windows,
            "min_cell": config.min_cell,
            "cohorts": {cohort: self._checked(cohort) for cohort in config.cohorts},
            "tasks": {name: {"cohort": task.cohort, "label": task.label} for name, task in config.tasks.items()},
            "features": structured[0] if structured else None,
            "groups": config.share.groups if config.share.enabled else [],
            "plan": {
                "models": {name: self._size(name) for name in config.models},
                "sizes": list(config.sizes),
                "seeds": len(config.seeds),
                "train_share": config.split.parts.train,
                "train_before": f"{config.split.temporal_from or date.max:%Y-%m}",
                "teraflops": config.check_source.teraflops,
                "jobs": self._plan.jobs(),
            },
        }

    def replay(self, cohort: str) -> dict[str, Any]:
        return (
            self._config.replay.model_dump()
            | self._in_windows(cohort, self._plan.windows)
            | {
                "cohort": cohort,
                "data_end": str(self._config.source.data_end),
                "point_in_time": point_in_time.read(Path(self._config.cohorts[cohort].sql).parent),
                "min_cell": self._config.min_cell,
            }
            | self._hospital()
        )

    def _hospital(self) -> dict[str, str]:
        """Which generated hospital is asked; a later end is the same, with more rows. Nothing of a warehouse."""
        demo = self._config.source.demo
        if not demo:
            return {}
        made = [demo.model_dump(), str(self._config.source.data_start), self._plan.code("demo_hospital")]
        return {"hospital": hashlib.sha256(canonical_json(made).encode()).hexdigest()[:12]}

    def _in_windows(self, cohort: str, windows: Iterable[str]) -> dict[str, Any]:
        """Both queries, and of each window its name and bounds: short enough for a command line of many windows."""
        return {
            "queries": {kind: self._query(cohort, kind) for kind in ("text", "labels")},
            "windows": [[window, *self._bounds(cohort, window).values()] for window in windows],
        }

    def _release_of(self, cohort: str) -> dict[str, Any] | None:
        path = Path(self._config.cohorts[cohort].sql).with_name("release.sql")
        return self._described(cohort, path) if path.is_file() else None

    def _described(self, cohort: str | None, sql: Path) -> dict[str, Any]:
        """A companion query: its file, hash and dialect."""
        source = self._config.source
        written = self._config.cohorts[cohort].dialect if cohort else source.odbc.dialect if source.odbc else "sqlite"
        return {"sql": str(sql), "sql_sha256": canonical_sql_hash(sql), "dialect": written}

    def _query_of(self, cohort: str, kind: str) -> dict[str, Any]:
        return self._described(cohort, Path(self._queries(cohort)[kind == "labels"])) | {
            "kind": kind,
            "id_type": self._config.source.id_type,
            "parameters": self._parameters(cohort)[kind == "labels"],
        }

    def _bounds(self, cohort: str, window: str) -> dict[str, str]:
        start, end = self._plan.windows[window]
        labels = self._config.cohorts[cohort].labels.values()
        longest = max(label.horizon_days + label.maturity_days for label in labels)
        data_end = self._config.source.data_end + timedelta(days=1)
        known_until = _midnight(min(end + timedelta(days=longest), data_end))
        return {"window_start": _midnight(start), "window_end": _midnight(end), "known_until": known_until}

    def _checked(self, cohort: str) -> dict[str, Any]:
        block = self._config.cohorts[cohort]
        return self._in_windows(cohort, self._plan.windows) | {
            "anchor": block.anchor,
            "concatenate": block.notes == "concatenate",
            "complete_after": {name: clock.horizon_days + clock.maturity_days for name, clock in block.labels.items()},
        }

    def _size(self, name: str) -> dict[str, Any]:
        """What a finetune's cost depends on."""
        model = self._config.models[name]
        return {"shape": self.shape(name), "max_tokens": model.max_tokens, "epochs": model.training.epochs}

    def shape(self, name: str) -> dict[str, Any] | None:
        """What the number of a model's weights follows from; None where no file tells it."""
        model = self._config.models[name]
        trained = self._config.tokenizers[model.tokenizer].wordpiece
        if model.start.scratch:
            shape = model.start.scratch.model_dump(include={"hidden_size", "layers", "intermediate_size"})
            return shape | {"vocabulary": trained.vocab_size if trained else model_size.VOCABULARY}
        path = self._plan.start_folder(name) / "config.json"
        return model_size.shape_of(read_json(path)) if path.is_file() else None

    def _queries(self, cohort: str) -> list[str]:
        return [f"{self._config.cohorts[cohort].sql}{ending}" for ending in (".sql", ".labels.sql")]

    def _parameters(self, cohort: str) -> list[dict[str, Any]]:
        """What is bound in the text query and in the labels query: each gets only the parameters that it uses."""
        block = self._config.cohorts[cohort]
        values: dict[str, Any] = dict(block.parameters)
        for name, label in block.labels.items():
            values[f"{name}_horizon_days"] = label.horizon_days
            values[f"{name}_maturity_days"] = label.maturity_days
        queries = [Path(file).read_text(encoding="utf-8") for file in self._queries(cohort)]
        share(queries, block.parameters)  # a parameter that neither uses is a mistake
        used = [set(parameters_of(query)) for query in queries]
        return [{name: values[name] for name in values if name in names} for names in used]


def _midnight(day: date) -> str:
    return datetime.combine(day, time()).strftime("%Y-%m-%d %H:%M:%S")
