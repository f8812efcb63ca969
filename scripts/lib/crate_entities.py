"""What a crate tells of and does not hold: private files, models and their ancestry; rows of queries, and measures.

Each is an entity whose id begins with `#`. Where one stands for files, `sha256` is over their hashes, and
`numberOfItems` says how many they are.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from lib import wording
from lib.crate_files import RESULTS
from lib.crate_jobs import Action, hash_of
from lib.files import read_json

DOCUMENT = f"{RESULTS}/provenance.json"
PRIVATE = "At the site, readable by its owner alone; not in this crate."
FITTED = ("finetune", "baseline")  # stages whose files are models
MEASURES = {  # of compare's rows; those without an interval are means over a model's seeds
    "auroc": "AUROC",
    "difference": "Difference in AUROC to the reference",
    "auprc": "AUPRC",
    "brier_scaled": "Scaled Brier score",
    "log_loss": "Log loss",
    "oe_ratio": "Observed / expected events",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Calibration slope",
    "ici": "Integrated calibration index",
}


class Entities:
    """The contextual entities of `crate`, made from the provenance document; `files` are its files by name."""

    def __init__(self, crate: ROCrate, document: Mapping[str, Any], files: Mapping[str, Path]) -> None:
        self._crate, self._document, self._files = crate, document, files
        self._stand_in: dict[str, Any] = {}  # by the name of a private file, or of a model's folder
        self._models: dict[tuple[str, str], list[Any]] = {}  # by stage and task

    def add(self, identifier: str, kind: str, /, **properties: Any) -> Any:
        """The entity of this id, made if it is not there."""
        if (found := self._crate.get(identifier)) is not None:
            return found
        return self._crate.add(ContextEntity(self._crate, identifier, properties={"@type": kind, **properties}))

    def private(self, actions: Iterable[Action]) -> None:
        """A stand-in for what each action wrote under the private root; for each model one of its own."""
        for action in actions:
            if action.private and action.stage not in FITTED:
                told = f"Stands for {len(action.private)} private files. sha256 is of the lines `<sha256>  <name>` of"
                entity = self.add(
                    f"#private/{action.path}",
                    "Dataset",
                    name=f"What '{action.name}' wrote",
                    description=f"{told} those whose hash is told among the outputs in {DOCUMENT}.",
                    sha256=hash_of(action.private),
                    numberOfItems=len(action.private),
                    conditionsOfAccess=PRIVATE,
                    subjectOf={"@id": DOCUMENT},
                )
                self._stand_in |= dict.fromkeys(action.private, entity)
        for model in self._document["models"]:
            self._model(model)

    def _model(self, model: Mapping[str, Any]) -> None:
        name = f"{model['task']}/{model['model']}/{model['size']}-{model['seed']}"
        rows = [f"{wording.count(model[part]['rows'])} {part} rows" for part in ("train", "tuning")]
        learned = {model[part]["sha256"] for part in ("train", "tuning")}
        parents = [file for file, digest in self._document["outputs"].items() if digest in learned]
        if "tokenizer" in model:
            parents.append(model["tokenizer"]["file"])
        entity = self.add(
            f"#model/{name}",
            "CreativeWork",
            name=name,
            description=f"A {model['kind']}, fitted on {' and '.join(rows)}. sha256 is of its weights.",
            sha256=model["sha256"],
            isBasedOn=ids([*map(self.of, parents), *self._started_from(model)]),
            conditionsOfAccess=PRIVATE,
            subjectOf={"@id": DOCUMENT},
        )
        folder = model["file"].rpartition("/")[0]
        self._stand_in[folder] = entity
        self._models.setdefault((folder.split("/")[1], model["task"]), []).append(entity)

    def _started_from(self, model: Mapping[str, Any]) -> list[Any]:
        """The hub's revision, or the folder's files by hash; nothing for a model made from scratch."""
        start, files = model.get("start", {}), model.get("start_files")
        if hub := start.get("hub"):
            known = {"identifier": hub, "version": start["revision"]}
            return [self.add(f"#base/{hub}@{start['revision']}", "CreativeWork", name=hub, **known)]
        if not files:
            return []
        known = {
            "sha256": hash_of(files),
            "description": f"A folder of {len(files)} files; sha256 is over their hashes.",
        }
        return [self.add(f"#base/{known['sha256']}", "CreativeWork", name="a model of the site's own", **known)]

    def of(self, name: str) -> Any:
        """The entity of a file (`<private>/...` or `<results>/...`); None of what no job wrote."""
        if name.startswith("<results>/"):
            return self._crate.get(f"{RESULTS}/{name.removeprefix('<results>/')}")
        return self._stand_in.get(name) or self._stand_in.get(name.rpartition("/")[0])

    def written(self, action: Action) -> list[Any]:
        """What an action wrote: the stand-in for its private files, its models, its results, what they say."""
        out = [self.of(name) for name in action.private]
        out += self._models.get((action.stage, action.about), [])
        out += [self.of(f"<results>/{name}") for name in action.results]
        if action.stage == "extract":
            out += [self._rows(query) for query in self._document["queries"] if query["cohort"] == action.about]
        if action.stage == "compare":
            out += self._measures(action.about)
        return out

    def _rows(self, query: Mapping[str, Any]) -> Any:
        name = f"rows of {query['cohort']}, {query['kind']}, over {query['windows']} windows"
        value = wording.HIDDEN if query["rows"] is None else query["rows"]
        return self.add(f"#rows/{query['cohort']}/{query['kind']}", "PropertyValue", name=name, value=value)

    def _measures(self, task: str) -> list[Any]:
        """The headline's measures of each model and training size, those that have a value."""
        file = f"{RESULTS}/compare/{task}.json"
        table, out = read_json(self._files[file]), []
        for row in table["rows"]:
            fits = [f"{task}/{row['model']}/{row['size']}-{seed['seed']}" for seed in row["seeds"]]
            known = {"valueReference": ids(self._crate.get(f"#model/{fit}") for fit in fits)}
            for key, label in MEASURES.items():
                told = row[key] if isinstance(row[key], dict) else {"value": row[key]}
                if told.get("value") is None:
                    continue
                bounds = {"minValue": told["low"], "maxValue": told["high"]} if told.get("low") is not None else {}
                if bounds:
                    bounds["measurementTechnique"] = "minValue to maxValue: 95 % interval over patients (bootstrap)"
                name = f"{label}: {row['model']}, {row['size']} rows, {task}, {wording.part(table['part'])}"
                identifier = f"#measure/{task}/{row['model']}/{row['size']}/{key}"
                known |= {"name": name, "propertyID": key, "value": told["value"], "subjectOf": {"@id": file}}
                out.append(self.add(identifier, "PropertyValue", **known, **bounds))
        return out


def ids(entities: Iterable[Any]) -> Any:
    """References, each once; what is None is left out. One alone is no list, as RO-Crate wants it."""
    found = [{"@id": name} for name in dict.fromkeys(entity.id for entity in entities if entity is not None)]
    return found[0] if len(found) == 1 else found
