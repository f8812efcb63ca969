"""The crate of a finished small run: what a validator, a reader's browser and a reviewer make of it."""

import hashlib
import html
import json
import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import browser
import crate
import ro_crate
from checkout import Checkout, small_config
from lib import crate as graph
from lib import crate_files, revision, shards, stage
from lib.data_classes import kinds_of
from lib.told_hashes import is_guessable

pytestmark = pytest.mark.slow
PROFILE = "process-run-crate-0.5"


def unpacked(run: Checkout, folder: Path) -> Path:
    with zipfile.ZipFile(run.folder / "results/small/crate.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def run(finished_run: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The finished run, with the steward's switch on."""
    run = finished_run.clone(tmp_path_factory.mktemp("crate") / "run")
    run.configure(small_config(share={"enabled": True}))
    assert run.ran() == {"resolve": 1, "share": 1, "provenance": 1, "crate": 1}
    return run


@pytest.fixture(scope="module")
def packed(run: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(run, tmp_path_factory.mktemp("unpacked") / "crate")


@pytest.fixture(scope="module")
def entities(packed: Path) -> dict[str, dict[str, Any]]:
    return {one["@id"]: one for one in shards.read_json(packed / "ro-crate-metadata.json")["@graph"]}


# --- the validator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [PROFILE, "workflow-run-crate-0.5"])
def test_the_validator_accepts_it_at_its_required_level(run: Checkout, tmp_path: Path, profile: str) -> None:
    result = ro_crate.verdict(run.folder / "results/small/crate.zip", profile, tmp_path)
    assert result.passed() and not result.get_issues()
    assert len(result.executed_checks) >= 42 and not result.skipped_checks_count


def _change(folder: Path, change: Callable[[dict[str, Any]], Any], of: str) -> None:
    path = folder / "ro-crate-metadata.json"
    content = shards.read_json(path)
    change(next(one for one in content["@graph"] if one["@id"] == of))
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: _change(folder, lambda one: one.pop("instrument"), "#action/extract/discharge"), "instrument"),
        (lambda folder: _change(folder, lambda one: one.pop("license"), "./"), "license"),
        (lambda folder: (folder / "results/summary.csv").unlink(), "results/summary.csv"),
    ],
)
def test_the_validator_refuses_one_that_lacks_something(packed: Path, tmp_path: Path, harm: Any, told: str) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", packed, copy], check=True)
    harm(copy)
    result = ro_crate.verdict(copy, PROFILE, tmp_path)
    assert not result.passed() and any(told in issue.message for issue in result.get_issues())


# --- what is in it, and what is not ----------------------------------------------------------------------------------


def test_every_member_is_of_class_aggregate_or_code(run: Checkout, packed: Path, entities: dict[str, Any]) -> None:
    with zipfile.ZipFile(run.folder / "results/small/crate.zip") as archive:
        names = set(archive.namelist())
    names -= {"ro-crate-metadata.json", "ro-crate-preview.html"}
    code = {path.relative_to(run.folder).as_posix() for path in revision.files(run.folder)}
    assert {name for name in names if not name.startswith("results/")} == code
    for name in names - code:
        assert [kind.data_class for kind in kinds_of(f"<results>/{name.removeprefix('results/')}")] == ["aggregate"]
    private = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (run.folder / "results/private").rglob("*.*")
               if p.is_file() and p.stat().st_size and "code" not in p.parts}  # fmt: skip
    for name in names:
        digest = hashlib.sha256((packed / name).read_bytes()).hexdigest()
        assert entities[name]["sha256"] == digest and digest not in private, name


def test_it_tells_of_no_text_machine_path_or_secret(run: Checkout, packed: Path) -> None:
    private = run.folder / "results/private/small"
    said = b"".join(path.read_bytes() for path in sorted(packed.rglob("*")) if path.is_file())
    key = (private / "share.key").read_bytes().strip()
    notes = shards.read_parquet(private / "extract/discharge/2019.text.parquet")["text"].to_pylist()
    lines = {line.strip() for note in notes if note for line in note.splitlines() if len(line.strip()) > 60}
    paths = {str(run.folder), str(Path.home()), str(Path(sys.prefix))}
    assert len(lines) > 50 and b"workflow" in said
    for word in (*paths, *lines):
        assert word.encode() not in said, word
    host = re.compile(rf"(?<![\w-]){re.escape(platform.node())}(?![\w-])")
    assert host.search((private / "hospital.sqlite.record.jsonl").read_text(encoding="utf-8"))
    for path in (path for path in packed.rglob("*.*") if path.suffix != ".parquet"):
        assert not host.search(path.read_text(encoding="utf-8")), path
    assert key not in said and key.hex().encode() not in said


