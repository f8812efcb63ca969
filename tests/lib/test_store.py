"""What names a training's folder, and what it says of itself."""

import json
import os
from pathlib import Path

from lib import store


def test_the_key_follows_settings_content_and_code_but_no_path(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "train.arrow", tmp_path / "b" / "train.arrow"
    for path in (one, other):
        path.parent.mkdir()
        path.write_bytes(b"rows")
    settings = {"a": 1, "b": 2}
    key = store.key(settings, store.content({"train": [one]}), "code")
    assert key == store.key({"b": 2, "a": 1}, store.content({"train": [other]}), "code") and len(key) == 16
    other.write_bytes(b"other")
    changed = [({"a": 1, "b": 3}, one, "code"), (settings, other, "code"), (settings, one, "edited")]
    assert key not in {store.key(told, store.content({"train": [path]}), code) for told, path, code in changed}
    assert key != store.key(settings, store.content({"tuning": [one]}), "code")


def test_it_says_what_it_is_without_a_path_and_its_time_is_the_last_use(tmp_path: Path) -> None:
    settings, data = {"size": "all", "seed": 3, "epochs": 2}, {"train": [["train.arrow", "ab"]]}
    published = tmp_path / "finetune" / "readmission" / "tiny" / "all-3" / "manifest.json"
    store.note(tmp_path, published, settings, data, "code")
    text = (tmp_path / store.WHAT).read_text()
    assert str(tmp_path) not in text
    assert json.loads(text) == {
        "task": "readmission",
        "model": "tiny",
        "size": "all",
        "seed": 3,
        "settings": settings,
        "data": data,
        "code": "code",
    }
    os.utime(tmp_path / store.WHAT, (1, 1))
    store.note(tmp_path, published, settings, data, "code")
    assert (tmp_path / store.WHAT).stat().st_mtime > 1 and (tmp_path / store.WHAT).read_text() == text


def test_a_training_started_by_hand_names_no_folder_of_the_host(tmp_path: Path) -> None:
    store.note(tmp_path, tmp_path / "out" / "manifest.json", {"size": 1, "seed": 0}, {}, "")
    what = json.loads((tmp_path / store.WHAT).read_text())
    assert (what["task"], what["model"]) == (None, None)
