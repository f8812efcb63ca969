"""Checkpoints: whole or not counted, pruned but for the best, and one process a folder."""

import os
import shutil

import pytest

from lib import checkpoints
from lib.stage import StageError


def _checkpoint(root, step, sealed=True):
    folder = checkpoints.path_of(root, step)
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(bytes([step]) * 100)
    (folder / "optimizer").write_bytes(b"o" * 50)
    if sealed:
        checkpoints.seal(folder)
    return folder


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "optimizer").unlink(), "optimizer is missing"),
        (lambda folder: (folder / "weights").write_bytes(b"x" * 60), "weights has 60 of 100 bytes"),
        (lambda folder: (folder / "weights").write_bytes(b"x" * 100), "weights has other content"),
        (lambda folder: (folder / "manifest.json").unlink(), "no manifest"),
        (lambda folder: (folder / "manifest.json").write_text('{"files": {"wei'), "no manifest"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "no manifest"),
    ],
)
def test_a_damaged_checkpoint_is_not_whole_and_the_one_before_is_taken(tmp_path, damage, reason):
    _checkpoint(tmp_path, 9)
    folder = _checkpoint(tmp_path, 12)
    assert checkpoints.fault(folder) is None and checkpoints.newest(tmp_path) == (12, [])
    damage(folder)
    assert reason in str(checkpoints.fault(folder))
    step, left = checkpoints.newest(tmp_path)
    assert step == 9 and left[0].startswith(f"checkpoint-12: {reason}")


def test_newest_is_by_number_and_none_where_nothing_is_whole(tmp_path):
    assert checkpoints.newest(tmp_path) == (None, [])
    _checkpoint(tmp_path, 100, sealed=False)
    assert checkpoints.newest(tmp_path) == (None, ["checkpoint-100: no manifest"])
    for step in (9, 20):
        _checkpoint(tmp_path, step)
    assert checkpoints.newest(tmp_path)[0] == 20


def test_pruning_keeps_the_newest_two_and_the_best(tmp_path):
    for step in (3, 6, 9, 12, 15):
        _checkpoint(tmp_path, step)
    checkpoints.prune(tmp_path, best=6)
    assert checkpoints.steps(tmp_path) == [15, 12, 6]
    checkpoints.prune(tmp_path, best=15)
    assert checkpoints.steps(tmp_path) == [15, 12]
    checkpoints.prune(tmp_path, best=None)
    assert checkpoints.steps(tmp_path) == [15, 12]


def test_a_checkpoint_half_removed_does_not_count(tmp_path, monkeypatch):
    folder = _checkpoint(tmp_path, 3)
    monkeypatch.setattr(checkpoints.shutil, "rmtree", lambda *args, **kwargs: None)
    checkpoints.remove(folder)
    assert (folder / "weights").exists() and checkpoints.fault(folder) == "no manifest"


def test_the_lock_is_held_against_another_process_and_let_go(tmp_path):
    def taken_in_a_child():
        child = os.fork()
        if child == 0:
            try:
                with checkpoints.lock(tmp_path):
                    os._exit(0)
            except StageError:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    with checkpoints.lock(tmp_path):
        assert taken_in_a_child() == 1
    assert taken_in_a_child() == 0


def test_a_lock_on_a_folder_that_was_removed_meanwhile_keeps_nobody_out_and_is_taken_anew(tmp_path, monkeypatch):
    """Who waited for the lock of a folder that `store.py` removes must not train beside whoever comes next."""
    folder, waited = tmp_path / "aaaa", []

    def removed(_):
        waited.append(shutil.rmtree(folder))

    real = checkpoints.fcntl.lockf
    monkeypatch.setattr(checkpoints.time, "sleep", lambda _: None)
    monkeypatch.setattr(checkpoints.fcntl, "lockf", lambda *given: (real(*given), None if waited else removed(given)))
    with checkpoints.lock(folder, 5):
        assert waited and (folder / "lock").is_file()


def test_sources_change_with_any_file(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("a = 1\n")
    before = checkpoints.sources(tmp_path)
    (tmp_path / "lib" / "a.py").write_text("a = 2\n")
    assert checkpoints.sources(tmp_path) != before
