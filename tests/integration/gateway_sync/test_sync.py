"""gateway_sync between a Deploy that can be told what to answer and a real HAProxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.gateway.conftest import HAPROXY
from tests.integration.runtime_agent.rig import Haproxy, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "gateway-token-of-the-tests"
#: A start, a poll and a heal take 6 s at most; the rest is for a machine that is busy.
HEALED_SECONDS = 30


class RouteTable:
    """Deploy's side: a version, its routes, or a failure."""

    def __init__(self) -> None:
        self.version = 1
        self.routes: dict[str, str] = {}
        self.status = 200
        self.tokens: list[str | None] = []
        self._changed = threading.Condition()
        table = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                table.tokens.append(self.headers["X-Gateway-Token"])
                status, data = table.answer(
                    int(query["sinceVersion"][0]), int(query["waitSeconds"][0])
                )
                body = {"code": status, "message": "ok" if status == 200 else "down", "data": data}
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, since: int, wait_seconds: int) -> tuple[int, dict[str, Any] | None]:
        """Return status and data, both of one moment."""
        with self._changed:
            self._changed.wait_for(lambda: self.version > since, wait_seconds)
            if self.status != 200 or self.version <= since:
                return self.status, None
            routes = [{"appId": app, "address": to} for app, to in self.routes.items()]
            return 200, {"version": self.version, "routes": routes}

    def publish(self, routes: dict[str, str], version: int | None = None) -> None:
        with self._changed:
            self.version = self.version + 1 if version is None else version
            self.routes = routes
            self._changed.notify_all()

    def fail(self, status: int) -> None:
        with self._changed:
            self.status = status
            self.version += 1
            self._changed.notify_all()


class Edge:
    """A gateway_sync process beside an HAProxy."""

    def __init__(self, folder: Path, haproxy: Haproxy, deploy: RouteTable) -> None:
        self.folder, self.haproxy, self.deploy = folder, haproxy, deploy
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {
            "PYTHONPATH": "services",
            "GATEWAY_DEPLOY_URL": self.deploy.url,
            "GATEWAY_TOKEN": TOKEN,
            "GATEWAY_ROUTES_MAP": str(self.haproxy.map_file),
            "GATEWAY_ROUTES_SOCKET": str(self.haproxy.socket),
            "GATEWAY_STATE_DIR": str(self.folder),
            "GATEWAY_WAIT_SECONDS": "2",
            "GATEWAY_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "funai.gateway_sync"],
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(30) == 0
            self.process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def live(self) -> dict[str, str]:
        lines = self.haproxy.command(f"show map {self.haproxy.map_file}").splitlines()
        return {line.split()[1]: line.split()[2] for line in lines if line.strip()}

    def expect(self, routes: dict[str, str]) -> None:
        eventually(lambda: self.live() == routes, HEALED_SECONDS, "routes")
        lines = self.haproxy.map_file.read_text().splitlines()
        assert dict(line.split() for line in lines) == routes


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    if not Path(HAPROXY).exists():
        pytest.skip("needs the package haproxy")
    for name in ("g", "state"):
        (tmp_path / name).mkdir()
    haproxy, deploy = Haproxy(tmp_path / "g", ["127.0.0.0/8"]), RouteTable()
    edge = Edge(tmp_path / "state", haproxy, deploy)
    yield edge
    edge.stop()
    haproxy.kill()
    deploy.server.shutdown()
    deploy.server.server_close()


ONE = {"shop": "127.0.0.1:8001"}
TWO = {"shop": "127.0.0.1:8002", "blog": "127.0.0.1:8003"}


def test_routes_follow_deploy(edge: Edge) -> None:
    edge.deploy.publish(ONE)
    edge.start()
    edge.expect(ONE)

    edge.deploy.publish(TWO)
    edge.expect(TWO)
    edge.deploy.publish(ONE)
    edge.expect(ONE)

    assert set(edge.deploy.tokens) == {TOKEN}
    assert "route of shop moved: 127.0.0.1:8001 -> 127.0.0.1:8002" in edge.log
    assert "route of blog went: 127.0.0.1:8003" in edge.log


def test_thousand_routes_come_at_once(edge: Edge) -> None:
    many = {f"app{number}": f"127.0.0.1:{10000 + number}" for number in range(1000)}
    edge.deploy.publish(many)
    edge.start()

    edge.expect(many)


@pytest.mark.parametrize("status", [401, 500, 503])
def test_failing_deploy_takes_no_route(edge: Edge, status: int) -> None:
    edge.deploy.publish(ONE)
    edge.start()
    edge.expect(ONE)

    edge.deploy.fail(status)
    eventually(lambda: f"HTTP {status}" in edge.log, HEALED_SECONDS)

    assert edge.live() == ONE
    assert edge.log.count(f"HTTP {status}") == 1
    edge.deploy.status = 200
    edge.deploy.publish(TWO)
    edge.expect(TWO)


def test_last_known_routes_are_back_before_deploy_answers(edge: Edge) -> None:
    edge.deploy.publish(TWO)
    edge.start()
    edge.expect(TWO)
    edge.stop()
    edge.deploy.fail(503)
    edge.haproxy.map_file.write_text("")
    edge.haproxy.command(f"clear map {edge.haproxy.map_file}")

    edge.start()

    edge.expect(TWO)


def test_killed_gateway_has_its_routes_back(edge: Edge) -> None:
    edge.deploy.publish(ONE)
    edge.start()
    edge.expect(ONE)
    edge.haproxy.kill()
    edge.deploy.publish(TWO)
    eventually(lambda: "blog" in edge.haproxy.map_file.read_text(), HEALED_SECONDS)

    edge.haproxy.start()

    edge.expect(TWO)


def test_changed_map_is_put_right(edge: Edge) -> None:
    edge.deploy.publish(ONE)
    edge.start()
    edge.expect(ONE)

    edge.haproxy.command(f"clear map {edge.haproxy.map_file}")

    edge.expect(ONE)
    assert "putting it right" in edge.log


def test_bad_routes_are_left_out_and_named(edge: Edge) -> None:
    edge.deploy.publish(TWO)
    edge.start()
    edge.expect(TWO)

    edge.deploy.publish(
        {
            "shop": "169.254.169.254:80",
            "blog": "127.0.0.1:8009",
            "x;clear map": "127.0.0.1:1",
            "far": "8.8.8.8:53",
            "name": "localhost:80",
        }
    )

    edge.expect({"shop": TWO["shop"], "blog": "127.0.0.1:8009"})
    assert "lies outside 127.0.0.0/8" in edge.log


def test_database_that_was_made_anew_does_not_empty_the_edge(edge: Edge) -> None:
    edge.deploy.publish(TWO, version=50)
    edge.start()
    edge.expect(TWO)
    edge.stop()

    edge.deploy.publish({}, version=1)
    edge.start()
    eventually(lambda: "Deploy has no routes at version 1" in edge.log, HEALED_SECONDS)

    assert edge.live() == TWO


def test_database_restored_from_an_older_copy_is_followed(edge: Edge) -> None:
    edge.deploy.publish(TWO, version=50)
    edge.start()
    edge.expect(TWO)
    edge.stop()

    edge.deploy.publish(ONE, version=40)
    edge.start()

    edge.expect(ONE)
