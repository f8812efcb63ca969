"""When a checkpoint is settled, so that what stands behind it may be looked at: it has run, or need not run.

Snakemake takes a checkpoint for settled as soon as nothing is known that has to run before it; but while a checkpoint
further back is open, nothing is known yet. Behind a query that is asked again all was planned, and nothing cut off;
and what a cut-off left to be looked at waited for the next run. So a checkpoint counts here once those before it have
counted for a whole round of Snakemake's (`DAG.update_checkpoint_dependencies`), at whose end it looks at every job.
"""

from collections.abc import Iterable, Sequence
from typing import Any

Asked = tuple[str, tuple[tuple[str, str], ...]]  # a checkpoint's name and its wildcards


class Rounds(set[str]):
    """In place of Snakemake's set of the settled checkpoints' outputs, to which it adds when a round begins."""

    number = 0

    def update(self, *others: Iterable[str]) -> None:
        self.number += 1
        super().update(*others)


class Settling:
    """The checkpoints of a workflow; `checkpoints` is the object of that name in a Snakefile."""

    def __init__(self, workflow: Any, checkpoints: Any) -> None:
        self._workflow, self._checkpoints = workflow, checkpoints
        self._rounds = checkpoints.parent._created_output = Rounds()
        self._settled: dict[Asked, int] = {}  # in which round
        self._planned: tuple[int, frozenset[Asked]] = (-1, frozenset())

    def ask(self, levels: Sequence[Sequence[tuple[str, dict[str, str]]]]) -> None:
        """Return if all checkpoints are settled, given as (name, wildcards) and level by level, the first one first.

        Raises Snakemake's IncompleteCheckpointException for one that is not.
        """
        before = -1  # the round in which the level before was settled
        for level in levels:
            latest = before
            for name, wildcards in level:
                asked = name, tuple(sorted(wildcards.items()))
                if asked not in self._settled:
                    checkpoint = getattr(self._checkpoints, name)
                    if before >= self._rounds.number or self._has_to_run(asked):
                        self._rounds.difference_update(checkpoint.rule.expand_output(wildcards)[0])
                    checkpoint.get(**wildcards)
                    self._settled[asked] = self._rounds.number
                latest = max(latest, self._settled[asked])
            before = latest

    def _has_to_run(self, asked: Asked) -> bool:
        number, planned = self._planned
        if number != self._rounds.number:
            jobs = self._workflow.dag.checkpoint_jobs
            planned = frozenset((job.rule.name, tuple(sorted(job.wildcards_dict.items()))) for job in jobs)
            self._planned = self._rounds.number, planned
        return asked in planned
