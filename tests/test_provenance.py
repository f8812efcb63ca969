"""provenance: every figure's way back resolves to files that are there, and nothing in it is private."""

import getpass
import hashlib
import json
import platform
import shutil
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import command
import provenance
from checkout import Checkout
from lib import records, shards, stage, told_hashes

SCRIPT = Path(provenance.__file__)
NAMES = ("provenance.json", "steward.html", "reviewer.html")
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def document(finished_run: Checkout) -> dict[str, Any]:
    return dict(shards.read_json(finished_run.folder / "results/small/provenance.json"))


def path(run: Checkout, name: str) -> Path:
    root = {"<private>": "results/private/small", "<results>": "results/small"}
    return run.folder / root[name.split("/")[0]] / name.partition("/")[2]


def job(run: Checkout, results: Path, private: Path) -> stage.Job:
    """The stage's job as the run had it, with other folders."""
    told = records.last(run.folder / "results/small/provenance.json")
    assert told is not None
    files = dict(zip(("document", "steward", "reviewer"), (results / name for name in NAMES), strict=True))
    settings = json.loads(told["settings"])
    return stage.Job(settings, {"jobs": private / f"stamps/jobs/{settings['jobs']}.jsonl", **files})


@pytest.fixture
def changed(finished_run: Checkout, tmp_path: Path) -> Callable[[Change], dict[str, Any]]:
    """The document, and the pages under their names, of a copy of the run's folders in which something was changed."""

    def made(change: Change) -> dict[str, Any]:
        shutil.copytree(finished_run.folder / "results", tmp_path / "results")
        change(tmp_path / "results/private/small")
        written = job(finished_run, tmp_path / "results/small", tmp_path / "results/private/small")
        provenance.main(written)
        pages = {name: written.path(name).read_text(encoding="utf-8") for name in ("steward", "reviewer")}
        return dict(shards.read_json(written.path("document"))) | pages

    return made


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    """Change the JSON of a manifest, or of a record's one line."""
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content) + "\n", encoding="utf-8")


def test_every_output_has_the_hash_of_its_file(finished_run: Checkout, document: dict[str, Any]) -> None:
    assert len(document["outputs"]) > 150
    told = {name: digest for name, digest in document["outputs"].items() if digest != told_hashes.HIDDEN}
    assert len(told) > 100 and all(not told_hashes.is_guessable(name) for name in told)
    for name, digest in told.items():
        assert hashlib.sha256(path(finished_run, name).read_bytes()).hexdigest() == digest, name


def test_no_small_count_can_be_found_from_a_hash(finished_run: Checkout, document: dict[str, Any]) -> None:
    """Of a manifest all is published but a few counts: whoever had its hash would try them all."""
    flow = document["cohort_flow"]["readmission"]["parts"]["tuning"]
    manifest = finished_run.folder / "results/private/small/dataset/readmission/text/tuning.json"
    assert flow["events"] is None and 0 < shards.read_json(manifest)["counts"]["classes"]["1"] < 10
    results = finished_run.folder / "results/small"
    small = [path(finished_run, name) for name in document["outputs"] if told_hashes.is_guessable(name)]
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in small}
    with zipfile.ZipFile(results / "crate.zip") as crate:
        told = [crate.read(name).decode("latin-1") for name in crate.namelist()]
    told += [(results / name).read_text(encoding="utf-8") for name in NAMES]
    assert len(digests) > 60 and not [digest for digest in digests if any(digest in text for text in told)]


def test_the_hash_of_a_file_of_few_rows_is_not_told(changed: Callable[[Change], dict[str, Any]]) -> None:
    def few(private: Path) -> None:
        edit(private / "split/discharge/2019.json", lambda manifest: manifest.update(rows=3))

    shard, found = "<private>/split/discharge/2019.parquet", changed(few)
    read = {job["inputs"][shard] for job in found["jobs"] if shard in job["inputs"]}
    assert found["outputs"][shard] == told_hashes.HIDDEN and read == {told_hashes.HIDDEN} and found["standing"] == []
    assert len(found["outputs"]["<private>/split/discharge/2018.parquet"]) == 64


