"""What a finetune needs of a machine: minutes and memory, from the model, the rows and the attempt.

First estimates for a queue, with a margin; profiles/README.md shows them for BERT-base. A training that runs out of
time goes on from its last checkpoint, and each further attempt is given as much again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib import model_size
from lib.config import Config
from lib.files import read_json

BERT_BASE = 110_000_000  # weights, where the configuration does not tell
MARGIN = 2  # evaluations, a shared file system, a GPU that is slower than hoped for
START_MINUTES = 15  # until the first step, and for the last file
LIBRARIES_MB = 6000  # torch with CUDA, before any weight
BYTES_A_WEIGHT = 24  # weights, gradients, two moments in float32; what is written next to what is kept
BYTES_A_TOKEN = 8  # ids of the rows, and their copy when a subset is drawn


class Needs:
    """The resources of the rule `finetune`, as functions that Snakemake calls."""

    def __init__(self, config: Config, shape: Callable[[str], dict[str, Any] | None]) -> None:
        self._config, self._shape = config, shape

    def minutes(self, wildcards: Any, input: Any, attempt: int) -> int:
        """For all epochs at `check_source.teraflops`."""
        model = self._config.models[wildcards.model]
        seen = self._rows(wildcards, input) * model.max_tokens * model.training.epochs
        seconds = (
            model_size.FLOPS * self._weights(wildcards.model) * seen / (self._config.check_source.teraflops * 1e12)
        )
        return round((START_MINUTES + MARGIN * seconds / 60) * attempt)

    def megabytes(self, wildcards: Any, input: Any, attempt: int) -> int:
        """Of the node's memory, not the GPU's."""
        tokens = self._rows(wildcards, input) * self._config.models[wildcards.model].max_tokens
        size = BYTES_A_WEIGHT * self._weights(wildcards.model) + BYTES_A_TOKEN * tokens
        return round((LIBRARIES_MB + size / 1e6) * attempt)

    def _weights(self, model: str) -> int:
        return model_size.parameters(self._shape(model)) or BERT_BASE

    @staticmethod
    def _rows(wildcards: Any, input: Any) -> int:
        """Training rows; FileNotFoundError while the dataset is not there, which Snakemake understands."""
        rows = int(read_json(Path(input.manifests[0]))["rows"])
        return rows if wildcards.size == "all" else min(int(wildcards.size), rows)
