"""Devices for a training alone: with a list that is made up, as CUDA_VISIBLE_DEVICES is."""

import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from lib import devices

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with three GPUs, and nobody's locks but ours."""
    for name in ("SLURM_JOB_ID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-b/1,2")
    monkeypatch.setattr(devices, "_folder", lambda: tmp_path)
    monkeypatch.setattr(devices, "WAIT_SECONDS", 0.02)


def hold(wanted: int, holding: Event, leave: Event, kept: "multiprocessing.Queue[list[str]]") -> None:
    with devices.leased(wanted, lambda _: None) as given:
        kept.put(given)
        holding.set()
        leave.wait(20)


def test_trainings_share_no_device_and_wait_for_enough() -> None:
    holding, leave = FORK.Event(), FORK.Event()
    kept: multiprocessing.Queue[list[str]] = FORK.Queue()
    other = FORK.Process(target=hold, args=(2, holding, leave, kept))
    other.start()
    assert holding.wait(10)
    assert kept.get(timeout=5) == ["0", "GPU-b/1"]
    with devices.leased(1, lambda _: None) as mine:
        assert mine == ["2"]
        assert devices.visible() == ["2"]  # of what runs inside
    assert devices.visible() == ["0", "GPU-b/1", "2"]
    told: list[str] = []
    waiting = FORK.Process(target=lambda: time.sleep(0.2) or leave.set())
    waiting.start()
    with devices.leased(2, told.append) as mine:
        assert len(mine) == 2
    assert told == ["waiting for 2 of 3 GPUs: others train on them"]
    other.join()
    waiting.join()


def test_a_killed_training_gives_its_devices_back() -> None:
    holding, leave = FORK.Event(), FORK.Event()
    kept: multiprocessing.Queue[list[str]] = FORK.Queue()
    other = FORK.Process(target=hold, args=(3, holding, leave, kept))
    other.start()
    assert holding.wait(10)
    other.kill()
    other.join()
    with devices.leased(3, lambda _: pytest.fail("it waits")) as mine:
        assert len(mine) == 3


def test_more_than_there_are_is_all_of_them() -> None:
    with devices.leased(8, lambda _: None) as mine:
        assert mine == ["0", "GPU-b/1", "2"]


@pytest.mark.parametrize(("name", "value"), [("SLURM_JOB_ID", "7"), ("WORLD_SIZE", "2")])
def test_what_a_scheduler_or_a_launcher_gave_is_taken_as_it_is(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, value)
    with devices.leased(1, lambda _: None) as mine:
        assert mine == ["0", "GPU-b/1", "2"]
    assert not list(tmp_path.iterdir())


def test_a_record_tells_name_and_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\necho "$@" | grep -q -- "--id=0,2" && printf "H100, 550.1\\nH100, 550.1\\n"\n')
    smi.chmod(0o755)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert devices.described() == [{"name": "H100", "driver": "550.1"}] * 2
    smi.unlink()
    assert devices.described() == []


def test_a_machine_without_a_gpu_leases_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    with devices.leased(1, lambda _: None) as mine:
        assert mine == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.visible() == []
