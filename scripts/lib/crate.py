"""A run as an RO-Crate of the Process Run Crate profile: the graph in ro-crate-metadata.json.

Files are the results and the code. The run as a whole is an action of the workflow; below it one action stands for all
jobs of a stage that are about the same cohort, task or tokenizer, and its instrument is the stage's script. What they
read and wrote under the private root is no file of the crate: see `crate_entities`. Nobody is named, and no machine.
"""

import ast
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from rocrate.model import File, Preview
from rocrate.rocrate import ROCrate

from lib import standing
from lib.crate_entities import DOCUMENT, Entities, ids
from lib.crate_files import FORMATS, RESULTS
from lib.crate_jobs import Action, actions
from lib.data_classes import kinds_of
from lib.files import sha256

PROFILES = {  # beside Workflow RO-Crate 1.0, which rocrate adds
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
}
# Not among RO-Crate 1.1's own terms; spelled out, so that no second context has to be fetched.
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
WORKFLOW = "workflow/Snakefile"
DESCRIPTION = (
    "From a hospital's clinical notes to language models and their figures: the aggregate results of a run, the code,"
    " and hashes and counts that stand for texts, rows and models, which stay at the site."
)
LICENCE = "Of the code: MIT. Of the results: whoever ran the workflow, and the steward of the data, decide."
MIT = "https://spdx.org/licenses/MIT"
CODE = ["File", "SoftwareSourceCode"]


def crate(document: Mapping[str, Any], files: Mapping[str, Path], page: str, revision: Mapping[str, Any]) -> list[File]:
    """What is to be written: an entity a file, ro-crate-metadata.json and ro-crate-preview.html among them.

    `document` is the provenance document, `files` the paths by name in the crate, `revision` the code's: git's commit
    and whether the code differed from it, or None.
    """
    graph = _Graph(document, files, revision)
    graph.code()
    graph.results()
    graph.actions()
    graph.root()
    packed = graph.crate
    packed.add(Preview(packed, BytesIO(page.encode())))
    return [entity for entity in (*packed.data_entities, *packed.default_entities) if isinstance(entity, File)]


class _Graph:
    def __init__(self, document: Mapping[str, Any], files: Mapping[str, Path], revision: Mapping[str, Any]) -> None:
        self._document, self._files = document, files
        self.crate = ROCrate(version="1.1")
        self.crate.metadata.extra_terms.update(TERMS)
        self._entities = Entities(self.crate, document, files)
        self._version = (revision["commit"] or "unknown") + ("+" if revision["dirty"] else "")
        self._queries: dict[str, list[Any]] = {}  # by cohort

    def code(self) -> None:
        """The workflow, its scripts and its queries; a query that lies elsewhere is told by its hash alone."""
        queries = {query["file"]: query for query in self._document["queries"]}
        for name, path in self._files.items():
            if name.startswith(f"{RESULTS}/"):
                continue
            told = _described(name, path, _first_lines(path) if path.suffix == ".py" else None)
            if name == WORKFLOW:
                told |= {"name": "Notecast", "version": self._version, "license": {"@id": MIT}}
                self.crate.add_workflow(path, name, properties=told, main=True, lang="snakemake")
                continue
            if name in queries:
                told |= _queried(queries[name]) | {"@type": CODE}
            elif PurePosixPath(name).parent.name == "scripts":
                told |= {"version": self._version, "@type": CODE}
            self.crate.add_file(path, name, properties=told)
        for name, query in queries.items():
            told = {"name": name, **_queried(query)}
            found = self.crate.get(name) or self._entities.add(f"#query/{name}", "SoftwareSourceCode", **told)
            for cohort in dict.fromkeys(q["cohort"] for q in self._document["queries"] if q["file"] == name):
                self._queries.setdefault(cohort, []).append(found)

    def results(self) -> None:
        for name, path in self._files.items():
            if name.startswith(f"{RESULTS}/"):
                (kind,) = kinds_of(f"<results>/{name.removeprefix(f'{RESULTS}/')}")
                self.crate.add_file(path, name, properties=_described(name, path, kind.holds))

    def actions(self) -> None:
        """The whole run, then stage by stage; all mentioned by the root."""
        done = actions(self._document["jobs"])
        self._entities.private(done)
        times = [action.times for action in done if action.times]
        span = (min(start for start, _ in times), max(end for _, end in times)) if times else None
        results = [entity for entity in self.crate.data_entities if entity.id.startswith(f"{RESULTS}/")]
        read = [self.crate.get(f"{RESULTS}/config.yaml"), *(query for told in self._queries.values() for query in told)]
        told = f"{len(self._document['jobs'])} jobs, in one or several calls of snakemake."
        whole = self._act("#run", f"run {self._document['name']}", told, WORKFLOW, (read, results), span)
        self.crate.root_dataset["mentions"] = [whole, *map(self._action, done)]

    def _action(self, action: Action) -> Any:
        """All jobs of a stage about one thing."""
        read = [self._entities.of(name) for name in action.inputs]
        if action.stage == "extract":
            read += self._queries.get(action.about, [])
        without = len(action.jobs) - len(action.made)
        counts = f"{len(action.jobs)} jobs" + (f", {without} of them without a record" if without else "")
        told = f"{counts}; code of commit {', '.join(action.commits) or 'unknown'}. Job by job in {DOCUMENT}."
        files = read, self._entities.written(action)
        return self._act(f"#action/{action.path}", action.name, told, f"scripts/{action.stage}.py", files, action.times)

    def _act(
        self,
        identifier: str,
        name: str,
        description: str,
        instrument: str,
        files: tuple[Sequence[Any], Sequence[Any]],
        times: tuple[str, str] | None,
    ) -> Any:
        known: dict[str, Any] = {"name": name, "description": description, "instrument": {"@id": instrument}}
        if times:
            known |= {"startTime": times[0], "endTime": times[1]}
            known["actionStatus"] = "http://schema.org/CompletedActionStatus"
        known |= {key: ids(found) for key, found in zip(("object", "result"), files, strict=True) if ids(found)}
        return self._entities.add(identifier, "CreateAction", **known)

    def root(self) -> None:
        """Of the whole: its name, when the last job ended, whose it is, how it stands."""
        document, root, add = self._document, self.crate.root_dataset, self._entities.add
        ended = [str(action["endTime"]) for action in root["mentions"] if action.get("endTime")]
        root["name"] = f"Notecast run {document['name']}"
        root["description"] = DESCRIPTION
        root["datePublished"] = max(ended, default="1970-01-01")
        root["license"] = add("#licence", "CreativeWork", name="Licence", description=LICENCE)
        add(MIT, "CreativeWork", name="MIT License")
        root["conformsTo"] = [add(url, "CreativeWork", name=name, version="0.5") for url, name in PROFILES.items()]
        found = standing.of(document)
        root["creativeWorkStatus"] = "; ".join([found.title, *found.against])


def _described(name: str, path: Path, holds: str | None) -> dict[str, Any]:
    told = {"name": name, "encodingFormat": FORMATS[path.suffix], "contentSize": str(path.stat().st_size)}
    return told | {"sha256": sha256(path)} | ({"description": holds} if holds else {})


def _first_lines(script: Path) -> str | None:
    told = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    return told.split("\n\n")[0].replace("\n", " ") if told else None


def _queried(query: Mapping[str, Any]) -> dict[str, str]:
    told = f"sha256 of the canonical SQL: {query['sha256']}"
    return {"version": told, "programmingLanguage": f"SQL, dialect {query['dialect']}"}
