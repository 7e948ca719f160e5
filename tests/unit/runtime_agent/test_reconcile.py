"""What one app or container in trouble means for the others of its node: nothing."""

from __future__ import annotations

import ipaddress
import sqlite3
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from funai.runtime_agent.apps.deployment import Deployment
from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.apps.model import Operation, Phase
from funai.runtime_agent.apps.reconcile import Reconciler
from funai.runtime_agent.apps.recovery import Recovery
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.conditions import Conditions
from funai.runtime_agent.database import Database
from funai.runtime_agent.engine.containers import APP, MANAGED, Container, ContainerSpec, Seen
from funai.runtime_agent.errors import (
    AgentError,
    DiskFullError,
    EngineFailedError,
    EngineUnavailableError,
)
from tests.unit.runtime_agent.deploys import Gateway, prepare
from tests.unit.runtime_agent.running import running

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = ipaddress.IPv4Network("198.19.0.0/24")


class Engine:
    """Containers, of which some cannot be removed or made."""

    def __init__(self) -> None:
        self.there: dict[str, Container] = {}
        self.stuck: dict[str, Exception] = {}

    def ensure_network(self) -> dict[str, str]:
        return {}

    def seen(self) -> dict[str, Seen]:
        return {
            name: Seen(alive=True, running=True, addresses=found.addresses)
            for name, found in self.there.items()
        }

    def find(self, name: str) -> Container | None:
        return self.there.get(name)

    def create(self, spec: ContainerSpec) -> None:
        self._fail(spec.name)
        self.add(spec.name, spec.labels[APP], spec.address)

    def remove(self, name: str) -> None:
        self._fail(name)
        self.there.pop(name, None)

    def add(self, name: str, app_id: str, address: str) -> None:
        labels = {MANAGED: "true", APP: app_id}
        self.there[name] = running(name, address, labels, image_id="sha256:i", bound=(address,))

    def _fail(self, name: str) -> None:
        if name in self.stuck:
            raise self.stuck[name]


class Node:
    """An agent's reconcile on an engine and a gateway of its own."""

    def __init__(self, folder: Path) -> None:
        self.apps = AppRepository(Database(folder / "agent.db"), SUBNET)
        self.engine = Engine()
        self.conditions = Conditions(lambda: 1.0)
        parts: Any = SimpleNamespace(
            apps=self.apps,
            containers=self.engine,
            gateway=Gateway(),
            images=SimpleNamespace(local=lambda _image: True),
            holds=Holds(),
            stopping=threading.Event(),
            warm_seconds=600,
        )
        drains: Any = SimpleNamespace(begin=lambda _operation: None)
        adoption: Any = SimpleNamespace(run=lambda: None, is_done=lambda _app: True)
        recovery = Recovery(parts, Deployment(parts, drains), drains)
        self.reconciler = Reconciler(parts, adoption, recovery, self.conditions)

    def fail_deploy(self, app_id: str, fence: int) -> Operation:
        """Leave a deploy whose container is there and is to be removed."""
        operation = prepare(self.apps, app_id, fence)
        self.engine.add(operation.container_name, app_id, operation.address)
        return self.apps.advance(operation, Phase.UNDOING, "it never answered")

    def lose_container(self, app_id: str) -> None:
        """Record an app as deployed, without its container."""
        self.apps.advance(self.apps.switch(prepare(self.apps, app_id, 1), {}, 0), Phase.DONE)

    def error(self, condition: str) -> str:
        return str(self.conditions.as_answer()[condition]["error"])


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize("kind", [EngineFailedError, DiskFullError, EngineUnavailableError])
def test_container_that_cannot_be_removed_keeps_no_other_app_from_healing(
    node: Node, kind: type[AgentError]
) -> None:
    stuck = node.fail_deploy("a", 2)
    node.lose_container("b")
    node.engine.add("rt-gone-1", "gone", "198.19.0.200")
    node.engine.stuck["rt-a-2"] = kind("could not remove container rt-a-2: busy")

    node.reconciler.run()

    assert set(node.engine.there) == {"rt-a-2", "rt-b-1"}
    assert node.error("engine") == "could not remove container rt-a-2: busy"
    assert node.error("gateway") == ""
    assert node.apps.open_operations([Phase.UNDOING]) == [stuck]
    node.engine.stuck.clear()
    node.reconciler.run()
    assert set(node.engine.there) == {"rt-b-1"}
    assert node.error("engine") == ""


def test_undo_that_must_wait_holds_up_no_later_one(node: Node) -> None:
    stuck = node.fail_deploy("a", 2)
    node.fail_deploy("c", 2)
    node.engine.stuck["rt-a-2"] = EngineFailedError("device or resource busy")

    node.reconciler.run()

    assert set(node.engine.there) == {"rt-a-2"}
    assert node.apps.open_operations([Phase.UNDOING]) == [stuck]


def test_orphan_that_cannot_be_removed_holds_up_no_later_one(node: Node) -> None:
    for number in range(3):
        node.engine.add(f"rt-gone-{number}", "gone", "198.19.0.200")
    for number in range(2):
        node.engine.stuck[f"rt-gone-{number}"] = EngineFailedError(f"rt-gone-{number} is busy")

    node.reconciler.run()

    assert set(node.engine.there) == {"rt-gone-0", "rt-gone-1"}
    assert node.error("engine") == "rt-gone-0 is busy; rt-gone-1 is busy"


def test_app_whose_healing_the_state_file_refuses_holds_up_no_later_one(node: Node) -> None:
    node.lose_container("a")
    node.lose_container("b")
    node.engine.stuck["rt-a-1"] = sqlite3.OperationalError("database or disk is full")

    node.reconciler.run()

    assert set(node.engine.there) == {"rt-b-1"}
    assert "database or disk is full" in node.error("state")


def test_engine_that_is_gone_is_asked_no_further(node: Node) -> None:
    node.fail_deploy("a", 2)
    later = node.fail_deploy("c", 2)
    gone = EngineUnavailableError("the container engine does not answer")
    node.engine.stuck = {"rt-a-2": gone}

    node.reconciler.run()

    assert later in node.apps.open_operations([Phase.UNDOING])
    assert node.error("engine") == gone.detail
