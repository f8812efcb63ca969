"""The state of a training comes back bit by bit, and no part of it is a pickle."""

import gzip
import io
import pickle
import random
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

import pickles
from lib import training_state


def trained(steps: int, seed: int = 0):
    """A tiny training after some steps: its model, optimizer and schedule."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(5, 3)
    optimizer = torch.optim.AdamW(
        [{"params": [model.weight], "weight_decay": 0.1}, {"params": [model.bias]}], lr=1 / 3, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 7))
    step(model, optimizer, schedule, steps)
    return model, optimizer, schedule


def step(model, optimizer, schedule, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 5)).square().sum().backward()
        optimizer.step()
        schedule.step()


def test_a_training_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    model, optimizer, schedule = trained(5)
    training_state.save_optimizer(tmp_path, optimizer, schedule)
    training_state.save_random(tmp_path, 0)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    step(model, optimizer, schedule, 4)

    other, its_optimizer, its_schedule = trained(0, seed=9)
    other.load_state_dict(weights)
    training_state.load_optimizer(tmp_path, its_optimizer, its_schedule)
    training_state.load_random(tmp_path, 0)
    step(other, its_optimizer, its_schedule, 4)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert schedule.state_dict() == its_schedule.state_dict()


def test_every_generator_is_brought_back(tmp_path: Path) -> None:
    random.gauss(0, 1)  # leaves a second value waiting, as numpy's does
    np.random.standard_normal()
    training_state.save_random(tmp_path, 1)
    drawn = [(random.gauss(0, 1), np.random.standard_normal(3).tolist(), torch.rand(3).tolist())]
    training_state.load_random(tmp_path, 1)
    drawn.append((random.gauss(0, 1), np.random.standard_normal(3).tolist(), torch.rand(3).tolist()))
    assert drawn[0] == drawn[1]
    assert not training_state.random_file(tmp_path, 0).exists()


def test_no_file_of_it_is_a_pickle(tmp_path: Path) -> None:
    _, optimizer, schedule = trained(2)
    training_state.save_optimizer(tmp_path, optimizer, schedule)
    training_state.save_random(tmp_path, 0)
    assert len(list(tmp_path.iterdir())) == 3 and pickles.found_in(tmp_path) == []


def packed(write) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


VALUE = {"a": [1, 2.5, "text"]}


@pytest.mark.parametrize(
    "content",
    [
        *(pickle.dumps(VALUE, protocol) for protocol in range(6)),
        packed(lambda file: torch.save(VALUE, file)),
        packed(lambda file: torch.save(VALUE, file, _use_new_zipfile_serialization=False)),
        packed(lambda file: np.save(file, np.array([VALUE]), allow_pickle=True)),
        packed(lambda file: np.savez(file, a=np.array([VALUE]))),
        packed(lambda file: joblib.dump(VALUE, file, compress=3)),
        gzip.compress(pickle.dumps(VALUE)),
    ],
    ids=[
        *(f"pickle {n}" for n in range(6)),
        "torch",
        "torch of old",
        "npy",
        "npz",
        "joblib",
        "gzip",
    ],  # gzip tells the time
)
def test_the_search_finds_a_pickle_under_any_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.json").write_bytes(content)
    (tmp_path / "plain.pkl").write_text('{"a": 1}.', encoding="utf-8")
    assert pickles.found_in(tmp_path) == ["weights.json"]
