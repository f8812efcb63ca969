"""The reviewer's page: a way back from each figure of the report, and what can be checked."""

import re
from copy import deepcopy
from typing import Any

import pytest

from checkout import Checkout
from lib import shards, wording
from lib.reviewer_page import reviewer
from test_report import Page


@pytest.fixture
def document(finished_run: Checkout) -> dict[str, Any]:
    return deepcopy(dict(shards.read_json(finished_run.folder / "results/small/provenance.json")))


def way(source: str, model: str) -> str:
    return source.split(f'id="way-readmission-{model}-all"')[1].split("<h3")[0].split("<h2")[0]


def test_each_figure_has_its_way_with_the_hash_of_each_file(document: dict[str, Any]) -> None:
    source = reviewer(document)
    page = Page(source)
    assert not page.foreign
    assert [cells[1] for cells in page.rows if cells[-1] == "way back: holds"] == [
        *("tiny", "tfidf", "structured", "shuffled (control)"),
    ]
    for one in document["headlines"]:
        shown = way(source, one["model"])
        assert wording.estimate(one["auroc"]) in source and one["sha256"] in shown
        rows = [r for r in document["metrics"] if r["model"] == one["model"] and r["part"] == "test"]
        assert len(rows) == len(one["seeds"])
        for row in rows:
            for digest in (row["sha256"], row["predictions"]["sha256"], row["weights"], row["train"]):
                assert f'title="{digest}"' in shown and shown.count(digest) == 2  # in the way, and to copy
        queries = [q["sha256"] for q in document["queries"] if q["cohort"] == "discharge"]
        assert all(digest in shown for digest in queries)
    tokenizer = document["models"][0]["tokenizer"]["sha256"]
    assert tokenizer in way(source, "tiny") and tokenizer not in way(source, "tfidf")
    for one in document["extracts"]:
        assert f'title="{one["sha256"]}"' in source


def test_links_lead_somewhere_and_headings_have_names(document: dict[str, Any]) -> None:
    source = reviewer(document)
    targets = set(re.findall(r' id="([^"]+)"', source))
    links = re.findall(r'href="#([^"]+)"', source)
    assert len(links) > 15 and set(links) <= targets
    assert len(targets) == source.count(' id="')


def test_where_models_began(document: dict[str, Any]) -> None:
    assert "random weights (bert, " in reviewer(document) and "a baseline (tfidf)" in reviewer(document)
    model = document["models"][0]
    model["start"] = {"hub": "a/model", "revision": "f" * 40}
    assert f"began as a/model, revision {'f' * 40}" in reviewer(document)
    model |= {"start": {"folder": "given"}, "start_files": {"config.json": "ab" * 32}}
    told = reviewer(document)
    assert "pretrained weights (1 files, hashes below)" in told
    assert ["tiny: config.json", "ab" * 32] in Page(told).rows


def test_how_to_check_depends_on_what_is_shared(document: dict[str, Any]) -> None:
    assert "predictions were not shared in this run" in reviewer(document)
    document["shared"] = [{"task": "readmission", "file": "<results>/share/readmission.parquet"}]
    command = "python scripts/recompute.py --share results/small/share/readmission.parquet --results results/small"
    assert command in reviewer(document)


def test_names_are_escaped_and_development_is_said(document: dict[str, Any]) -> None:
    for one in document["headlines"]:
        one["title"] = "<script>"
    told = reviewer(document | {"evaluation": "development"})
    assert "<script" not in told and "The test set is shut" in told
