"""What a training is, apart from the library that runs it: its plan of steps, and its history.

The plan shares one *global* batch out over devices and accumulation steps, so that results do not follow the machine.
The history holds every evaluation; the best step and whether patience is at its end follow from it, and it is saved
in each checkpoint, so that a resumed training cannot forget either.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.stage import StageError


@dataclass(frozen=True)
class Plan:
    """Steps of a training: each process takes `accumulation` batches of `device_batch` examples a step."""

    examples_per_step: int
    device_batch: int
    accumulation: int
    steps_per_epoch: int
    steps: int
    warmup_steps: int
    evaluations_per_epoch: int

    def is_evaluation(self, step: int) -> bool:
        """Whether a part of an epoch ends with this step (counted from 1): the last part ends with the epoch."""
        within = (step - 1) % self.steps_per_epoch + 1
        parts = self.evaluations_per_epoch
        return within in {math.ceil(part * self.steps_per_epoch / parts) for part in range(1, parts + 1)}


def plan(training: Mapping[str, Any], rows: int, processes: int = 1) -> Plan:
    """Share the global batch out; StageError if `processes` do not divide it.

    `device_batch` is the largest divisor of a process's share that is at most max_device_batch.
    """
    batch = training["global_batch_size"]
    if batch % processes:
        raise StageError(
            f"training.global_batch_size {batch} cannot be divided over {processes} processes; "
            "change the number of devices or the batch size"
        )
    share = batch // processes
    device_batch = max(d for d in range(1, min(share, training["max_device_batch"]) + 1) if share % d == 0)
    steps_per_epoch = math.ceil(rows / batch)
    steps = steps_per_epoch * training["epochs"]
    return Plan(
        examples_per_step=batch,
        device_batch=device_batch,
        accumulation=share // device_batch,
        steps_per_epoch=steps_per_epoch,
        steps=steps,
        warmup_steps=round(training["warmup_share"] * steps),
        evaluations_per_epoch=training["evaluations_per_epoch"],
    )


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Softmax over the last axis, in double precision whatever the precision of `logits` (n, K)."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def auroc(y: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Area under the ROC curve of `score` (n,) for `y` (n,) with both classes: Mann-Whitney, ties one half.

    Hanley & McNeil 1982, Radiology 143:29. As scikit-learn's, without the second that importing it takes.
    """
    _, tie, sizes = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[tie]
    events = int(y.sum())
    return float((ranks[y].sum() - events * (events + 1) / 2) / (events * (len(y) - events)))


def tuning_metrics(logits: NDArray[Any], labels: NDArray[np.int64]) -> dict[str, float | None]:
    """`log_loss` (mean cross-entropy) and `auroc` of logits (n, K) for labels (n,) in 0..K-1.

    With more than two classes AUROC is the mean over classes of this class against the rest; classes that are absent
    or alone are left out. None where nothing can be said: only one class, or logits that are not finite.
    """
    if not np.isfinite(logits).all():
        return {"log_loss": None, "auroc": None}
    p = probabilities(logits)
    picked = p[np.arange(len(labels)), labels]
    classes = [1] if p.shape[1] == 2 else range(p.shape[1])
    present = [k for k in classes if 0 < int((labels == k).sum()) < len(labels)]
    areas = [auroc(labels == k, p[:, k]) for k in present]
    loss = float(-np.log(np.maximum(picked, np.finfo(np.float64).tiny)).mean())
    return {"log_loss": loss, "auroc": float(np.mean(areas)) if areas else None}


@dataclass
class History:
    """The evaluations of a training in order, the sum of step losses since the last one, and who trained from when.

    `processes` says from which step on how many trained, with an entry more wherever that changed at a resume.
    `metric` is "auroc" (higher is better) or "loss" (lower is better): what chooses the best step.
    """

    metric: str
    patience: int
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    loss_sum: float = 0.0
    processes: list[dict[str, int]] = field(default_factory=list)

    @property
    def last_step(self) -> int:
        """The step of the last evaluation; 0 before the first."""
        return int(self.evaluations[-1]["step"]) if self.evaluations else 0

    def _scores(self) -> list[float]:
        values = [evaluation[f"tuning_{self.metric}"] for evaluation in self.evaluations]
        sign = 1 if self.metric == "auroc" else -1
        return [-math.inf if value is None else sign * value for value in values]

    def best(self) -> dict[str, Any] | None:
        """The evaluation with the best metric, the earliest of equals; None before the first."""
        scores = self._scores()
        return self.evaluations[scores.index(max(scores))] if scores else None

    def exhausted(self) -> bool:
        """Whether the last `patience` evaluations were all no better than the best before them."""
        scores = self._scores()
        return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= self.patience

    def add(self, step: int, epoch: float, train_loss: float, tuning: Mapping[str, float | None]) -> None:
        """Append an evaluation; StageError where the training has diverged."""
        if not math.isfinite(train_loss) or tuning["loss"] is None:
            raise StageError(
                f"the training diverged by step {step}: its loss is not finite; "
                "lower training.learning_rate, or set training.precision to fp32"
            )
        evaluation = {"step": step, "epoch": epoch, "train_loss": train_loss}
        self.evaluations.append(evaluation | {f"tuning_{name}": value for name, value in tuning.items()})
        self.loss_sum = 0.0

    def goes_on(self, step: int, processes: int) -> int | None:
        """Note how many processes train from here on; how many there were before, where that was another number."""
        before = self.processes[-1]["processes"] if self.processes else None
        if processes != before:
            self.processes.append({"from_step": step, "processes": processes})
        return None if processes == before else before

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"evaluations": self.evaluations, "loss_sum": self.loss_sum, "processes": self.processes}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.evaluations = list(state["evaluations"])
        self.loss_sum = state["loss_sum"]
        self.processes = list(state["processes"])