def test_hashes_stand_for_private_files(run: Checkout, entities: dict[str, Any]) -> None:
    private = run.folder / "results/private/small"
    for stand_in, pattern in (
        ("extract/discharge", "extract/discharge/*.*"),
        ("clean/admission", "clean/admission/*.*"),
    ):
        files = sorted(path for path in private.glob(pattern) if not path.name.endswith(".record.jsonl"))
        names = {f"<private>/{path.relative_to(private)}": path for path in files}
        named = [f"{shards.sha256(path)}  {name}\n" for name, path in names.items() if not is_guessable(name)]
        assert entities[f"#private/{stand_in}"]["sha256"] == hashlib.sha256("".join(named).encode()).hexdigest()
        assert entities[f"#private/{stand_in}"]["numberOfItems"] == len(files)
    weights = private / "finetune/readmission/tiny/all-0/model.safetensors"
    assert entities["#model/readmission/tiny/all-0"]["sha256"] == shards.sha256(weights)


def test_from_a_measure_one_gets_back_to_the_query(run: Checkout, entities: dict[str, Any]) -> None:
    def refs(value: Any) -> list[str]:
        return [one["@id"] for one in (value if isinstance(value, list) else [value] if value else [])]

    table = shards.read_json(run.folder / "results/small/compare/readmission.json")
    row = next(row for row in table["rows"] if row["model"] == "tiny")
    measure = entities["#measure/readmission/tiny/all/auroc"]
    told = [measure[key] for key in ("value", "minValue", "maxValue")]
    assert told == [row["auroc"][key] for key in ("value", "low", "high")]
    made = {result: one for one in entities.values() if one["@type"] == "CreateAction" and one["@id"] != "#run"
            for result in refs(one.get("result"))}  # fmt: skip
    seen, left = set(), refs(measure["valueReference"])
    while left:
        if (name := left.pop()) not in seen:
            seen.add(name)
            left += refs(entities[name].get("isBasedOn")) + refs(made.get(name, {}).get("object"))
    assert {"workflow/sql/omop/discharge.sql", "#private/tokenizer/notes", "#private/extract/discharge"} <= seen
    assert entities["#rows/discharge/text"]["value"] == 774
    assert made["#model/readmission/tiny/all-0"]["instrument"] == {"@id": "scripts/finetune.py"}


def test_the_reviewer_recomputes_every_metric_from_it(packed: Path) -> None:
    command = [sys.executable, "scripts/recompute.py", "--share", "results/share/readmission.parquet"]
    command += ["--results", "results"]
    done = subprocess.run(command, cwd=packed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": equal\n") == 7


def test_without_the_switch_no_prediction_is_in_it(finished_run: Checkout, tmp_path: Path) -> None:
    folder = unpacked(finished_run, tmp_path / "crate")
    assert not (folder / "results/share").exists() and not list(folder.rglob("*.parquet"))
    assert "Predictions were not shared" in (folder / "ro-crate-preview.html").read_text(encoding="utf-8")


def test_packed_again_its_bytes_are_the_same(run: Checkout) -> None:
    archive = run.folder / "results/small/crate.zip"
    before = archive.read_bytes()
    archive.unlink()
    assert run.ran() == {"crate": 1}
    assert archive.read_bytes() == before


# --- the page --------------------------------------------------------------------------------------------------------


