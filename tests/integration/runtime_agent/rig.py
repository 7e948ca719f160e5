"""One node on loopback: a real HAProxy with the role's configuration, a real agent, a fake Deploy."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

from funai.gateway.runtime_socket import RuntimeSocket
from tests.integration.gateway.conftest import HAPROXY, render
from tests.integration.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = "runtime-token-of-the-tests"
NODE_TOKEN = "node-token-of-the-tests"
NETWORK = "funai-test-agent"
SUBNET = "198.19.32.0/24"


def eventually(check: Callable[[], object], seconds: float = 20.0, what: str = "") -> None:
    """Return once the check is true; fail with its last value after the time."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what} {value!r}"
        pause.wait(0.05)


class Haproxy:
    """The node's gateway, started from one configuration as often as asked."""

    def __init__(self, folder: Path, networks: list[str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.map_file = folder / "routes.map"
        self.socket = folder / "routes.sock"
        self.map_file.touch(0o660)
        self._config = folder / "haproxy.cfg"
        self._config.write_text(render(folder, self.port, gateway_allowed_networks=networks))
        self.start()

    def start(self) -> None:
        with (self.folder / "haproxy.log").open("ab") as log:
            self.process = subprocess.Popen(
                [HAPROXY, "-db", "-f", str(self._config)], stdout=log, stderr=log
            )
        eventually(lambda: self.get("/internal/health").status_code == 200, what="haproxy")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def command(self, text: str) -> str:
        """Send one command to the runtime socket and return the answer."""
        return RuntimeSocket(self.socket).send(text)

    def get(self, path: str) -> requests.Response:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=30)
        except requests.ConnectionError:
            answer = requests.Response()
            answer.status_code = 0
            return answer


class FakeDeploy:
    """Records heartbeats."""

    def __init__(self) -> None:
        self.heartbeats: list[tuple[str | None, dict[str, Any]]] = []
        record = self.heartbeats

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                record.append((self.headers["X-RT-Node-Token"], body))
                answer = b'{"code":200,"message":"ok","data":null}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Node:
    """An agent process with everything around it."""

    def __init__(self, folder: Path, name: str, haproxy: Haproxy, deploy: FakeDeploy) -> None:
        self.folder, self.name, self.haproxy, self.deploy_service = folder, name, haproxy, deploy
        self.port = free_port()
        self.registries = folder / "registries.json"
        self.registries.write_text("{}")
        self.settings: dict[str, str] = {}
        # The engine's SDK takes 18 MB more where paramiko is; a node (requirements/runtime.txt)
        # has none.
        self._absent = folder / "absent"
        self._absent.mkdir()
        (self._absent / "paramiko.py").write_text("raise ImportError('not on a node')\n")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """What Python runs."""
        return ("-m", "funai.runtime_agent")

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": f"{self._absent}:services:.",
            "AGENT_NODE_NAME": self.name,
            "AGENT_BIND": f"127.0.0.1:{self.port}",
            "AGENT_RUNTIME_TOKEN": TOKEN,
            "AGENT_NODE_TOKEN": NODE_TOKEN,
            "AGENT_DEPLOY_URL": self.deploy_service.url,
            "AGENT_BASE_URL": f"http://127.0.0.1:{self.port}",
            "AGENT_GATEWAY_BASE_URL": f"http://127.0.0.1:{self.haproxy.port}",
            "AGENT_HEARTBEAT_SECONDS": "1",
            "AGENT_RECONCILE_SECONDS": "1",
            "AGENT_STATE_DIR": str(self.folder),
            "AGENT_APP_NETWORK": NETWORK,
            "AGENT_APP_SUBNET": SUBNET,
            "AGENT_ROUTES_MAP": str(self.haproxy.map_file),
            "AGENT_ROUTES_SOCKET": str(self.haproxy.socket),
            "AGENT_GATEWAY_PROBE_URL": f"http://127.0.0.1:{self.haproxy.port}",
            "AGENT_REGISTRIES_FILE": str(self.registries),
            "AGENT_APP_MEMORY_MIB": "64",
            "AGENT_DRAIN_SECONDS": "20",
            # Tests of warm containers ask for them.
            "AGENT_WARM_SECONDS": "0",
            **self.settings,
        }

    def start(self, **settings: str) -> Node:
        self.settings |= settings
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                env=self.environment(),
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, 30, "agent")
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/internal/health", timeout=5).ok
        except requests.RequestException:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None

    def ask(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers={"X-Runtime-Token": TOKEN}, timeout=60)

    def post(self, path: str, **body: Any) -> requests.Response:
        return requests.post(
            f"{self.url}{path}", json=body, headers={"X-Runtime-Token": TOKEN}, timeout=60
        )

    def deploy(self, image: str, **fields: Any) -> requests.Response:
        body = {"userId": "7", "appId": "shop", "image": image, "containerPort": 8080, **fields}
        return self.post("/agent/apps/deploy", **body)

    def status(self, app_id: str = "shop") -> dict[str, Any]:
        answer = requests.get(
            f"{self.url}/agent/apps/status",
            params={"userId": "7", "appId": app_id},
            headers={"X-Runtime-Token": TOKEN},
            timeout=30,
        )
        assert answer.ok, answer.text
        return dict(answer.json())

    def health(self) -> dict[str, Any]:
        return dict(requests.get(f"{self.url}/internal/health", timeout=30).json())

    def condition(self, name: str) -> dict[str, Any]:
        """Return what this process of the agent knows of it; empty before it looked."""
        return dict(self.health()["conditions"].get(name) or {})

    def wait_reconciled(self) -> None:
        """Return once this process of the agent has looked at all containers."""
        eventually(lambda: self.condition("engine"), what="reconciled")

    def phases(self) -> list[str]:
        """Return the journal's phases, oldest first."""
        connection = sqlite3.connect(self.folder / "agent.db", timeout=10)
        try:
            return [row[0] for row in connection.execute("SELECT phase FROM operation ORDER BY id")]
        finally:
            connection.close()

    def status_row(self, app_id: str = "shop") -> dict[str, Any]:
        """Return the agent's own record of the app."""
        connection = sqlite3.connect(self.folder / "agent.db", timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return dict(
                connection.execute("SELECT * FROM app WHERE app_id = ?", (app_id,)).fetchone()
            )
        finally:
            connection.close()

    def page(self, app_id: str = "shop") -> str:
        """Return what the gateway shows for the app."""
        return self.haproxy.get(f"/apps/{app_id}/").text.strip()