def test_every_figure_resolves_to_its_queries(document: dict[str, Any]) -> None:
    """Walked here by hand, a step at a time, from hash to hash."""
    wrote = {(name, digest): made for made in document["jobs"] for name, digest in made["outputs"].items()}
    models = {one["sha256"]: one for one in document["models"]}
    windows = {
        (one["kind"], one["window"]): one["sha256"] for one in document["extracts"] if one["cohort"] == "discharge"
    }
    assert len(document["metrics"]) == 6 * 5 and len(windows) == 8  # tuning, calibration, test and temporal test twice
    for row in document["metrics"]:
        evaluated = wrote[row["file"], row["sha256"]]
        assert evaluated["inputs"][row["predictions"]["file"]] == row["predictions"]["sha256"]
        predicted = wrote[row["predictions"]["file"], row["predictions"]["sha256"]]
        assert predicted["stage"] == "predict" and row["weights"] in predicted["inputs"].values()
        model = models[row["weights"]]
        fitted = wrote[model["file"], model["sha256"]]
        (train,) = (name for name in fitted["inputs"] if name.endswith("/train.arrow"))
        assert fitted["inputs"][train] == model["train"]["sha256"] == row["train"]
        collected = wrote[train, row["train"]]
        eligible = wrote[
            "<private>/eligibility/readmission.parquet",
            collected["inputs"]["<private>/eligibility/readmission.parquet"],
        ]
        for name, digest in eligible["inputs"].items():
            kind, window = name.split("/")[1], name.split("/")[-1].split(".")[0]
            if kind == "extract":
                read = document_of(wrote, name, digest)
                assert (
                    read["wildcards"]["window"] == window
                    and read["outputs"][f"<private>/extract/discharge/{window}.labels.parquet"] == digest
                )
            elif name == f"<private>/clean/discharge/{window}.parquet":
                text = f"<private>/extract/discharge/{window}.text.parquet"
                assert (text, document_of(wrote, name, digest)["inputs"][text]) in wrote
    asked = {(one["cohort"], one["kind"]): one for one in document["queries"]}
    assert set(asked) == {(c, k) for c in ("discharge", "admission") for k in ("text", "labels")}
    assert all(one["windows"] == 4 and len(one["sha256"]) == 64 for one in asked.values())


def document_of(wrote: dict[tuple[str, str], Any], name: str, digest: str) -> dict[str, Any]:
    return dict(wrote[name, digest])


def test_the_headlines_are_the_reports(finished_run: Checkout, document: dict[str, Any]) -> None:
    table = shards.read_json(finished_run.folder / "results/small/compare/readmission.json")
    assert [one["auroc"] for one in document["headlines"]] == [row["auroc"] for row in table["rows"]]
    assert [one["seeds"] for one in document["headlines"]] == [["0"], ["0", "1", "2"], ["0"], ["0"]]


def test_nothing_private_is_told(finished_run: Checkout) -> None:
    results, private = finished_run.folder / "results/small", finished_run.folder / "results/private/small"
    extracted = shards.read_parquet(private / "extract/discharge/2019.text.parquet")
    texts = [text for text in extracted["text"].to_pylist() if text and len(text) > 20]
    job_ids = [str(key) for key in extracted["note_id"].to_pylist() if len(str(key)) > 4]
    own = {
        platform.node(),
        f"/{getpass.getuser()}/",
        str(finished_run.folder),
        str(finished_run.folder.parent),
        "/tmp/",
    }
    for name in NAMES:
        told = (results / name).read_text(encoding="utf-8")
        assert not [word for word in own if word and word in told]
        assert not [text for text in texts if text[:20] in told] and len(texts) > 100
        assert not [key for key in job_ids if f'"{key}"' in told or f">{key}<" in told]


