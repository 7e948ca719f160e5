"""A whole platform on loopback: one database, two Deploys behind a balancer, runners, nodes."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tests.chaos.db_link import DatabaseLink
from tests.chaos.http_link import HttpLink
from tests.chaos.loop import LoopThread
from tests.chaos.node import Node
from tests.chaos.parts import ROOT, deploy_service, install_database, migrate, runner_service
from tests.chaos.ports import service_port
from tests.chaos.slots import take_slot
from tests.integration.deploy_process import Schema, process_env
from tests.integration.mariadb import MariaDb

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.arming import Arms
    from tests.chaos.history import History
    from tests.chaos.processes import Service

LEASE_SECONDS = 6
MAX_ATTEMPTS = 3
_DEPLOYS = 2
_NODES = 2
_LIGHT_RUNNERS = 3


class Cluster:
    """Starts everything in order; ``stop`` ends all of it, whatever came up.

    :param services: the tree that holds ``funai``: the project's, or a copy with a defect
    :param real_runners: runners whose jobs run Ansible, beside the light ones
    """

    def __init__(
        self,
        folder: Path,
        history: History,
        *,
        services: Path = ROOT / "services",
        real_runners: int = 1,
    ) -> None:
        self.folder, self.history = folder, history
        self._python_path = f"{services}:{ROOT}"
        self._real_runners = real_runners
        self._slot = take_slot()
        self.loop = LoopThread()
        self.database = MariaDb(folder)
        self.database.port = service_port()
        #: Held by whoever ends the database or keeps it from working.
        self.database_busy = threading.Lock()
        self.schema = Schema(self.database, "chaos")
        self.database_links = [DatabaseLink(self.database.port) for _ in range(_DEPLOYS)]
        ports = [service_port() for _ in range(_DEPLOYS)]
        #: One balancer for each kind of caller, so that each can be cut off alone.
        self.for_clients = HttpLink("client", ports, history, _is_create)
        self.for_runners = HttpLink("runner", ports, history, _is_word)
        self.deploys = [
            deploy_service(f"deploy-{number}", port, self._deploy_env(), folder)
            for number, port in enumerate(ports)
        ]
        self.nodes = [
            Node(
                number,
                folder / f"n{number}",
                history,
                self._python_path,
                self._slot.subnet(number),
            )
            for number in range(1, _NODES + 1)
        ]
        self.for_agents = [HttpLink(f"heartbeat {n.name}", ports, history) for n in self.nodes]
        self.runners: list[Service] = []

    def start(self) -> None:
        self._start_database()
        for link in self._links():
            self.loop.run(link.start())
        for deploy, link in zip(self.deploys, self.database_links, strict=True):
            deploy.env["DEPLOY_DB_PORT"] = str(link.port)
            deploy.start()
        for node, heartbeats in zip(self.nodes, self.for_agents, strict=True):
            node.start(self.loop, heartbeats.url)
        self.runners = [self._runner(number) for number in range(_LIGHT_RUNNERS)]
        self.runners += [self._runner(n, light=False) for n in range(self._real_runners)]
        for runner in self.runners:
            runner.start()

    def stop(self) -> None:
        """End everything; what cannot be ended does not keep the rest alive."""
        with contextlib.ExitStack() as stack:
            # The last one named is the first to go.
            stack.callback(self._slot.close)
            stack.callback(self.loop.close)
            stack.callback(self.database.stop)
            for link in self._links():
                stack.callback(self._close, link)
            for deploy in self.deploys:
                stack.callback(deploy.kill)
            for node in self.nodes:
                stack.callback(node.stop, self.loop)
            for runner in self.runners:
                stack.callback(runner.kill)

    def _close(self, link: HttpLink | DatabaseLink) -> None:
        self.loop.run(link.close())

    def arms(self) -> list[Arms]:
        """Return where faults can wait for a message."""
        return [link.arms for link in (*self._links(), *(node.to_agent for node in self.nodes))]

    def _links(self) -> list[HttpLink | DatabaseLink]:
        return [*self.database_links, self.for_clients, self.for_runners, *self.for_agents]

    def services(self) -> list[Service]:
        """Return every process that may be found dead and has to be brought back."""
        of_nodes = [s for node in self.nodes for s in (node.engine, node.haproxy, node.agent)]
        return [*self.deploys, *of_nodes, *self.runners]

    def _start_database(self) -> None:
        self.schema = install_database(self.database, "chaos")
        migrate(self.schema, self._deploy_env())

    def _deploy_env(self) -> dict[str, str]:
        env = process_env(
            self.schema,
            DEPLOY_NODE_STALE_SECONDS="8",
            DEPLOY_MAX_ATTEMPTS=str(MAX_ATTEMPTS),
            DEPLOY_REAPER_SECONDS="0.5",
        )
        return {**env, "PYTHONPATH": self._python_path}

    def _runner(self, number: int, *, light: bool = True) -> Service:
        return runner_service(
            f"{'light' if light else 'real'}-{number}",
            self.folder,
            self.history,
            self._python_path,
            light=light,
            RUNNER_DEPLOY_URL=self.for_runners.url,
            RUNNER_LEASE_SECONDS=str(LEASE_SECONDS),
        )


def _is_create(first: str) -> bool:
    return first.startswith("POST /deploy/jobs ")


def _is_word(first: str) -> bool:
    return "/heartbeat " in first or "/report " in first
