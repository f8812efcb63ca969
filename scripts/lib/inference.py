"""A finetuned model applied to tokenized notes.

Notes are sorted by length, so that a batch holds little padding, and the results put back in their order. In single
precision on every device: with bf16 many notes would share one probability, and ranking is what is measured.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification

from lib import batches
from lib.stage import StageError
from lib.training import probabilities


class Classifier:
    """The model in `folder` (config.json, model.safetensors), on the GPU if there is one."""

    def __init__(self, folder: Path, batch_size: int, cpu_threads: int) -> None:
        torch.set_num_threads(cpu_threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("high")  # TF32 on a GPU; no meaning on CPU
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32").to(self._device)
        self._model.eval()
        self._batch_size = batch_size
        self.classes = int(self._model.config.num_labels)

    def predict(self, part: pa.Table) -> NDArray[np.float64]:
        """Probabilities (rows, classes) of a part with input_ids, in the part's order; rows sum to 1.

        StageError if an id is beyond the model's vocabulary or a result is not finite.
        """
        notes = batches.Notes(part)
        entries = self._model.config.vocab_size
        if notes.largest_id() >= entries:
            raise StageError(
                f"there are token ids beyond the model's vocabulary, which goes to {entries - 1}; "
                "pretokenize with the model's tokenizer"
            )
        logits = np.empty((len(notes), self.classes), dtype=np.float32)
        order = batches.Longest(notes.lengths).order
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            logits[rows] = self._logits(batches.collate([notes[int(row)] for row in rows], pad=0))
        if wrong := int((~np.isfinite(logits).all(axis=1)).sum()):
            raise StageError(f"{wrong} of {len(logits)} predictions are not finite; the model did not train well")
        return probabilities(logits)

    @torch.inference_mode()
    def _logits(self, batch: dict[str, torch.Tensor]) -> NDArray[np.float32]:
        inputs = {name: batch[name].to(self._device) for name in ("input_ids", "attention_mask")}
        return self._model(**inputs).logits.float().cpu().numpy()
