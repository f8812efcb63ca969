"""Trying again in a process of its own: what passes, what does not, and what a crash is."""

import faulthandler
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib import attempts
from lib.attempts import PassingError
from lib.stage import StageError


def after(tmp_path: Path, failures: int, fail: Callable[[], Any]) -> Callable[[], dict[str, int]]:
    """An attempt that fails so many times, counting in a file, as each has a process of its own."""
    count = tmp_path / "tries"

    def attempt() -> dict[str, int]:
        tries = len(count.read_text()) if count.exists() else 0
        count.write_text("x" * (tries + 1))
        if tries < failures:
            fail()
        return {"tries": tries + 1}

    return attempt


def lose() -> None:
    raise PassingError("the connection is lost")


def crash() -> None:
    faulthandler.disable()  # pytest's would fill the log with a crash that is meant
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize("fail", [lose, crash])
def test_what_may_pass_is_tried_again(fail: Callable[[], Any], tmp_path: Path) -> None:
    told: list[str] = []
    assert attempts.repeated(after(tmp_path, 2, fail), 3, 0.01, told.append) == {"tries": 3}
    assert [line.rpartition(";")[2] for line in told] == [" try 2 of 4 in 0.01 s", " try 3 of 4 in 0.02 s"]


@pytest.mark.parametrize(("fail", "says"), [(lose, "the connection is lost"), (crash, "the ODBC driver crashed")])
def test_and_not_for_ever(fail: Callable[[], Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(PassingError, match=says):
        attempts.repeated(after(tmp_path, 9, fail), 2, 0.01, lambda _: None)
    assert (tmp_path / "tries").read_text() == "xxx"


def test_what_does_not_pass_is_not_tried_again(tmp_path: Path) -> None:
    def wrong() -> None:
        raise StageError("the database has no table letters")

    with pytest.raises(StageError, match="no table letters") as caught:
        attempts.repeated(after(tmp_path, 9, wrong), 5, 0.01, lambda _: None)
    assert not isinstance(caught.value, PassingError)
    assert (tmp_path / "tries").read_text() == "x"


def test_what_nobody_foresaw_is_told_without_its_message(tmp_path: Path) -> None:
    def quote() -> None:
        raise ValueError("Ingrid Canary")

    told: list[str] = []
    with pytest.raises(RuntimeError) as caught:
        attempts.repeated(after(tmp_path, 9, quote), 5, 0.01, told.append)
    assert told == ["unexpected: builtins.ValueError at attempts.py:" + told[0].partition("attempts.py:")[2]]
    assert "Canary" not in str(caught.value) + "".join(told)


def test_a_killed_attempt_is_no_lost_connection(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"was killed .*was the memory enough"):
        attempts.repeated(after(tmp_path, 9, lambda: os.kill(os.getpid(), signal.SIGKILL)), 5, 0.01, lambda _: None)
    assert (tmp_path / "tries").read_text() == "x"
