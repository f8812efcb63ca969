"""leakage: a leak stops the run with counts and leaves no certificate; words are in the private file alone."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import command
import leakage
from leakage_evidence import SETTINGS, cleaned, extracted, pairs, table
from lib import shards, stage

SCRIPT = Path(leakage.__file__)


def job(tmp_path: Path, told: float = 0.0, rows: list[dict] | None = None, **changes: Any) -> stage.Job:
    """300 training rows, a third of them positive; of these a share `told` holds a word that says so."""
    files = {name: tmp_path / name for name in ("rows", "pairs", "duplicates", "certificate")}
    training = [
        {"visit_id": i, "person_id": i, "part": "train", "day": 1, "label": int(i % 3 == 0)} for i in range(300)
    ] + [{"visit_id": 900, "person_id": 900, "part": "test", "day": 1}]
    eligible = table(*training, *(rows or []))
    shards.write_parquet(files["rows"], eligible.schema, [eligible])
    texts = [f"Seen today{'. Readmitted' if i % 3 == 0 and i < 300 * told else ''}" for i in range(300)]
    halves = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, first in zip(halves, (0, 150), strict=True):
        visits = [*range(first, first + 150), 900 + first]
        half = pa.table(
            {"visit_id": pa.array(visits, pa.int64()), "text": [*texts[first : first + 150], "not training"]}
        )
        shards.write_parquet(path, half.schema, [half])
    near = pairs()
    shards.write_parquet(files["pairs"], near.schema, [near])
    shards.write_json(files["duplicates"], {"counts": {"buckets not compared in full": 0}})
    shards.write_json(tmp_path / "extract.json", extracted(written=5))
    shards.write_json(tmp_path / "clean.json", cleaned())
    many = {"extracts": [tmp_path / "extract.json"], "cleaned": [tmp_path / "clean.json"], "clean": halves}
    return stage.Job(SETTINGS | {"min_cell": 10} | changes, files | many | {"terms": tmp_path / "t.terms.csv"})


def test_a_clean_task_is_certified(tmp_path: Path) -> None:
    asked = job(tmp_path)
    (tmp_path / "t.terms.failed.csv").write_text("of an earlier run")
    leakage.main(asked)
    assert shards.read_json(asked.path("certificate"))["verdict"] == "pass"
    lines = asked.path("terms").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["word", "seen", "today"]
    assert not (tmp_path / "t.terms.failed.csv").exists()


def test_a_leak_stops_the_run(tmp_path: Path) -> None:
    asked = job(tmp_path, rows=[{"visit_id": 901, "person_id": 1, "part": "test", "day": 1}])
    with pytest.raises(stage.StageError, match=r"^task t leaks; patients in train and test: 1, allowed 0$"):
        leakage.main(asked)
    assert not asked.path("certificate").exists()
    assert not list(tmp_path.glob("*.csv"))


def test_a_word_that_tells_is_named_in_the_private_file_alone(tmp_path: Path) -> None:
    asked = job(tmp_path, told=0.6)
    with pytest.raises(stage.StageError) as caught:
        leakage.main(asked)
    said = str(caught.value)
    assert said == (
        "task t leaks; highest AUROC of a single word of the training texts: 0.8, allowed 0.75; "
        "the words are in leakage/t.terms.failed.csv of the private folder"
    )
    assert (tmp_path / "t.terms.failed.csv").read_text().splitlines()[1] == "readmitted,yes,0.8000,0.6000,0.0000,60"
    assert not asked.path("certificate").exists() and not asked.path("terms").exists()


def test_the_limit_is_the_configurations(tmp_path: Path) -> None:
    asked = job(tmp_path, told=0.6, limits=SETTINGS["limits"] | {"max_term_auroc": 1.0})
    leakage.main(asked)
    content = asked.path("certificate").read_text()
    assert '"value": 0.8' in content and "readmitted" not in content
    assert "not training" not in asked.path("terms").read_text(), "only training rows are read"


def test_the_command_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    one, two = job(tmp_path / "a", told=0.2), job(tmp_path / "b", told=0.2)
    leakage.main(one)
    command.run(SCRIPT, two)
    for name in ("certificate", "terms"):
        assert one.path(name).read_bytes() == two.path(name).read_bytes()
