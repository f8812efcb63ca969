"""When a checkpoint counts as settled: not in the round in which those before it are."""

from types import SimpleNamespace
from typing import Any

import pytest

from lib.settling import Settling

LEVELS = [[("hospital", {})], [("inventory", {"cohort": "a"}), ("inventory", {"cohort": "b"})], [("dataset", {})]]


class Open(Exception):  # noqa: N818  # as Snakemake's IncompleteCheckpointException
    pass


class Checkpoint:
    def __init__(self, name: str, parent: SimpleNamespace) -> None:
        self._name, self._parent, self.rule = name, parent, self

    def expand_output(self, wildcards: dict[str, str]) -> tuple[list[str], None]:
        return [f"{self._name}{wildcards.get('cohort', '')}"], None

    def get(self, **wildcards: str) -> None:
        if not set(self.expand_output(wildcards)[0]) <= self._parent._created_output:
            raise Open(*self.expand_output(wildcards)[0])


@pytest.fixture
def workflow() -> Any:
    """Snakemake's objects, as far as they are asked; `planned` are the checkpoints that have to run."""
    parent, planned = SimpleNamespace(), []
    dag = SimpleNamespace(checkpoint_jobs=planned)
    proxy = SimpleNamespace(parent=parent, planned=planned)
    for name in ("hospital", "inventory", "dataset"):
        setattr(proxy, name, Checkpoint(name, parent))
    proxy.settling = Settling(SimpleNamespace(dag=dag), proxy)
    proxy.begins = lambda *settled: parent._created_output.update(settled)
    return proxy


ALL = ("hospital", "inventorya", "inventoryb", "dataset")


def asked(workflow: Any) -> str:
    """Which checkpoint is waited for; nothing if none is."""
    try:
        workflow.settling.ask(LEVELS)
    except Open as open_one:
        return str(open_one)
    return ""


def test_a_level_is_looked_at_for_a_round_before_it_counts(workflow: Any) -> None:
    assert asked(workflow) == "hospital"
    workflow.begins(*ALL)
    assert asked(workflow) == "inventorya", "settled only as far as was known before the hospital was"
    workflow.begins("inventorya")
    assert asked(workflow) == "dataset"
    workflow.begins("dataset")
    assert asked(workflow) == asked(workflow) == ""


def test_one_that_has_to_run_is_waited_for_though_it_seemed_settled(workflow: Any) -> None:
    job = SimpleNamespace(rule=SimpleNamespace(name="inventory"), wildcards_dict={"cohort": "b"})
    workflow.begins(*ALL)
    assert asked(workflow) == "inventorya"
    workflow.planned.append(job)
    workflow.begins("inventorya")
    assert asked(workflow) == "inventoryb"
    workflow.planned.remove(job)
    workflow.begins("inventoryb")
    assert asked(workflow) == "dataset"
    workflow.begins("dataset")
    assert asked(workflow) == ""


def test_where_there_is_no_demo_the_first_level_is_empty(workflow: Any) -> None:
    workflow.begins(*ALL)
    workflow.settling.ask([[], [("inventory", {"cohort": "a"})]])
