"""Train a WordPiece tokenizer on the training rows of the given windows, or take a pretrained one as it is.

Settings of a trained one: {"kind": "wordpiece", "vocab_size": 4000, "min_patients": 5, "lowercase": true,
"max_words": 1000000}. `clean` and `split` are the same windows in the same order, of one cohort or several; only rows
whose part is "train" are read, and only words that at least `min_patients` different patients have become terms.
Settings of a pretrained one: {"kind": "pretrained", "folder": PATH} or {"kind": "pretrained", "hub": ID, "revision":
COMMIT}, without `clean` and `split`; nothing is downloaded here. Out come tokenizer.json, for `tokenizers` and
PreTrainedTokenizerFast, and a manifest that says what the tokenizer has seen.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from lib import learned, offline, shards, stage, tokens, vocabulary
from lib.files import write_text


@dataclass
class Seen:
    """The training rows that went in: per window, and the patients over all of them."""

    windows: list[dict[str, Any]] = field(default_factory=list)
    patients: set[Any] = field(default_factory=set)
    parts: Counter[str] = field(default_factory=Counter)

    def facts(self) -> dict[str, Any]:
        rows = sum(window["rows"] for window in self.windows)
        return {"parts": dict(self.parts), "rows": rows, "patients": len(self.patients), "windows": self.windows}


def main(job: stage.Job) -> None:
    kind = job.settings["kind"]
    if kind == "wordpiece":
        tokenizer, facts = train(job)
    elif kind == "pretrained":
        tokenizer, facts = pretrained(job.settings)
        learned.note(_list(job), pa.array([], pa.string()))  # of ours, nobody
    else:
        raise stage.StageError("a tokenizer's kind is wordpiece or pretrained")
    write_text(job.path("tokenizer"), tokenizer.to_str(pretty=True) + "\n")
    entries = tokens.vocabulary_entries(tokenizer)
    job.say(f"{entries} entries")
    shards.write_json(
        job.path("manifest"),
        shards.manifest([job.path("tokenizer")], rows=entries, kind=kind, vocab_size=entries, **facts),
    )


def train(job: stage.Job) -> tuple[Tokenizer, dict[str, Any]]:
    """Count the words of the training rows, learn the pieces, and say what was seen."""
    settings = job.settings
    words = vocabulary.Words(settings["lowercase"])
    counts = vocabulary.PatientCounts(settings["min_patients"], settings.get("max_words") or vocabulary.MAX_WORDS)
    seen = Seen()
    pairs = _windows(job.paths("clean"), job.paths("split"))
    for number, (clean, split) in enumerate(pairs, start=1):
        for person, text in _training_rows(clean, split, seen):
            counts.add(person, words.count(text))
        job.say(f"{number} of {len(pairs)} windows, {len(counts.kept)} words")
    if not counts.kept:
        raise stage.StageError(
            f"no word is in the training notes of {settings['min_patients']} patients (min_patients): "
            f"{seen.facts()['rows']} rows of {len(seen.patients)} patients were read; give more windows"
        )
    learned.note(_list(job), pa.array(list(seen.patients)))
    alphabet, inner = vocabulary.characters(words, counts.kept, settings["vocab_size"])
    pieces = vocabulary.learn(counts.kept, alphabet, inner, settings["vocab_size"])
    known = set(alphabet)
    words_by_fate = {
        "kept": len(counts.kept),
        "kept_with_unknown_character": sum(not known.issuperset(word) for word in counts.kept),
        "dropped_few_patients": counts.waiting,
        "forgotten_for_memory": counts.forgotten,
    }
    facts = {"seen": seen.facts(), "min_patients": settings["min_patients"], "words": words_by_fate}
    return vocabulary.assemble(pieces, words), facts | {"special_tokens": vocabulary.SPECIAL_TOKENS}


def _list(job: stage.Job) -> Path:
    return learned.beside(job.path("tokenizer").parent)


def _windows(clean: list[Path], split: list[Path]) -> list[tuple[Path, Path]]:
    """The shards of each window together; their names, cohort/window.parquet, must agree."""
    names = [[f"{path.parent.name}/{path.stem}" for path in paths] for paths in (clean, split)]
    if names[0] != names[1]:
        raise stage.StageError(
            f"clean has {len(clean)} shards and split {len(split)}, not of the same windows in the same order"
        )
    return list(zip(clean, split, strict=True))


def _training_rows(clean: Path, split: Path, seen: Seen) -> Iterator[tuple[Any, str]]:
    """(patient, text) of one window's rows in part train, batch by batch; `seen` gets the window's facts."""
    window = f"{clean.parent.name}/{clean.stem}"
    parts = shards.read_parquet(split, ["visit_id", "person_id", "part"])
    training = parts.filter(pc.equal(parts["part"], "train"))
    visits, patients = (training[name].combine_chunks() for name in ("visit_id", "person_id"))
    rows, years = 0, []
    for batch in shards.iter_parquet(clean, ["visit_id", "index_time", "text"]):
        _check_split(window, batch["visit_id"], parts["visit_id"])
        position = pc.index_in(batch["visit_id"], value_set=visits)
        kept, position = batch.filter(position.is_valid()), position.drop_null()
        if not kept.num_rows:
            continue
        rows += kept.num_rows
        years += pc.min_max(pc.year(kept["index_time"])).as_py().values()
        persons = patients.take(position).to_pylist()
        seen.parts.update(training["part"].take(position).to_pylist())  # of the rows themselves, not as was meant
        seen.patients.update(persons)
        yield from zip(persons, kept["text"].to_pylist(), strict=True)
    seen.windows.append(
        {
            "cohort": clean.parent.name,
            "window": clean.stem,
            "rows": rows,
            "first_index_year": min(years, default=None),
            "last_index_year": max(years, default=None),
        }
    )


def _check_split(window: str, visits: pa.Array, assigned: pa.ChunkedArray) -> None:
    if visits.type != assigned.type:
        raise stage.StageError(f"{window}: visit_id is {visits.type} in clean and {assigned.type} in split")
    missing = len(visits) - pc.sum(pc.is_in(visits, value_set=assigned.combine_chunks())).as_py()
    if missing:
        raise stage.StageError(
            f"{window}: {missing} rows of clean have no part in split; run split for this window again"
        )


def pretrained(settings: dict[str, Any]) -> tuple[Tokenizer, dict[str, Any]]:
    """The tokenizer of a local folder or of a pinned revision in the local cache, unchanged in what it does."""
    revision = settings.get("revision")
    if "folder" in settings:
        where = settings["folder"]
        name, mend = f"folder {Path(where).name}", "put the model's tokenizer files there"
        if not Path(where).is_dir():
            raise stage.StageError(f"tokenizer {name} is not there; {mend}")
    else:
        where = settings["hub"]
        name, mend = f"{where} {revision}", "fetch it once with: snakemake fetch_models --cores 1"
        if not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
            raise stage.StageError(f"tokenizer {where}: revision must be a commit: 40 hexadecimal digits")
    offline.go()  # local_files_only alone does not stop every request
    from transformers import AutoTokenizer  # seconds to import; only this kind needs it

    try:
        loaded = AutoTokenizer.from_pretrained(where, revision=revision or "main", local_files_only=True)
    except (OSError, ValueError) as error:
        raise stage.StageError(f"tokenizer {name} cannot be loaded from this machine; {mend}") from error
    backend = getattr(loaded, "backend_tokenizer", None)
    if backend is None:
        raise stage.StageError(f"tokenizer {name} has no fast form (tokenizer.json); use another")
    special = {key: token for key, token in loaded.special_tokens_map.items() if isinstance(token, str)}
    # What it has seen is not ours to know: not verifiable, never zero.
    return backend, {"seen": "not verifiable", "special_tokens": special}


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["clean*", "split*"], outputs=["tokenizer", "manifest"])
