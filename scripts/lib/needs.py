"""What a finetune needs of a machine: minutes and memory, from the model, the rows and the attempt.

First estimates for a queue, with a margin; profiles/README.md shows them for BERT-base. A training that runs out of
time goes on from its last checkpoint, and each further attempt is given as much again. A model that lies finished in
the store is only copied: minutes, no GPU. Should it turn out damaged, the next attempt asks for all that a training
needs.
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
COPYING_MINUTES, COPYING_MB = 5, 2000


class Needs:
    """The resources of the rule `finetune`, as functions that Snakemake calls."""

    def __init__(
        self, config: Config, shape: Callable[[str], dict[str, Any] | None], stored: Callable[[Any], bool]
    ) -> None:
        """`shape` of a model by its name; `stored`: whether the finetune with these wildcards lies in the store."""
        self._config, self._shape, self._stored = config, shape, stored

    def minutes(self, wildcards: Any, input: Any, attempt: int) -> int:
        """For all epochs at `check_source.teraflops`."""
        if self.copied(wildcards, attempt):
            return COPYING_MINUTES
        return round((START_MINUTES + MARGIN * self.gpu_seconds(wildcards, input) / 60) * attempt)

    def megabytes(self, wildcards: Any, input: Any, attempt: int) -> int:
        """Of the node's memory, not the GPU's."""
        if self.copied(wildcards, attempt):
            return COPYING_MB
        tokens = self._rows(wildcards, input) * self._config.models[wildcards.model].max_tokens
        size = BYTES_A_WEIGHT * self._weights(wildcards.model) + BYTES_A_TOKEN * tokens
        return round((LIBRARIES_MB + size / 1e6) * attempt)

    def gpu_seconds(self, wildcards: Any, input: Any) -> float:
        """The arithmetic of all epochs, without start or margin."""
        model = self._config.models[wildcards.model]
        seen = self._rows(wildcards, input) * model.max_tokens * model.training.epochs
        return model_size.FLOPS * self._weights(wildcards.model) * seen / (self._config.check_source.teraflops * 1e12)

    def copied(self, wildcards: Any, attempt: int) -> bool:
        """Whether there is nothing to train. FileNotFoundError as for `_rows`."""
        return attempt == 1 and self._stored(wildcards)

    def spare(self, rule: Any, profile: Any) -> None:
        """Let a copy ask for what any job asks for, not for what the profile sets for the rule: a GPU, its partition.

        `rule` and `profile` (its ResourceSettings) are Snakemake's, and so are the names with an underscore.
        """
        for name in profile._parsed_overwrite_resources.get(rule.name, {}):
            rule.resources[name] = self._spared(rule.resources[name], profile._parsed_default_resources.get(name))

    def _spared(self, asked: Any, usual: Any) -> Callable[..., Any]:
        """The value of one of two Resources; None, without a default, asks for nothing."""

        def value(wildcards: Any, input: Any, attempt: int, threads: int, rulename: str, async_run: Any) -> Any:
            told = usual if self.copied(wildcards, attempt) else asked
            given = {"threads": threads, "rulename": rulename, "async_run": async_run}
            return told and told.evaluate(wildcards, input=input, attempt=attempt, **given).value

        return value

    def _weights(self, model: str) -> int:
        return model_size.parameters(self._shape(model)) or BERT_BASE

    @staticmethod
    def _rows(wildcards: Any, input: Any) -> int:
        """Training rows; FileNotFoundError while the dataset is not there, which Snakemake understands."""
        rows = int(read_json(Path(input.manifests[0]))["rows"])
        return rows if wildcards.size == "all" else min(int(wildcards.size), rows)
