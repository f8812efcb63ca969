"""Try again what may pass: in a child process each time, because an ODBC driver may take its process with it.

psqlodbc 13.02, for one, crashes (SIGSEGV) when the network is reset in the middle of an answer to a cursor of its own.
A child that dies of a signal is an attempt that failed like any other; what it leaves the next one writes anew.
"""

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from lib import canonical_json
from lib.stage import StageError, without_data

PR_SET_PDEATHSIG = 1
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class PassingError(StageError):
    """What another try may mend: a connection lost, a lock waited for in vain."""


def repeated(attempt: Callable[[], Any], retries: int, pause_seconds: float, say: Callable[[str], None]) -> Any:
    """What `attempt` returns (JSON), after at most `retries` further tries where it raised PassingError or crashed.

    Each try begins from nothing, after twice the pause of the one before (a minute at most). Raises what the last one
    raised; what is no StageError is raised as a RuntimeError, and `say` tells its type and place.
    """
    for number in range(retries + 1):
        try:
            return _in_a_child(attempt, say)
        except PassingError as error:
            if number == retries:
                raise
            pause = min(pause_seconds * 2**number, 60)
            say(f"{error}; try {number + 2} of {retries + 1} in {pause:g} s")
            time.sleep(pause)
    raise AssertionError("there is a last try")


def _in_a_child(attempt: Callable[[], Any], say: Callable[[str], None]) -> Any:
    parent = os.getpid()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _end_with(parent)
        with os.fdopen(writing, "w", encoding="utf-8") as answer:
            answer.write(canonical_json(_outcome(attempt)))
        sys.stdout.flush()
        os._exit(0)  # nothing of the parent's is to be ended twice
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in _CRASHES:
        raise PassingError(
            f"the ODBC driver crashed (signal {os.WTERMSIG(status)}), as some do when they lose a connection"
        )
    if not said:
        raise StageError(f"the extraction was killed (status {status}): was the memory enough?")
    outcome = json.loads(said)
    if "passing" in outcome:
        raise PassingError(outcome["passing"])
    if "wrong" in outcome:
        raise StageError(outcome["wrong"])
    if "unexpected" in outcome:
        say(f"unexpected: {outcome['unexpected']}")
        raise RuntimeError
    return outcome["result"]


def _outcome(attempt: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": attempt()}
    except PassingError as error:
        return {"passing": str(error)}
    except StageError as error:
        return {"wrong": str(error)}
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        traceback.print_exception(error)  # private: see `stage`
        return {"unexpected": without_data(error)}


def _end_with(parent: int) -> None:
    """Let the kernel kill this child when its parent ends: an orphan would go on writing under the shard's name."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
