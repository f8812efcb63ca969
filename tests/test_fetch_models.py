"""fetch_models: a hub of our own on loopback; what is fetched, recorded, refused."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "fetch_models.py"
HUB, REVISION = "clinic/tiny-bert", "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b'{"hidden_size": 8}', "tokenizer.json": b"{}", "model.safetensors": b"weights" * 1000}
PICKLED = {"pytorch_model.bin": b"pickle", "README.md": b"card"}


class Hub(ThreadingHTTPServer):
    """Serves `files` as one revision of one model, as the hub's API does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = FILES | PICKLED
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        self.server.asked.append(self.path)
        path = self.path.split("?")[0]
        content: bytes | None = None
        if path == f"/api/models/{HUB}/tree/{REVISION}":
            entries = [
                {"type": "file", "path": n, "size": len(c), "oid": _oid(c)} for n, c in self.server.files.items()
            ]
            content = json.dumps(entries).encode()
        elif path.startswith(f"/{HUB}/resolve/{REVISION}/"):
            content = self.server.files.get(path.rpartition("/")[2])
        self.send_response(404 if content is None else 200)
        content = content or b""
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{_oid(content)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(folder: Path, hub: Hub | None, name: str = HUB) -> tuple[int, str]:
    settings = json.dumps({"models": [{"hub": name, "revision": REVISION}]})
    words = [sys.executable, str(SCRIPT), "--settings", settings, "--cache", str(folder / "hub")]
    words += ["--record", str(folder / "models.json"), "--page", str(folder / "models.txt")]
    address = f"http://127.0.0.1:{hub.server_port}" if hub else "http://127.0.0.1:9"
    own = {"HF_ENDPOINT": address, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(words, env=os.environ | own, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_what_a_model_needs_is_fetched_once_and_recorded(hub: Hub, tmp_path: Path) -> None:
    assert [fetch(tmp_path, hub)[0] for _ in range(2)] == [0, 0]
    snapshot = tmp_path / "hub" / f"models--{HUB.replace('/', '--')}" / "snapshots" / REVISION
    assert {path.name for path in snapshot.iterdir()} == set(FILES)
    record = json.loads((tmp_path / "models.json").read_text(encoding="utf-8"))
    assert record == {f"{HUB}@{REVISION}": {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}}
    assert f"{HUB}@{REVISION}: 3 files" in (tmp_path / "models.txt").read_text(encoding="utf-8")
    assert not [path for path in hub.asked if "pytorch_model" in path]
    downloads = [path for path in hub.asked if path.endswith("model.safetensors")]
    assert len(downloads) <= 2  # looked at and fetched, the first time


def test_a_revision_that_changed_is_refused(hub: Hub, tmp_path: Path) -> None:
    assert fetch(tmp_path, hub)[0] == 0
    for path in (tmp_path / "hub").rglob("model.safetensors"):
        path.resolve().write_bytes(b"other weights")
    status, said = fetch(tmp_path, hub)
    assert status == 1
    assert "1 files of the cache are not what was fetched first (model.safetensors)" in said


def test_what_cannot_be_had_is_told(hub: Hub, tmp_path: Path) -> None:
    status, said = fetch(tmp_path, hub, "clinic/none")
    assert status == 1 and f"clinic/none {REVISION} cannot be fetched" in said
    status, said = fetch(tmp_path, None)
    assert status == 1 and "does this machine reach the hub" in said
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    status, said = fetch(tmp_path / "other", hub)
    assert status == 1 and "neither weights in safetensors nor a tokenizer" in said
    assert not (tmp_path / "models.json").exists()