def test_the_stays_of_a_window_without_a_note_cannot_be_told(document: dict[str, Any]) -> None:
    """With a note a stay they are the difference to the notes, and in most windows of the demo fewer than 10."""
    rows = [one["rows"] for one in document["extracts"] if one["kind"] == "text"]
    assert len(rows) == 8 and set(rows) == {None}


def test_the_window_of_few_rows_hides_those_of_its_query(changed: Callable[[Change], dict[str, Any]]) -> None:
    def few(private: Path) -> None:
        edit(private / "extract/discharge/2019.labels.json", lambda manifest: manifest.update(rows=3))

    found = changed(few)
    rows = {(one["cohort"], one["kind"], one["window"]): one["rows"] for one in found["extracts"]}
    assert {rows["discharge", "labels", window] for window in ("2018", "2019", "2020", "2021")} == {None}
    assert rows["admission", "labels", "2019"] is not None
    assert "none of its windows tells how many" in found["steward"]


def test_a_run_without_a_record_or_with_changed_code_is_branded(changed: Callable[[Change], dict[str, Any]]) -> None:
    def dirty(private: Path) -> None:
        (private / "split/admission/2018.parquet.record.jsonl").unlink()
        for window in ("2018", "2019"):
            edit(
                private / f"clean/discharge/{window}.parquet.record.jsonl",
                lambda r: r.update(dirty=True, commit="ab" * 20),
            )

    found = changed(dirty)
    assert found["standing"] == [
        "1 of 72 jobs left no record of how their files came",
        "2 of 72 jobs ran code that was changed and not committed",
    ]
    for page in ("steward", "reviewer"):
        assert 'class="brand red"' in found[page] and all(sentence in found[page] for sentence in found["standing"])


def test_without_any_record_the_pages_say_so(changed: Callable[[Change], dict[str, Any]]) -> None:
    def lost(private: Path) -> None:
        for record in private.parents[1].rglob("*.record.jsonl"):
            record.unlink()

    found = changed(lost)
    assert found["standing"] == ["72 of 72 jobs left no record of how their files came"]
    assert all('class="brand red"' in found[page] for page in ("steward", "reviewer")) and found["outputs"] == {}


def test_a_file_that_was_read_with_other_content_breaks_the_ways_over_it(
    changed: Callable[[Change], dict[str, Any]],
) -> None:
    def swapped(private: Path) -> None:
        record = private / "finetune/readmission/tiny/all-0/config.json.record.jsonl"
        edit(record, lambda r: r["inputs"].update({"<private>/dataset/readmission/notes.48/train.arrow": "0" * 64}))

    found = changed(swapped)
    (sentence,) = found["standing"]
    assert sentence.startswith("1 files on the way from the figures to the queries were read with other content")
    assert found["reviewer"].count(">broken<") == 1 and found["reviewer"].count(">holds<") == 3


def test_the_command_line_gives_the_same_bytes(finished_run: Checkout, tmp_path: Path) -> None:
    shutil.copytree(finished_run.folder / "results", tmp_path / "results")
    results, private = tmp_path / "results/small", tmp_path / "results/private/small"
    before = [(results / name).read_bytes() for name in NAMES]
    written = job(finished_run, results, private)
    provenance.main(written)
    assert [(results / name).read_bytes() for name in NAMES] == before
    command.run(SCRIPT, deepcopy(written))
    assert [(results / name).read_bytes() for name in NAMES] == before


def test_it_runs_again_when_a_job_did_and_only_then(finished_run: Checkout, tmp_path: Path) -> None:
    run = finished_run.clone(tmp_path / "copy")
    script = run.folder / "scripts" / "resolve.py"
    script.write_text(script.read_text(encoding="utf-8") + "\nOTHER = 1\n", encoding="utf-8")
    assert run.ran() == {"resolve": 1, "provenance": 1, "crate": 1}
    found, before = (shards.read_json(one.folder / "results/small/provenance.json") for one in (run, finished_run))
    changed = [new for new, old in zip(found["jobs"], before["jobs"], strict=True) if new != old]
    assert [one["stage"] for one in changed] == ["resolve"] and found["outputs"] == before["outputs"]
    assert run.planned() == {}
