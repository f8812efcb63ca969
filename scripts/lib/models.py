"""A classifier to start from, and the files that let `from_pretrained` load it with its tokenizer.

A start is random weights of a stated shape, a local folder, or a pinned revision that is already in the hub's cache;
the network is never asked. A new head for the task's classes is put on, drawn from the seed.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, BertConfig, PreTrainedModel, set_seed
from transformers.utils import logging

from lib import shards, tokens
from lib.stage import StageError

_SPECIAL = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def quiet() -> None:
    """No bars and no warnings of the library: a stage's log is its own."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """The special tokens by their role, under BERT's names or RoBERTa's, as far as the vocabulary has them."""
    found = {}
    for role, names in _SPECIAL.items():
        known = [name for name in names if tokenizer.token_to_id(name) is not None]
        if known:
            found[role] = known[0]
    return found


def pad_id(tokenizer: Tokenizer) -> int:
    """The id to fill up with; 0 where the tokenizer names none (the attention mask hides it)."""
    name = special_tokens(tokenizer).get("pad_token")
    return tokenizer.token_to_id(name or "") or 0


def load(
    start: Mapping[str, Any],
    folder: Path | None,
    tokenizer: Tokenizer,
    class_names: Sequence[str],
    max_tokens: int,
    seed: int,
) -> PreTrainedModel:
    """A classifier of len(class_names) classes, its new weights drawn from `seed`.

    `start` is {"scratch": shape}, {"folder": true} with `folder`, or {"hub": id, "revision": commit}. StageError if it
    is not there, its vocabulary is smaller than the tokenizer's, or its positions are fewer than `max_tokens`.
    """
    labels = dict(enumerate(class_names))
    head = {
        "num_labels": len(labels),
        "id2label": labels,
        "label2id": {name: k for k, name in labels.items()},
        "problem_type": "single_label_classification",
    }
    set_seed(seed)
    if "scratch" in start:
        config = _bert(start["scratch"], tokenizer, max_tokens, head)
        model = AutoModelForSequenceClassification.from_config(config)
    else:
        source, options = (str(folder), {}) if "folder" in start else (start["hub"], {"revision": start["revision"]})
        model = _pretrained(source, options, head)
    entries = tokens.vocabulary_entries(tokenizer)
    if entries > model.config.vocab_size:
        raise StageError(
            f"the tokenizer has {entries} entries, the start's vocabulary {model.config.vocab_size}; "
            "use the tokenizer that the start was trained with"
        )
    positions = getattr(model.config, "max_position_embeddings", max_tokens)
    if max_tokens > positions:
        raise StageError(f"max_tokens is {max_tokens}, the start has {positions} positions; lower max_tokens")
    return model


def _bert(shape: Mapping[str, Any], tokenizer: Tokenizer, max_tokens: int, head: Mapping[str, Any]) -> BertConfig:
    return BertConfig(
        vocab_size=tokens.vocabulary_entries(tokenizer),
        hidden_size=shape["hidden_size"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        intermediate_size=shape["intermediate_size"],
        hidden_dropout_prob=shape["dropout"],
        attention_probs_dropout_prob=shape.get("attention_dropout", shape["dropout"]),
        max_position_embeddings=max_tokens,
        pad_token_id=pad_id(tokenizer),
        **head,
    )


def _pretrained(source: str, options: Mapping[str, str], head: Mapping[str, Any]) -> PreTrainedModel:
    try:
        return AutoModelForSequenceClassification.from_pretrained(
            source, ignore_mismatched_sizes=True, dtype="float32", **options, **head
        )
    except (OSError, ValueError) as error:
        if options:
            how = "fetch it once with: snakemake fetch_models --cores 1"
            raise StageError(f"the model {source} is not in the local cache; {how}") from error
        raise StageError("the start folder has no config.json and weights that the library can load") from error


def describe_tokenizer(tokenizer: Tokenizer, max_tokens: int) -> dict[str, Any]:
    """tokenizer_config.json: with it `AutoTokenizer` gives the ids that the model was trained on.

    A literal "[SEP]" in a note is text, hence split_special_tokens.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        **special_tokens(tokenizer),
    }


def published_config(config: Path) -> dict[str, Any]:
    """A saved config.json without what says where it came from."""
    return {name: value for name, value in shards.read_json(config).items() if not name.startswith("_")}


def parameters(weights: Path) -> int:
    """How many numbers a weights file holds, from its header alone."""
    from safetensors import safe_open

    with safe_open(str(weights), framework="numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
