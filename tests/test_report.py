import csv
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

import command
import report
import synthetic_results as made
from lib import oracle, predictions, shards, stage, wording

SCRIPT = Path(report.__file__)
NAMES = ("readmission", "length_of_stay", "ward")
ROWS = 400


class Page(HTMLParser):
    """The cells of each table row, the classes of paragraphs, and whatever the page would load or run."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.paragraphs: list[str | None] = []
        self.foreign: list[str] = []
        self._cell = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._cell = self._cell or tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "p":
            self.paragraphs.append(told.get("class"))
        if tag in ("script", "link", "img", "iframe", "d") or not (told.get("href") or "#").startswith("#"):
            self.foreign.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("results")
    each = {name: made.results(folder, name, ROWS) for name in NAMES}
    return {
        "tables": [each[name]["table"] for name in NAMES],
        "flows": [each[name]["flow"] for name in NAMES],
        "leakage": [made.certificate(folder / "leakage" / f"{name}.json", name) for name in NAMES],
        "predictions": [each[name]["predictions"][0] for name in NAMES],
        "oracle": [made.oracle(folder / "oracle.parquet", ROWS, part=1)],
        "inventories": [inventory(folder, "discharge", [OLD])],
    }


OLD, NEW = ([{"cdm_version": "5.4", "source_release": day}] for day in ("2020-01-01", "2020-02-<01>"))


def inventory(folder: Path, cohort: str, releases: list[list[dict[str, str]]]) -> Path:
    """The inventory of a cohort, as far as the report reads it."""
    path = folder / "inventory" / f"{cohort}.json"
    shards.write_json(path, {"releases": releases})
    return path


def job(folder: Path, inputs: dict[str, Any], **changes: Any) -> stage.Job:
    settings = {
        "name": "demo",
        "tasks": [made.TASKS[name] | {"coding": False} for name in NAMES],
        "headline": "test",
        "evaluation": "final",
        "reference": "tfidf",
        "min_cell": 5,
    }
    outputs = {"summary": folder / "summary.txt", "csv": folder / "summary.csv", "page": folder / "index.html"}
    return stage.Job(settings | changes, inputs | outputs)


def test_every_number_is_the_files_own(tmp_path, inputs):
    written = job(tmp_path, inputs)
    report.main(written)
    text = written.path("summary").read_text(encoding="utf-8").splitlines()
    with open(written.path("csv"), encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    page = Page(written.path("page").read_text(encoding="utf-8"))
    assert not page.foreign
    place = 0
    for name, path in zip(NAMES, inputs["tables"], strict=True):
        table = shards.read_json(path)
        for row in table["rows"]:
            estimate = wording.estimate(row["auroc"])
            assert any(row["model"] in line and estimate in line for line in text)
            record = records[place]
            assert (record["task"], record["model"]) == (name, row["model"])
            assert float(record["auroc"]) == row["auroc"]["value"]
            assert float(record["auroc_low"]) == row["auroc"]["low"]
            assert record["difference"] == ("" if row["model"] == "tfidf" else str(row["difference"]["value"]))
            place += 1
            cells = [
                cells
                for cells in page.rows
                if cells[0].removesuffix(" (control)") == row["model"] and estimate in cells
            ]
            assert any(
                wording.estimate(row["difference"]) in c and wording.number(row["brier_scaled"]) in c for c in cells
            )
    for path in inputs["flows"]:
        for step in shards.read_json(path)["steps"]:
            assert any(
                cells[:3] == [step["title"], wording.count(step["stays"]), wording.count(step["patients"])]
                for cells in page.rows
            )
    assert_flow_tables(page, [shards.read_json(path) for path in inputs["flows"]])
    assert ["notes filed after the index time", "–", "0", "not verifiable", "10 of 10 notes have no time"] in page.rows
    assert ["patients in train and test", "0", "0", "pass", "none shared"] in page.rows
    like = "near-duplicates of another patient's training text in test"
    assert [like, "hidden", "0.01", "pass", "hidden of 1200"] in page.rows
    word = "highest AUROC of a single word of the training texts"
    assert [word, "0.6123", "0.75", "pass", "of 1200 words"] in page.rows
    assert max(map(len, text)) <= 80
    assert sum("shuffled (control)" in line for line in text) == len(NAMES)


def assert_flow_tables(page: Page, flows: list[dict[str, Any]]) -> None:
    """By window, by group, with and without a note: each figure of the files, those hidden said to be."""
    for flow in flows:
        for table in (flow["by_window"], *(group["rows"] for group in flow["by_group"].values())):
            for row in table:
                counts = [row["stays"], *(cell["stays"] for cell in row["dropped"]), row["remaining"]]
                told = [row["value"], *map(wording.count, counts)]
                assert any(cells[: len(told)] == told for cells in page.rows)
        for row in flow["notes"]["groups"]["sex"]:
            shares = [f"{row[side]:,} ({wording.percent(row[f'share_{side}'], 1)})" for side in ("with", "without")]
            assert ["sex", row["value"], *shares, wording.number(row["smd"], 2)] in page.rows
        age = flow["notes"]["features"]["age"]
        assert any(
            cells[:2] == ["age", "mean (SD)"] and cells[-1] == wording.number(age["smd"], 2) for cells in page.rows
        )
    assert any("hidden" in cells for cells in page.rows)


def test_the_release_of_the_warehouse_is_told_and_several_in_red(tmp_path, inputs):
    written = job(tmp_path, inputs)
    report.main(written)
    source = written.path("page").read_text(encoding="utf-8")
    assert "Release of the warehouse: cdm version 5.4, source release 2020-01-01." in source
    assert "banner" not in Page(source).paragraphs
    mixed = {"inventories": [inventory(tmp_path, "discharge", [OLD, NEW]), inventory(tmp_path, "admission", [])]}
    report.main(written := job(tmp_path, inputs | mixed))
    source = written.path("page").read_text(encoding="utf-8")
    assert Page(source).paragraphs.count("banner") == 1
    assert "The windows of discharge were extracted from 2 releases of the warehouse" in source
    assert "2020-02-&lt;01&gt;" in source


def test_a_shut_part_has_a_dash_for_its_events(tmp_path, inputs):
    flows = [shards.read_json(path) for path in inputs["flows"]]
    flows[0]["events_of"].remove("test")
    flows[0]["parts"]["test"] |= {"classes": [None, None], "events": None}
    shards.write_json(tmp_path / "flow.json", flows[0])
    written = job(tmp_path, inputs | {"flows": [tmp_path / "flow.json", *inputs["flows"][1:]]})
    report.main(written)
    source = written.path("page").read_text(encoding="utf-8")
    part = flows[0]["parts"]["test"]
    counts = [wording.count(part[name]) for name in ("stays", "patients", "notes")]
    assert ["– test part", *counts, "–", ""] in Page(source).rows
    assert "Events are those of the opened parts, at every step; not of the test part." in source


def test_the_oracle_is_that_of_the_same_rows(tmp_path, inputs):
    written = job(tmp_path, inputs)
    report.main(written)
    with open(written.path("csv"), encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    for name in ("readmission", "length_of_stay"):
        p, label = made.truth(made.TASKS[name], ROWS, 1)
        classes = [1] if name == "readmission" else range(4)
        ceiling = np.mean([roc_auc_score(label == k, p[:, k]) for k in classes])
        for record in (r for r in records if r["task"] == name):
            assert float(record["oracle_auroc"]) == pytest.approx(ceiling, abs=1e-6)
            reached = (float(record["auroc"]) - 0.5) / (ceiling - 0.5)
            assert float(record["share_of_oracle"]) == pytest.approx(reached, abs=1e-4)
        text = written.path("summary").read_text(encoding="utf-8")
        assert any("oracle" in line and wording.number(ceiling) in line for line in text.splitlines())
    assert {r["oracle_auroc"] for r in records if r["task"] == "ward"} == {""}


def test_without_an_oracle_nothing_speaks_of_one(tmp_path, inputs):
    written = job(tmp_path, inputs | {"oracle": []})
    report.main(written)
    for name in ("summary", "csv", "page"):
        text = written.path(name).read_text(encoding="utf-8").replace("tr.oracle", "")
        assert "oracle" not in text


def test_development_says_that_the_test_is_shut(tmp_path, inputs):
    final, shut = job(tmp_path / "final", inputs), job(tmp_path / "shut", inputs, evaluation="development")
    report.main(final)
    report.main(shut)
    pages = [Page(j.path("page").read_text(encoding="utf-8")) for j in (final, shut)]
    assert [page.paragraphs.count("banner") for page in pages] == [0, 1]
    assert "the test set is shut" in shut.path("summary").read_text(encoding="utf-8")
    assert "shut" not in final.path("summary").read_text(encoding="utf-8")


def test_names_from_the_configuration_are_escaped(tmp_path, inputs):
    written = job(tmp_path, inputs, name="<script>alert(1)</script>")
    report.main(written)
    source = written.path("page").read_text(encoding="utf-8")
    assert "<script" not in source
    assert "Next ward &lt;script&gt;" in source
    assert "A &amp; B" in source


def test_the_command_line_gives_the_same_bytes(tmp_path, inputs):
    first, second = job(tmp_path / "a", inputs), job(tmp_path / "b", inputs)
    report.main(first)
    command.run(SCRIPT, second)
    for name in ("summary", "csv", "page"):
        assert first.path(name).read_bytes() == second.path(name).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"label": (made.truth(made.TASKS["readmission"], ROWS, 1)[1] + (np.arange(ROWS) < 7)) % 2},
        {"label": pa.array([None] * 3 + [0] * (ROWS - 3), pa.int64())},
    ],
)
def test_an_outcome_other_than_the_one_that_was_drawn_has_no_oracle_and_the_report_says_so(tmp_path, inputs, changes):
    """As with other edges, another horizon, another definition in the SQL: whoever tries them gets a report."""
    written = job(tmp_path, inputs | {"oracle": [made.oracle(tmp_path / "other.parquet", ROWS, part=1, **changes)]})
    report.main(written)
    with open(written.path("csv"), encoding="utf-8", newline="") as file:
        ceilings = {record["task"]: record["oracle_auroc"] for record in csv.DictReader(file)}
    assert ceilings["length_of_stay"] and not ceilings["readmission"]
    assert "readmission, ward: no oracle" in written.path("summary").read_text(encoding="utf-8")
    assert "No oracle for Readmission within 30 days, Next ward" in written.path("page").read_text(encoding="utf-8")


def test_an_oracle_of_other_rows_is_refused(tmp_path, inputs):
    other = made.oracle(tmp_path / "other.parquet", ROWS, part=1, visit_id=np.arange(ROWS) + 10_005)
    with pytest.raises(stage.StageError, match="5 of 400 rows are not in the oracle"):
        report.main(job(tmp_path, inputs | {"oracle": [other]}))


def test_the_oracle_knows_stays_by_text_too(tmp_path, inputs):
    table = shards.read_parquet(inputs["predictions"][0])
    for key in ("visit_id", "note_id", "person_id"):
        table = table.set_column(table.column_names.index(key), key, table[key].cast(pa.string()))
    shards.write_parquet(tmp_path / "text.parquet", table.schema, [table])
    truth, task = shards.read_parquet(inputs["oracle"][0]), made.TASKS["readmission"]
    values = [oracle.auroc(truth, task, predictions.read(path), None)
              for path in (inputs["predictions"][0], tmp_path / "text.parquet")]  # fmt: skip
    assert values[0] == values[1]
    assert values[0] > 0.6


def test_other_bins_than_the_oracles_have_no_ceiling(inputs):
    truth, rows = shards.read_parquet(inputs["oracle"][0]), predictions.read(inputs["predictions"][1])
    task = made.TASKS["length_of_stay"]
    assert oracle.auroc(truth, task | {"classes": 3}, rows, ["0-2"]) is None
    assert oracle.auroc(truth, task, rows, []) is None
    assert oracle.auroc(truth, task, rows, ["0-2", ">5"]) != oracle.auroc(truth, task, rows, ["0-2"])


def test_coding_is_not_called_prediction(tmp_path, inputs):
    plain, coded = (
        job(tmp_path / name, inputs, tasks=[made.TASKS[task] | {"coding": task in coding} for task in NAMES])
        for name, coding in (("plain", ()), ("coded", NAMES[1:2]))
    )
    for written in (plain, coded):
        written.path("page").parent.mkdir()
        report.main(written)
    said = [line for line in coded.path("summary").read_text(encoding="utf-8").splitlines() if "coding" in line]
    assert said == [f"{NAMES[1]}: coding, not prediction; a discharge note states what coders code from it."]
    assert coded.path("page").read_text(encoding="utf-8").count("Coding, not prediction") == 1
    for name in ("summary", "page"):
        assert "oding, not prediction" not in plain.path(name).read_text(encoding="utf-8")


def test_files_of_another_task_or_part_are_refused(tmp_path, inputs):
    with pytest.raises(stage.StageError, match="its flow file is of another task"):
        report.main(job(tmp_path, inputs | {"flows": [inputs["flows"][1], *inputs["flows"][1:]]}))
    with pytest.raises(stage.StageError, match="its table has other classes"):
        report.main(job(tmp_path, inputs | {"tables": [inputs["tables"][1], *inputs["tables"][1:]]}))
    with pytest.raises(stage.StageError, match="its table is not of the headline part, calibration"):
        report.main(job(tmp_path, inputs, headline="calibration"))
    with pytest.raises(stage.StageError, match="2 leakage files for 3 tasks"):
        report.main(job(tmp_path, inputs | {"leakage": inputs["leakage"][:2]}))
