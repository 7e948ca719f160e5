"""``module_utils/container_engine.py``: names of images, accounts, and an engine over a socket."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils.container_engine import (
    Engine,
    EngineError,
    registry_headers,
    split_reference,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Answers(BaseHTTPRequestHandler):
    """An engine that knows no container, has one that runs, and whose pulls fail late."""

    def do_GET(self) -> None:
        self._answer(404, {"message": "No such container: x"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/start"):
            self.send_response(304)
            self.end_headers()
        elif self.path.startswith("/images/create"):
            self._answer(200, {"status": "Pulling"}, {"error": "manifest unknown"})
        else:
            self._answer(409, {"message": "name in use"})

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, *lines: dict[str, str]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write("\n".join(json.dumps(line) for line in lines).encode())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = str(tmp_path / "engine.sock")
    with socketserver.ThreadingUnixStreamServer(path, Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Engine(path)
        server.shutdown()


def test_engine_is_asked_over_its_socket(engine: Engine) -> None:
    assert engine.container("x") is None
    engine.start("x")
    with pytest.raises(EngineError, match="POST /containers/create with 409: name in use"):
        engine.create("x", {})


def test_pull_that_fails_after_it_began_is_a_failure(engine: Engine) -> None:
    with pytest.raises(EngineError, match="dev:1 cannot be pulled: manifest unknown"):
        engine.pull("registry.example/dev:1")


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("dev", ("dev", "latest")),
        ("registry.example:5000/team/dev", ("registry.example:5000/team/dev", "latest")),
        ("registry.example:5000/team/dev:2", ("registry.example:5000/team/dev", "2")),
        ("r.example/dev@sha256:ab", ("r.example/dev", "sha256:ab")),
    ],
)
def test_reference_is_split(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


def test_account_of_the_registry_is_shown(tmp_path: Path) -> None:
    accounts = tmp_path / "config.json"
    auth = base64.b64encode(b"pull:pass:word").decode()
    accounts.write_text(json.dumps({"auths": {"registry.example": {"auth": auth}}}))

    headers = registry_headers(str(accounts), "registry.example/team/dev:1")

    said = json.loads(base64.urlsafe_b64decode(headers["X-Registry-Auth"]))
    assert said == {"username": "pull", "password": "pass:word"}
    assert registry_headers(str(accounts), "other.example/dev") == {}
    assert registry_headers(str(tmp_path / "none"), "registry.example/dev") == {}


def test_accounts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")

    with pytest.raises(EngineError, match=r"config\.json is not what docker login writes"):
        registry_headers(str(tmp_path / "config.json"), "registry.example/dev")
