import re
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import command
import figures
import synthetic_results as made
from lib import shards, stage, wording

SCRIPT = Path(figures.__file__)
OUTPUTS = ("roc", "precision_recall", "calibration", "utility", "training", "flow_figure")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("inputs")
    sizes = {"readmission": ("100", "all")}
    out = {}
    for name in ("readmission", "length_of_stay", "ward"):
        fits = made.fits(sizes.get(name, ("all",)))
        out[name] = made.results(folder, name, 400, fits) | {"fits": fits}
        out[name].pop("predictions")
    return out


def job(folder: Path, name: str, inputs: dict[str, Any], **changes: Any) -> stage.Job:
    fits = inputs["fits"]
    histories = [fit for fit in fits if fit["kind"] == "transformer"]
    settings = {"task": made.TASKS[name], "fits": fits, "history_fits": histories, "headline": "test", "min_cell": 5}
    files = {key: inputs[key] for key in ("metrics", "histories", "table", "flow")}
    return stage.Job(settings | changes, files | {key: folder / f"{key}.svg" for key in OUTPUTS})


def texts(path: Path) -> list[str]:
    """What an SVG says, its text elements in order."""
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", ["readmission", "length_of_stay", "ward"])
def test_figures_are_sound_svg_and_print_the_files_numbers(tmp_path, inputs, name):
    drawn = job(tmp_path, name, inputs[name])
    figures.main(drawn)
    table = shards.read_json(inputs[name]["table"])
    for output in OUTPUTS:
        root = ElementTree.parse(drawn.path(output)).getroot()
        assert root.get("width") == "675pt"  # 900 pixels
        said = " ".join(texts(drawn.path(output)))
        assert made.TASKS[name]["title"].split()[0] in said
        source = drawn.path(output).read_text(encoding="utf-8")
        assert "<dc:date>" not in source
        assert "Matplotlib" not in source
        assert not re.search(r'(href|src)="(?!#)', source)  # nothing is loaded from elsewhere
    told = texts(drawn.path("roc"))
    for row in table["rows"]:
        if row["size"] == "all":
            assert wording.estimate(row["auroc"]) in told
    if name == "readmission":
        told = texts(drawn.path("precision_recall"))
        assert all(wording.number(row["auprc"]) in told for row in table["rows"] if row["size"] == "all")
        assert "AUROC by training size" in texts(drawn.path("training"))
    else:
        first = shards.read_json(inputs[name]["metrics"][0])["parts"]["test"]
        group = first["cuts"] if name == "length_of_stay" else first["classes"]
        panels = texts(drawn.path("calibration"))
        for question in group.values():
            assert wording.number(question["auroc"]["value"]) in told
            assert f"slope {wording.estimate(question['calibration_slope'], 2)}" in panels


def test_the_command_line_gives_the_same_bytes(tmp_path, inputs):
    first = job(tmp_path / "a", "readmission", inputs["readmission"])
    figures.main(first)
    second = job(tmp_path / "b", "readmission", inputs["readmission"])
    command.run(SCRIPT, second)
    for output in OUTPUTS:
        assert first.path(output).read_bytes() == second.path(output).read_bytes()


def test_curves_in_the_svg_are_the_files_points(tmp_path, inputs):
    """The bold ROC line of the leading model, read back from its path."""
    drawn = job(tmp_path, "readmission", inputs["readmission"])
    figures.main(drawn)
    position = next(i for i, f in enumerate(drawn.settings["fits"]) if f["size"] == "all" and f["model"] == "tiny_bert")
    curve = shards.read_json(inputs["readmission"]["metrics"][position])["parts"]["test"]["curves"]["roc"]
    source = drawn.path("roc").read_text(encoding="utf-8")
    bold = r'<path d="([^"]*)"[^>]*style="fill: none; stroke: #0072b2; stroke-width: 1.9'
    lines = [re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", d) for d in re.findall(bold, source)]
    points = max(lines, key=len)
    start, end = points[0], points[-1]
    assert float(start[0]) < float(end[0])
    width, height = float(end[0]) - float(start[0]), float(start[1]) - float(end[1])
    assert width == pytest.approx(height / (curve["value"][-1] - curve["value"][0]), rel=0.01)
    on_line = {round((float(x) - float(start[0])) / width, 2): (float(start[1]) - float(y)) / width for x, y in points}
    for fpr, sensitivity in zip(curve["fpr"], curve["value"], strict=True):
        if fpr in on_line:
            assert on_line[fpr] == pytest.approx(sensitivity - curve["value"][0], abs=0.005)
    assert len(on_line) > 30


def test_rows_too_few_for_curves_and_no_model_finetuned(tmp_path):
    fits = [fit for fit in made.fits(seeds=(0,)) if fit["kind"] != "transformer"]
    inputs = made.results(tmp_path, "comorbidity", 60, fits, min_cell=10) | {"fits": fits}
    drawn = job(tmp_path, "comorbidity", inputs, min_cell=10)
    figures.main(drawn)
    assert any("no curve" in text for text in texts(drawn.path("roc")))
    assert "no training curves: this run finetunes no model" in texts(drawn.path("training"))


def test_a_dollar_or_an_angle_bracket_in_a_title_is_itself(tmp_path, inputs):
    task = made.TASKS["readmission"] | {"title": "Costs < $5 and > $3 & more"}
    drawn = job(tmp_path, "readmission", inputs["readmission"], task=task)
    figures.main(drawn)
    assert any(text.startswith("Costs < $5 and > $3 & more") for text in texts(drawn.path("flow_figure")))


def test_files_that_do_not_belong_are_refused(tmp_path, inputs):
    with pytest.raises(stage.StageError, match="no part temporal_test"):
        figures.main(job(tmp_path, "readmission", inputs["readmission"], headline="temporal_test"))
    short = inputs["readmission"] | {"histories": inputs["readmission"]["histories"][:1]}
    with pytest.raises(stage.StageError, match="1 histories files for 4 history_fits"):
        figures.main(job(tmp_path, "readmission", short))
