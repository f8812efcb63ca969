import numpy as np
import pytest

import synthetic_results as made
from lib import figures, shards, wording
from lib.figure_flow import flow


def metric(part: dict) -> dict:
    return {"parts": {"test": part}}


def test_each_model_is_drawn_at_its_largest_size_with_all_seeds():
    fits = made.fits(sizes=("1000", "100"), seeds=(3, 4)) + made.fits(sizes=("all",), seeds=(3,))[:1]
    blocks = [metric({"fit": i}) for i in range(len(fits))]
    shown = {one.model: one for one in figures.series(fits, blocks, "test", "tfidf")}
    assert list(shown) == ["tiny_bert", "tfidf", "structured", "shuffled"]
    assert (shown["tiny_bert"].size, shown["tiny_bert"].seeds) == ("all", [3])
    assert (shown["tfidf"].size, shown["tfidf"].seeds) == ("1000", [3, 4])
    drawn = [fits[block["fit"]] for block in shown["tfidf"].blocks]
    assert [(f["model"], f["size"], f["seed"]) for f in drawn] == [("tfidf", "1000", 3), ("tfidf", "1000", 4)]
    assert shown["shuffled"].colour == figures.CONTROL
    assert len({one.colour for one in shown.values()}) == 4
    assert figures.leading(list(shown.values())).model == "tiny_bert"
    assert figures.reference(list(shown.values()), "tfidf").model == "tfidf"
    assert figures.reference(list(shown.values()), None) is None


def test_the_leading_model_is_no_control_and_not_its_own_reference():
    fits = [fit for fit in made.fits() if fit["kind"] != "transformer"][::-1]
    shown = figures.series(fits, [metric({})] * len(fits), "test", "structured")
    assert figures.leading(shown).model == "structured"
    assert figures.reference(shown, "structured") is None


def test_the_reference_comes_second_and_controls_last():
    shown = figures.series(made.fits(), [metric({})] * len(made.fits()), "test", "structured")
    assert [one.model for one in shown] == ["tiny_bert", "structured", "tfidf", "shuffled"]


def test_panels_are_events_cuts_or_classes():
    asked = {name: [q.name for q in figures.questions(task)] for name, task in made.TASKS.items()}
    assert asked["readmission"] == ["yes"]
    assert asked["length_of_stay"] == ["> 0-2", "> 3", "> 4-5"]
    assert asked["ward"] == ["A & B", "C", "<D>"]
    assert next(q.title for q in figures.questions(made.TASKS["length_of_stay"])) == "above 0-2"


@pytest.mark.parametrize("count", range(1, 8))
def test_panels_and_legend_do_not_overlap(count):
    grid = figures.Grid.of(count, extra=0.5)
    corners = [grid.corner(i) for i in range(count)]
    for i, (x, y) in enumerate(corners):
        assert x + grid.panel <= figures.WIDTH
        for u, v in corners[:i]:
            apart = abs(x - u) >= grid.panel + 0.5 or abs(y - v) >= grid.panel + grid.extra + 0.5
            assert apart
    x, y = grid.legend_corner()
    right, bottom = max(c[0] for c in corners) + grid.panel, max(c[1] for c in corners) + grid.panel + grid.extra
    assert (x > right and figures.WIDTH - x > 1.8) if grid.beside else y > bottom + 0.5


def test_nulls_are_gaps():
    assert np.isnan(figures.values([0.5, None])[1])


def test_wording_keeps_the_files_digits():
    assert wording.estimate({"value": 0.71249, "low": 0.69, "high": 0.7349}) == "0.712 (0.690–0.735)"
    assert wording.estimate({"value": -0.0954, "low": -0.1281, "high": 0.002}) == "−0.095 (−0.128 to 0.002)"
    assert wording.estimate({"value": None, "low": None, "high": None}) == "–"
    assert wording.estimate({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert wording.number(-0.0001) == "0.000"
    assert (wording.count(12345), wording.count(0), wording.count(None)) == ("12,345", "0", "hidden")
    assert wording.percent(-0.016) == "−2 %"
    assert (wording.reason("died_in_hospital"), wording.reason("own_reason")) == ("died in hospital", "own reason")


def texts(sheet: figures.Sheet) -> list[str]:
    return [text.get_text() for text in sheet.figure.texts]


def test_the_flow_prints_each_count_and_says_what_is_hidden(tmp_path):
    task = made.TASKS["readmission"]
    counted = stage_flow(tmp_path, task)
    with figures.styled():
        written = texts(flow(task, counted, 10))
    assert any("8,700 of 12,345 stays (70 %) enter the task" in text for text in written)
    for step in counted["steps"]:
        assert f"{step['stays']:,} stays · {step['patients']:,} patients · {step['notes']:,} notes" in written
        for dropped in step["dropped"]:
            assert f"{wording.reason(dropped['reason'])}: {wording.count(dropped['stays'])}" in written
    for part in counted["parts"].values():
        assert f"{part['stays']:,} stays" in written
    assert any("counts below 10" in text for text in written)
    assert not any("opened" in text for text in written)


def test_the_flow_says_which_parts_are_not_opened(tmp_path):
    task = made.TASKS["readmission"]
    counted = stage_flow(tmp_path, task)
    counted["events_of"].remove("test")
    counted["parts"]["test"] |= {"classes": [None, None], "events": None}
    with figures.styled():
        written = texts(flow(task, counted, 1))
    assert written.count("events not opened") == 1
    assert any("Events are those of the opened parts." in text for text in written)
    assert not any("counts below" in text for text in written)


def test_the_flow_of_classes_counts_classes_and_hides_nothing_unsaid(tmp_path):
    task = made.TASKS["length_of_stay"]
    counted = stage_flow(tmp_path, task)
    counted["steps"][2]["dropped"] = counted["steps"][2]["dropped"][:1]
    with figures.styled():
        written = texts(flow(task, counted, 10))
    assert f">5: {counted['parts']['test']['classes'][3]}" in written
    assert not any(
        "hidden" in text or "events" in text.removeprefix("Patients, stays, notes and events") for text in written
    )


def stage_flow(folder, task: dict) -> dict:
    return shards.read_json(made.flow(folder / "flow.json", task))


def test_the_flow_says_how_many_stays_of_patients_who_opted_out_were_left_out(tmp_path):
    task = made.TASKS["readmission"]
    counted = stage_flow(tmp_path, task)
    for opted_out, said in ((0, None), (12, "before: 12."), (None, "before: hidden.")):
        with figures.styled():
            written = " ".join(texts(flow(task, counted | {"opted_out": opted_out}, 10)))
        assert (said in written) if said else ("opted out" not in written)
