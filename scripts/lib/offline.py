"""No stage downloads: what a model needs is there before, and compute nodes have no way out."""

import os


def go() -> None:
    """Switch the hub off. Call before importing transformers, which reads this when it is imported."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
