"""The way back from a file, by hashes written and read."""

from typing import Any

from lib.chain import Chain, figures


def made(stage: str, inputs: dict[str, str], outputs: dict[str, str]) -> dict[str, Any]:
    return {"stage": stage, "output": next(iter(outputs)), "inputs": inputs, "outputs": outputs}


JOBS = [
    made("extract", {"warehouse": "0"}, {"<private>/extract/a.parquet": "1", "<private>/extract/a.json": "2"}),
    made(
        "clean",
        {"<private>/extract/a.parquet": "1", "<private>/extract/a.json": "2"},
        {"<private>/clean/a.parquet": "3"},
    ),
    made("clean", {"<private>/extract/a.parquet": "1"}, {"<private>/clean/b.parquet": "4"}),
    made(
        "finetune", {"<private>/clean/a.parquet": "3", "model.bin": "9"}, {"<private>/finetune/model.safetensors": "5"}
    ),
    made("evaluate", {"<private>/finetune/model.safetensors": "5"}, {"<results>/evaluate/a.json": "6"}),
    {"stage": "share", "output": "<results>/share/a.parquet", "missing": True},
]
FIGURE = "<results>/evaluate/a.json"


def chain(jobs: list[dict[str, Any]]) -> Chain:
    written = {name: digest for job in jobs for name, digest in job.get("outputs", {}).items()}
    return Chain({"jobs": jobs, "outputs": written})


def test_it_goes_back_to_the_extracts_and_to_nothing_else() -> None:
    found = chain(JOBS).behind([FIGURE])
    assert set(found) == {
        *(FIGURE, "<private>/finetune/model.safetensors", "<private>/clean/a.parquet"),
        *("<private>/extract/a.parquet", "<private>/extract/a.json"),
    }
    assert found["<private>/clean/a.parquet"] == {"3"} and found[FIGURE] == set()
    assert chain(JOBS).broken([FIGURE]) == []
    assert chain(JOBS).by_stage([FIGURE]) == {  # no manifests of private files
        "clean": ["<private>/clean/a.parquet"],
        "extract": ["<private>/extract/a.parquet"],
        "finetune": ["<private>/finetune/model.safetensors"],
        "evaluate": [FIGURE],
    }


def test_it_breaks_where_other_content_was_read_than_written() -> None:
    other = [*JOBS]
    other[1] = JOBS[1] | {"inputs": {"<private>/extract/a.parquet": "8", "<private>/extract/a.json": "2"}}
    assert chain(other).broken([FIGURE]) == ["<private>/extract/a.parquet"]
    assert chain(other).broken(["<private>/clean/b.parquet"]) == []


def test_figures_are_those_that_a_job_wrote() -> None:
    rows = {"headlines": [{"file": "a"}, {"file": "lost"}], "metrics": [{"file": "b"}, {"file": "b"}]}
    assert figures(rows | {"outputs": {"a": "1", "b": "2", "c": "3"}}) == ["a", "b"]
