"""The page is short however many jobs there are, and says what is not known."""

from lib.costs import Cost
from lib.explanation import Explained, Why
from lib.explanation_page import cost_of, page
from lib.jobs import Planned


def explained(stage: str, name: str, *why: Why, sure: bool = True) -> Explained:
    return Explained(Planned(stage, (("task", name),), f"<private>/{stage}/{name}.json"), why, sure)


def test_seventy_five_finetunes_are_a_line() -> None:
    rate, code = Why("models.bert.training.learning_rate: 2e-05 -> 3e-05"), Why("code: lib/fitting.py")
    found = [explained("finetune", f"t{i}", rate, *([code] if i < 5 else [])) for i in range(75)]
    found += [explained("predict", f"t{i}", Why("follows finetune")) for i in range(75)]
    costs = [Cost(1500, 1, "records")] * 72 + [Cost(0, 0, "store")] * 3 + [Cost(20, 0, "records")] * 75
    cost = "about 30 GPU-hours, 3 in the store cost nothing"
    assert list(page("h", found, {"finetune": 80, "predict": 90}, costs, [])) == [
        "h: 150 jobs would run",
        f"finetune  75 of 80  {cost}  70: {rate.text}",
        f"{'':8}  {'':8}  {'':{len(cost)}}  5: {rate.text}; {code.text}",
        f"predict   75 of 90  {'about 25 min of CPU':{len(cost)}}  follows finetune",
        "in all: 75 finetunes, about 30 GPU-hours, 3 in the store cost nothing; 75 other jobs, about 25 min of CPU",
    ]


def test_many_reasons_and_many_files_are_cut_short() -> None:
    reasons = [Why(f"key.{i}: 1 -> 2") for i in range(5)]
    found = [explained("clean", f"{i}", Why("a file is missing", (f"clean/{i}.parquet",))) for i in range(4)]
    found += [explained("clean", f"x{why.text}", why) for why in reasons] + [explained("split", "s", *reasons)]
    lines = list(page("h", found, {"clean": 9, "split": 1}, [Cost(0, 0, "none")] * 10, []))
    assert lines[1].endswith("4: a file is missing: clean/0.parquet, clean/1.parquet and 2 more")
    assert lines[4].strip() == "3: for 3 other reasons"
    assert lines[5].endswith("key.0: 1 -> 2; key.1: 1 -> 2; key.2: 1 -> 2; and 2 more")
    assert lines[-1] == "in all: 10 other jobs, never run here: no estimate"


def test_what_depends_on_the_data_is_a_bound() -> None:
    found = [explained("inventory", "c", Why("follows clean"))]
    found += [explained("finetune", f"t{i}", sure=False) for i in range(3)]
    costs = [Cost(1, 0, "records")] + [Cost(7200, 2, "records")] * 3
    lines = list(page("h", found, {"inventory": 1, "finetune": 3}, costs, ["dataset", "inventory"]))
    assert lines[0] == "h: 1 job would run, at most 3 more"
    assert lines[2:] == [
        "then at most, fewer where the data come out equal (decided after dataset, inventory):",
        "  finetune 3",
        "in all: 1 other job, about 1 s of CPU; and at most 3 finetunes, about 12 GPU-hours",
    ]


def test_nothing_to_run() -> None:
    assert list(page("h", [], {}, [], [])) == ["h: nothing to run, all is up to date"]


def test_times_and_what_is_not_known() -> None:
    assert cost_of([Cost(89, 0, "records")]) == "about 89 s of CPU"
    assert cost_of([Cost(5400, 1, "records"), Cost(300, 0, "records")]) == "about 1.5 GPU-hours, about 5 min of CPU"
    assert cost_of([Cost(36000, 1, "arithmetic")]) == "about 10 GPU-hours by arithmetic"
    assert cost_of([Cost(0, 0, "store")] * 2) == "in the store: nothing to train"
    assert cost_of([Cost(60, 0, "records"), Cost(0, 0, "none")]) == "about 60 s of CPU, 1 never run here: no estimate"
