"""The steward's page tells the document's figures, and nothing else."""

from collections import Counter
from copy import deepcopy
from typing import Any

import pytest

from checkout import Checkout
from lib import shards, wording
from lib.data_classes import kinds_of
from lib.steward_page import steward
from test_report import Page


@pytest.fixture
def document(finished_run: Checkout) -> dict[str, Any]:
    return deepcopy(dict(shards.read_json(finished_run.folder / "results/small/provenance.json")))


def test_every_table_tells_the_documents_figures(document: dict[str, Any]) -> None:
    page = Page(source := steward(document))
    assert not page.foreign and source.count("<h1>") == 1
    for one in document["queries"]:
        shown = [one["file"], one["sha256"][:12], str(one["windows"]), wording.count(one["rows"])]
        assert any(cells[2:6] == shown for cells in page.rows), one["file"]
        assert f'title="{one["sha256"]}"' in source
    for step in document["cohort_flow"]["readmission"]["steps"]:
        counts = [wording.count(step[name]) for name in ("stays", "patients", "notes")]
        assert any(cells[:4] == [step["title"], *counts] for cells in page.rows)
    assert ["readmission", "patients", "6", "0 in each", "6 pass"] in page.rows
    verdicts = document["leakage"]["readmission"]["verdicts"]
    counts = [str(verdicts.get(kind, 0)) for kind in ("pass", "reported", "not verifiable", "fail")]
    assert any(cells[:6] == ["readmission", *counts, "certificate/readmission.html"] for cells in page.rows)
    assert "notes filed after the index time" in source
    classes = Counter(kind.data_class for name in document["outputs"] for kind in kinds_of(name))
    assert [(cells[0], cells[2]) for cells in page.rows if cells[0] in classes and len(cells) == 5] == [
        (name, str(classes[name])) for name in ("text", "row", "aggregate")
    ]
    assert document["workflow"]["lock"]["sha256"] in source


def test_what_differs_from_run_to_run_is_told(document: dict[str, Any]) -> None:
    plain = steward(document)
    assert "sharing rows with a reviewer is off" in plain and "notecast-demo" in plain
    assert "Nobody who has opted out was among the stays" in plain
    del document["split"]["salt"]
    document["split"] |= {"salt_env": "SALT"}
    document["cohort_flow"]["readmission"]["opted_out"] = 12
    document["openings"] = []
    shared = {"task": "readmission", "file": "<results>/share/readmission.parquet", "sha256": "12" * 32}
    document["shared"] = [shared | {"parts": ["tuning"], "groups": ["sex"], "min_group": 10}]
    told = steward(document)
    assert "a secret of the site, in the environment variable SALT" in told and "notecast-demo" not in told
    assert "patients who opted out, left out before: 12" in told and "The test was never opened" in told
    row = ["readmission", "share/readmission.parquet", "tuning part", "sex", "10", "121212121212"]
    assert row in Page(told).rows and "a row for each stay" in told


def test_names_are_escaped(document: dict[str, Any]) -> None:
    document["queries"][0]["file"] = "<script>.sql"
    document["headlines"][0]["title"] = document["headlines"][-1]["title"] = "<b>"
    told = steward(document)
    assert "<script" not in told and "<b>" not in told and "&lt;script&gt;.sql" in told
