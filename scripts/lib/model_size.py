"""How many weights a model has, by its shape, before it is there; and what training one costs."""

from collections.abc import Mapping
from typing import Any

VOCABULARY = 50_000  # of a tokenizer whose size the configuration does not tell
FLOPS = 6  # a parameter and token: 2 forward, 4 backward (Kaplan et al. 2020, arXiv:2001.08361)


def parameters(shape: Mapping[str, Any] | None) -> int | None:
    """Weights of an encoder by its shape (hidden_size, layers, intermediate_size, vocabulary); None if unknown.

    >>> parameters({"hidden_size": 768, "layers": 12, "intermediate_size": 3072, "vocabulary": 30522}) // 10**6
    108
    """
    if shape is None:
        return None
    width = shape["hidden_size"]
    layer = 4 * width * width + 2 * width * shape["intermediate_size"]
    return int(shape["vocabulary"] * width + shape["layers"] * layer)


def shape_of(config: Mapping[str, Any]) -> dict[str, int] | None:
    """The shape of a model by its `config.json`, under BERT's names or DistilBERT's; None if it tells another kind."""
    names = {
        "hidden_size": ("hidden_size", "dim"),
        "layers": ("num_hidden_layers", "n_layers"),
        "intermediate_size": ("intermediate_size", "hidden_dim"),
        "vocabulary": ("vocab_size",),
    }
    found = {name: next((config[key] for key in keys if key in config), None) for name, keys in names.items()}
    return {k: v for k, v in found.items() if isinstance(v, int)} if all(found.values()) else None
