"""One runtime node: a real agent, a real HAProxy with the role's configuration, an engine in memory."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import requests

from funai.gateway.haproxy_map import HaproxyMap
from funai.gateway.runtime_socket import RuntimeSocket
from tests.chaos.gateway_tap import GatewayTap
from tests.chaos.http_link import HttpLink
from tests.chaos.ports import service_port
from tests.chaos.processes import Service
from tests.integration.deploy_process import SECRETS
from tests.integration.gateway.conftest import HAPROXY, render

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.history import History
    from tests.chaos.loop import LoopThread

LIFE_SECONDS = 1


def answers(url: str) -> bool:
    """Tell whether a service says that it is well."""
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


class Node:
    """What runs on one node, each part a process that can be ended alone.

    :param subnet: where the node's containers listen, on loopback
    """

    def __init__(
        self, number: int, folder: Path, history: History, python_path: str, subnet: str
    ) -> None:
        self.name = f"node-{number}"
        self.folder = folder
        folder.mkdir()
        self.subnet = subnet
        self._python_path = python_path
        self.history_file = folder / "engine.jsonl"
        self.agent_port, self.gateway_port = service_port(), service_port()
        self.map_file = folder / "routes.map"
        self.map_file.touch()
        #: Of HAProxy's own; the agent gets the tap's.
        self.gateway_socket = folder / "h.sock"
        self.tap = GatewayTap(folder / "t.sock", self.gateway_socket, self.name, history)
        self.to_agent = HttpLink(f"agent {self.name}", [self.agent_port], history, _is_change)
        self.engine = self._engine_service()
        self.haproxy = self._haproxy_service()
        self.agent: Service

    def start(self, loop: LoopThread, deploy_url: str) -> None:
        """Start everything; the agent's heartbeats go to ``deploy_url``."""
        loop.run(self.tap.start())
        loop.run(self.to_agent.start())
        self.agent = self._agent_service(deploy_url)
        for service in (self.engine, self.haproxy, self.agent):
            service.start()

    def stop(self, loop: LoopThread) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: loop.run(self.tap.close()))
            stack.callback(lambda: loop.run(self.to_agent.close()))
            for service in (self.engine, self.haproxy, getattr(self, "agent", None)):
                if service is not None:
                    stack.callback(service.stop)

    def routes(self) -> dict[str, str]:
        """Return what the running gateway serves, asked behind the tap."""
        return HaproxyMap(self.map_file, RuntimeSocket(self.gateway_socket)).live()

    @property
    def state_file(self) -> Path:
        """The agent's SQLite file."""
        return self.folder / "agent" / "agent.db"

    def open_operations(self) -> int:
        """Return how many deploys the agent's journal has open."""
        ended = "phase IN ('DONE', 'UNDONE')"
        return int(self._ask_state(f"SELECT COUNT(*) FROM operation WHERE NOT {ended}")[0][0])

    def fences(self) -> dict[str, int]:
        """Return the highest fence that the agent remembers of each app."""
        return dict(self._ask_state("SELECT app_id, max_fence FROM app"))

    def _ask_state(self, query: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.state_file, timeout=10)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def page(self, app_id: str) -> tuple[int, dict[str, Any]]:
        """Return status and body of the app through the gateway."""
        url = f"http://127.0.0.1:{self.gateway_port}/apps/{app_id}/"
        try:
            answer = requests.get(url, timeout=5)
            return answer.status_code, answer.json() if answer.ok else {}
        except requests.RequestException:
            return 0, {}

    def _engine_service(self) -> Service:
        argv = [sys.executable, "-m", "tests.chaos.fake_engine"]
        paths = (self.folder / "e.sock", self.folder / "engine.json", self.history_file)
        return Service(
            f"engine of {self.name}",
            [*argv, *map(str, paths)],
            self._environment(),
            self.folder / "engine.log",
            lambda: _listens(self.folder / "e.sock"),
        )

    def _haproxy_service(self) -> Service:
        config = self.folder / "haproxy.cfg"
        text = render(self.folder, self.gateway_port, gateway_allowed_networks=[self.subnet])
        config.write_text(text.replace(str(self.folder / "routes.sock"), str(self.gateway_socket)))
        return Service(
            f"gateway of {self.name}",
            [HAPROXY, "-db", "-f", str(config)],
            self._environment(),
            self.folder / "haproxy.log",
            lambda: answers(f"http://127.0.0.1:{self.gateway_port}/internal/health"),
        )

    def _agent_service(self, deploy_url: str) -> Service:
        state = self.folder / "agent"
        state.mkdir(exist_ok=True)
        gateway = f"http://127.0.0.1:{self.gateway_port}"
        settings = {
            "AGENT_NODE_NAME": self.name,
            "AGENT_BIND": f"127.0.0.1:{self.agent_port}",
            "AGENT_RUNTIME_TOKEN": SECRETS["DEPLOY_RUNTIME_TOKEN"],
            "AGENT_NODE_TOKEN": SECRETS["DEPLOY_NODE_TOKEN"],
            "AGENT_DEPLOY_URL": deploy_url,
            "AGENT_BASE_URL": self.to_agent.url,
            "AGENT_GATEWAY_BASE_URL": gateway,
            "AGENT_GATEWAY_PROBE_URL": gateway,
            "AGENT_HEARTBEAT_SECONDS": str(LIFE_SECONDS),
            "AGENT_RECONCILE_SECONDS": "1",
            "AGENT_STATE_DIR": str(state),
            "AGENT_ENGINE_SOCKET": str(self.folder / "e.sock"),
            "AGENT_APP_SUBNET": self.subnet,
            "AGENT_ROUTES_MAP": str(self.map_file),
            "AGENT_ROUTES_SOCKET": str(self.folder / "t.sock"),
            "AGENT_DRAIN_SECONDS": "3",
            "AGENT_WARM_SECONDS": "0",
            "AGENT_DISK_RESERVE_MIB": "1",
        }
        return Service(
            f"agent of {self.name}",
            [sys.executable, "-m", "funai.runtime_agent"],
            {**self._environment(), **settings},
            self.folder / "agent.log",
            lambda: answers(f"http://127.0.0.1:{self.agent_port}/internal/health"),
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": self._python_path,
            "LANG": "C.UTF-8",
        }


def _is_change(first: str) -> bool:
    return " /agent/apps/deploy " in first or " /agent/apps/close " in first


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