def test_a_browser_shows_the_diagram_the_figures_and_the_flow(packed: Path, entities: dict[str, Any]) -> None:
    look = """({
        pictures: [...document.images].map(i => [i.getAttribute('src'), i.naturalWidth]),
        stages: [...document.querySelectorAll('svg text[font-weight]')].map(t => [t.textContent, t.getBBox().width]),
        headings: [...document.querySelectorAll('h2')].map(h => h.textContent),
        rows: [...document.querySelectorAll('tr')].map(r => [...r.cells].map(c => c.innerText)),
        links: [...document.querySelectorAll('a')].map(a => a.getAttribute('href')),
        wide: document.documentElement.scrollWidth })"""
    told = browser.seen(packed / "ro-crate-preview.html", look)
    assert len(told["pictures"]) == 6 and all(width > 300 for _, width in told["pictures"])
    assert {"extract", "finetune", "evaluate"} <= {name for name, width in told["stages"] if width > 20}
    assert told["headings"][:4] == ["Headline", "Pipeline", "Cohort flow", "Figures"]
    table, flow = (shards.read_json(packed / f"results/{kind}/readmission.json") for kind in ("compare", "flow"))
    assert [table["task"]["title"], "tfidf"] in [row[:2] for row in told["rows"]]
    assert [flow["steps"][0]["title"], str(flow["steps"][0]["stays"])] in [row[:2] for row in told["rows"]]
    for link in told["links"]:
        assert link.startswith("#") or ((packed / link).is_file() and link in entities), link
    assert told["wide"] <= 1200


def test_the_pages_own_check_of_hashes_finds_what_differs(packed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", packed, copy], check=True)
    (copy / "results/summary.csv").write_text("task\n", encoding="utf-8")
    page = (copy / "ro-crate-preview.html").read_text(encoding="utf-8")
    command = html.unescape(re.findall("<pre>(.*?)</pre>", page, re.S)[0]).replace("python ", f"{sys.executable} ", 1)
    said = subprocess.run(["bash", "-c", command], cwd=copy, capture_output=True, text=True, check=True).stdout
    assert re.findall("DIFFERS (.*)", said) == ["results/summary.csv"] and said.count("equal ") > 200


# --- what it is made from --------------------------------------------------------------------------------------------


def test_a_result_that_was_changed_since_is_refused(run: Checkout, tmp_path: Path) -> None:
    results = tmp_path / "small"
    subprocess.run(["cp", "-r", run.folder / "results/small", results], check=True)
    job = stage.Job({}, {"documents": [results / "provenance.json"], "crate": results / "crate.zip"})
    (results / "crate.zip").unlink()
    (results / "summary.csv").write_text("task\n", encoding="utf-8")
    with pytest.raises(stage.StageError, match=r"1 of \d+ files are gone or not as provenance.json has them .*summary"):
        crate.main(job)
    document = shards.read_json(results / "provenance.json")
    document["outputs"]["<results>/notes.txt"] = "0"
    shards.write_json(results / "provenance.json", document)
    with pytest.raises(stage.StageError, match=r"1 of \d+ files of provenance.json are not of class aggregate"):
        crate.main(job)
    assert not (results / "crate.zip").exists()


def test_ancestors_small_counts_and_lost_records_are_told(run: Checkout) -> None:
    results = run.folder / "results/small"
    document = shards.read_json(results / "provenance.json")
    files = crate_files.members([results / "provenance.json"], document, run.folder)
    model = next(model for model in document["models"] if model["kind"] == "transformer")
    model |= {"start": {"hub": "house/bert", "revision": "a" * 40}, "train": model["train"] | {"rows": None}}
    document["queries"][0] |= {"rows": None, "file": "own.sql"}
    lost = next(job for job in document["jobs"] if job["stage"] == "ledger")
    for key in set(lost) - {"stage", "wildcards", "output"}:
        del lost[key]
    document["standing"], lost["missing"] = ["1 of 74 jobs left no record"], True
    written = graph.crate(document, files, "", {"commit": "b" * 40, "dirty": True})
    told = {one["@id"]: one for one in written[0].crate.metadata.generate()["@graph"]}
    assert told["#base/house/bert@" + "a" * 40]["version"] == "a" * 40
    assert {"@id": "#base/house/bert@" + "a" * 40} in told["#model/readmission/tiny/all-0"]["isBasedOn"]
    assert "hidden train rows" in told["#model/readmission/tiny/all-0"]["description"]
    query = document["queries"][0]
    assert told[f"#rows/{query['cohort']}/{query['kind']}"]["value"] == "hidden" and "#query/own.sql" in told
    assert "1 of them without a record" in told[f"#action/ledger/{lost['wildcards']['cohort']}"]["description"]
    assert told["./"]["creativeWorkStatus"] == "Not reproducible as it stands; 1 of 74 jobs left no record"
    assert told["scripts/finetune.py"]["version"] == "b" * 40 + "+"
