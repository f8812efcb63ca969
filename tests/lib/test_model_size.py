"""Parameters by shape: those of real encoders, within what biases and norms add."""

import doctest

import pytest

from lib import model_size
from lib.model_size import parameters, shape_of

BERT = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072, "vocab_size": 30522}
DISTILBERT = {"dim": 768, "n_layers": 6, "hidden_dim": 3072, "vocab_size": 30522}


def test_the_examples() -> None:
    assert doctest.testmod(model_size).failed == 0


@pytest.mark.parametrize(("config", "true"), [(BERT, 109.5e6), (DISTILBERT, 66.4e6)])
def test_published_models(config: dict[str, int], true: float) -> None:
    found = parameters(shape_of(config))
    assert found is not None and abs(found / true - 1) < 0.02


def test_another_kind_of_model_is_unknown() -> None:
    assert shape_of({"d_model": 512, "vocab_size": 32000}) is None and parameters(None) is None
