"""What a training needs, beside the weights, to go on as if it had never stopped: optimizer, schedule, random numbers.

The library would write these with torch.save: pickles, which run code when they are read. Here tensors are safetensors
and all else is JSON, whose numbers come back as the same bits (Python prints a float so that reading gives it again).
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from lib import shards

OPTIMIZER = "optimizer.safetensors"
SCHEDULE = "schedule.json"


def save_optimizer(folder: Path, optimizer: Any, schedule: Any) -> None:
    """Write the optimizer's tensors to OPTIMIZER, its groups and the schedule of its learning rate to SCHEDULE."""
    state = optimizer.state_dict()
    tensors = {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, values in state["state"].items()
        for name, value in values.items()
    }
    save_file(tensors, folder / OPTIMIZER)
    shards.write_json(folder / SCHEDULE, {"groups": state["param_groups"], "schedule": schedule.state_dict()})


def load_optimizer(folder: Path, optimizer: Any, schedule: Any) -> None:
    """Give both back the state that `save_optimizer` wrote, on the device of the parameters."""
    told = shards.read_json(folder / SCHEDULE)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in load_file(folder / OPTIMIZER).items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": told["groups"]})
    schedule.load_state_dict(told["schedule"])


def random_file(folder: Path, process: int) -> Path:
    return folder / f"random_{process}.json"


def save_random(folder: Path, process: int) -> None:
    """Write the states of all generators of this process: Python's, numpy's, torch's, and one a visible GPU."""
    version, numbers, gauss = random.getstate()
    _, keys, *rest = np.random.get_state(legacy=True)
    state = {
        "python": [version, list(numbers), gauss],
        "numpy": [np.asarray(keys).tolist(), *rest],
        "torch": _hex(torch.get_rng_state()),
        "cuda": [_hex(state) for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
    }
    folder.mkdir(parents=True, exist_ok=True)  # another process may come here before the one that saves the model
    shards.write_json(random_file(folder, process), state)


def load_random(folder: Path, process: int) -> None:
    """Give the generators back the states that `save_random` wrote; of GPUs that are no longer there, none."""
    state = shards.read_json(random_file(folder, process))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", np.array(keys, np.uint32), *rest))
    torch.set_rng_state(_tensor(state["torch"]))
    if torch.cuda.is_available():
        for device, text in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(_tensor(text), device)


def _hex(state: torch.Tensor) -> str:
    return state.numpy().tobytes().hex()


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
