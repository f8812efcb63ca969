"""flow: the stage reads the eligibility rows and writes aggregates only."""

from pathlib import Path

import pyarrow as pa

import flow
from lib import shards, stage


def test_it_counts_the_rows_of_the_file(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "visit_id": range(40),
            "person_id": [i // 2 for i in range(40)],
            "step": [None] * 30 + ["note"] * 10,
            "reason": [None] * 30 + ["no_note"] * 10,
            "part": ["train"] * 30 + [None] * 10,
            "label": [i % 2 for i in range(30)] + [None] * 10,
        }
    )
    shards.write_parquet(tmp_path / "rows", rows.schema, [rows])
    manifests = [tmp_path / "2019.labels.json", tmp_path / "2020.labels.json"]
    for path, excluded in zip(manifests, (4, 3), strict=True):
        shards.write_json(path, {"counts": {"excluded": excluded}})
    settings = {"task": "t", "classes": 2, "min_cell": 5}
    files = {"rows": tmp_path / "rows", "extracts": manifests, "flow": tmp_path / "flow.json"}
    flow.main(stage.Job(settings, files))
    found = shards.read_json(tmp_path / "flow.json")
    assert [(s["stays"], s["patients"], s["events"]) for s in found["steps"][:2]] == [(40, 20, 15), (30, 15, 15)]
    assert found["parts"]["train"] == {"patients": 15, "stays": 30, "classes": [15, 15], "events": 15}
    assert found["opted_out"] == 7
