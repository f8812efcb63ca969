"""status: what each training does, from the folders that it leaves."""

import os
import time
from pathlib import Path

import pytest
import yaml

import status
from checkout import small_config


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = small_config(private_root=str(tmp_path / "private"), seeds=[0, 1, 2, 3])
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "workflow").symlink_to(Path(__file__).resolve().parents[1] / "workflow")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def log(run: Path, seed: int, text: str, age: float = 0) -> None:
    path = run / "results" / "small" / "logs" / "finetune" / f"readmission-tiny-all-{seed}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time.time() - age,) * 2)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert status.main(["--configfile", "test.yaml"]) == 0
    return capsys.readouterr().out.splitlines()


def test_each_training_is_told_as_what_it_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys)[0].endswith("waiting") and len(told(capsys)) == 1
    done = run / "private" / "small" / "finetune" / "readmission" / "tiny" / "all-0"
    done.mkdir(parents=True)
    (done / "manifest.json").write_text("{}", encoding="utf-8")
    going = "12:00:00 going on\n12:00:10 step 40/120, epoch 1.0, 310 examples/s, at most 80 s left\n12:00:11 saved\n"
    log(run, 1, going)
    log(run, 2, going, age=1200)
    log(run, 3, "12:00:00 on cpu\nerror: train.arrow: no rows in train\ndetails: logs/x.log below the private root\n")
    first, *rest = told(capsys)
    assert first.startswith("small: 2 stopped, 1 training, ") and first.endswith(" waiting, 1 finished")
    assert [line.split()[:3] for line in rest] == [
        ["stopped", "readmission", "tiny/all-2"],
        ["stopped", "readmission", "tiny/all-3"],
        ["training", "readmission", "tiny/all-1"],
    ]
    assert "silent for 20 min; last: step 40/120" in rest[0]
    assert rest[1].endswith("error: train.arrow: no rows in train")
    assert rest[2].endswith("step 40/120, epoch 1.0, 310 examples/s, at most 80 s left")


def test_a_wrong_configuration_is_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["--configfile", "none.yaml"]) == 1
    assert "there is no file none.yaml" in capsys.readouterr().err
