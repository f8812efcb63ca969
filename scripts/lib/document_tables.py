"""The provenance document's tables: queries, extracts, flow, splits, models and metrics, each with its hashes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import openings
from lib.files import read_json, sha256

if TYPE_CHECKING:
    from lib.document import Run

SHARED = ("patients in ", "stays in ", "identical texts in ")  # of the certificate: what two parts may not share
WEIGHTS = "model.safetensors"
_OF_A_FLOW = ("unit", "opted_out", "events_of", "steps", "parts")
_OF_A_TABLE = ("part", "metric", "n_rows", "n_persons", "reference")
_OF_A_ROW = ("model", "kind", "control", "size", "auroc", "difference")


class Tables:
    """Of one run; counts below `min_cell` are left out."""

    def __init__(self, run: "Run", min_cell: int) -> None:
        self._run, self._min_cell = run, min_cell

    def queries(self) -> list[dict[str, Any]]:
        """A row a query: its hash and parameters, over how many windows it was asked, and the rows that came."""
        asked: dict[tuple[str, str], dict[str, Any]] = {}
        for job, settings, rows in self._extracted():
            key = job["wildcards"]["cohort"], job["wildcards"]["kind"]
            file = Path(settings["sql"])
            found = asked.setdefault(
                key,
                {
                    **dict(zip(("cohort", "kind"), key, strict=True)),
                    "file": file.name if file.is_absolute() or ".." in file.parts else str(file),
                    **{name: settings[name] for name in ("dialect", "parameters")},
                    "sha256": settings["sql_sha256"],
                    "windows": 0,
                    "rows": 0,
                },
            )
            found["windows"] += 1
            found["rows"] += rows
        return [query | {"rows": self._shown(query["rows"])} for query in asked.values()]

    def releases(self) -> dict[str, Any]:
        """By cohort: the releases of the warehouse that its windows were extracted from."""
        jobs = self._run.of("inventory")
        return {job["wildcards"]["cohort"]: read_json(self._run.path(job["output"]))["releases"] for job in jobs}

    def extracts(self) -> list[dict[str, Any]]:
        """A row a window and query.

        Its stays are told where no window of the query is small, its notes never: with a note a stay, the difference is
        the stays without one, which the flow hides where they are few.
        """
        small = {job["wildcards"]["cohort"] for job, _, rows in self._extracted() if self._shown(rows) is None}
        return [
            {
                **{name: job["wildcards"][name] for name in ("cohort", "kind", "window")},
                "rows": None if job["wildcards"]["kind"] == "text" or job["wildcards"]["cohort"] in small else rows,
                "sha256": self._run.outputs(job)[job["output"]],
                "extracted": job["record"]["started"],
            }
            for job, _, rows in self._extracted()
        ]

    def _extracted(self) -> list[tuple[dict[str, Any], dict[str, Any], int]]:
        """(job, settings, rows) of each window."""
        return [
            (job, self._run.settings_of(job), self._manifest(job["output"], ".json")["rows"])
            for job in self._run.of("extract")
        ]

    def flows(self) -> dict[str, Any]:
        """By task: the flow's file, its steps and parts, as `flow` has hidden their small cells."""
        told = {}
        for job in self._run.of("flow"):
            flow = read_json(self._run.path(job["output"]))
            told[flow["task"]] = self._file(job["output"]) | {key: flow[key] for key in _OF_A_FLOW}
        return told

    def disjoint(self) -> dict[str, Any]:
        """By task: the certificate's checks that two parts share no patient, no stay, no text."""
        return {
            task: [check for check in whole["data"] if check["check"].startswith(SHARED)]
            for task, _, whole in self._certificates()
        }

    def leakage(self) -> dict[str, Any]:
        """By task: the certificate's file, how many of its checks came to each verdict, and which cannot vouch."""
        told = {}
        for task, name, whole in self._certificates():
            checks = [*whole["data"], *whole["fitted"]]
            verdicts = [check["verdict"] for check in checks]
            told[task] = self._file(name) | {
                "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
                "unsettled": [check for check in checks if check["verdict"] in ("fail", "not verifiable")],
            }
        return told

    def _certificates(self) -> list[tuple[str, str, dict[str, Any]]]:
        jobs = self._run.of("certificate")
        return [(j["wildcards"]["task"], j["output"], read_json(self._run.path(j["output"]))) for j in jobs]

    def models(self) -> list[dict[str, Any]]:
        """A row a fit: its weights, and by hash all that they came from.

        start: settings of a model's start (scratch, folder, hub and revision), with the hashes of a folder's files as
        `start_files`; tokenizer: {name, file, sha256}; train, tuning: {sha256, rows}; epochs and the like stand in the
        configuration, whose hash is the job's `settings`.
        """
        return [
            self._model(job, kind) for stage, kind in (("finetune", "transformer"), ("baseline", None))
            for job in self._run.of(stage)
        ]  # fmt: skip

    def _model(self, job: Mapping[str, Any], kind: str | None) -> dict[str, Any]:
        settings, record = self._run.settings_of(job), job["record"]
        folder = job["output"].rpartition("/")[0]
        manifest = read_json(self._run.path(f"{folder}/manifest.json"))
        read = self._run.inputs(job)
        data = manifest["data"] | {Path(name).stem: read[name] for name in read if name.endswith(".arrow")}
        fitted = {
            **job["wildcards"],
            "kind": kind or settings["kind"],
            "file": f"{folder}/{WEIGHTS}",
            "sha256": record["outputs"][WEIGHTS],
            "code": record["code"],
            "started": record["started"],
            "train": {"sha256": data["train"], "rows": self._shown(manifest["rows"])},
            "tuning": {"sha256": data["tuning"], "rows": self._shown(manifest["tuning"]["rows"])},
        }
        if kind == "transformer":
            (tokenizer,) = (name for name in read if name.startswith("<private>/tokenizers/"))
            fitted |= {
                "start": settings["model"]["start"],
                "start_files": {name: digest for name, digest in read.items() if not name.startswith("<")},
                "tokenizer": {"name": tokenizer.split("/")[-2], "file": tokenizer, "sha256": read[tokenizer]},
                "parameters": manifest["parameters"],
                "precision": manifest["precision"],
            }
        return fitted

    def headlines(self) -> list[dict[str, Any]]:
        """A row a task, model and training size: the figure of the report, as `compare` has it, and its seeds."""
        told = []
        for job in self._run.of("compare"):
            table = read_json(self._run.path(job["output"]))
            told += [
                {
                    "task": table["task"]["name"],
                    "title": table["task"]["title"],
                    **{key: table[key] for key in _OF_A_TABLE},
                    **{key: row[key] for key in _OF_A_ROW},
                    "seeds": [str(one["seed"]) for one in row["seeds"]],
                    **self._file(job["output"]),
                }
                for row in table["rows"]
            ]
        return told

    def shared(self) -> list[dict[str, Any]]:
        """A row a task whose predictions were written for a reviewer: parts, groups, and the smallest one allowed."""
        told = []
        for job in self._run.of("share"):
            settings = self._run.settings_of(job)
            told.append(
                {"task": job["wildcards"]["task"]}
                | {key: settings[key] for key in ("parts", "groups", "min_group")}
                | self._file(job["output"])
            )
        return told

    def metrics(self) -> list[dict[str, Any]]:
        """A row a fit and part: measures with intervals; the hashes of predictions, weights and training rows."""
        fits = {self._fit(model): model for model in self.models()}
        told = []
        for job in self._run.of("evaluate"):
            evaluated = read_json(self._run.path(job["output"]))
            model, read = fits[self._fit(job["wildcards"])], self._run.inputs(job)
            for part, block in evaluated["parts"].items():
                file = f"<private>/predict/{'/'.join(self._fit(model))}/{part.removesuffix('_unseen')}.parquet"
                told.append(
                    {
                        **job["wildcards"],
                        "part": part,
                        "n_rows": block["n_rows"],
                        "measures": {key: value for key, value in block.items() if _is_measure(value)},
                        **self._file(job["output"]),
                        "predictions": {"file": file, "sha256": read[file]},
                        "weights": model["sha256"],
                        "train": model["train"]["sha256"],
                    }
                )
        return told

    @staticmethod
    def _fit(of: Mapping[str, Any]) -> tuple[str, str, str]:
        return of["task"], of["model"], f"{of['size']}-{of['seed']}"

    def openings(self) -> list[dict[str, Any]]:
        """Each configuration and task under which the test was opened."""
        return openings.summary(self._run.private / "openings.jsonl")

    def _file(self, name: str) -> dict[str, str]:
        return {"file": name, "sha256": sha256(self._run.path(name))}

    def _manifest(self, output: str, ending: str) -> dict[str, Any]:
        return dict(read_json(self._run.path(output).with_suffix(ending)))

    def _shown(self, count: int) -> int | None:
        return None if 0 < count < self._min_cell else count


def _is_measure(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value
