"""What a training used: with an nvidia-smi that is made up."""

import os
from pathlib import Path

import pytest

from lib.usage import Usage


def test_samples_become_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/says\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    used = Usage()
    for said in ("80, 10240\n60, 2048\n", "100, 30000\n40, 2048\n", "[N/A], [N/A]\n"):
        (tmp_path / "says").write_text(said)
        used.sample()
    assert "--id=1,3" in (tmp_path / "asked").read_text()
    assert used.line().endswith("of a GPU 30,000 MB, GPU busy 70 %")


def test_without_a_gpu_there_is_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    used = Usage()
    used.sample()
    assert used.line().startswith("0.0 min, peak memory of the process ") and "GPU" not in used.line()
