"""An engine that never answers calls about one container: what that means for all others."""

from __future__ import annotations

import ipaddress
import json
import threading
import urllib.parse
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from funai.runtime_agent.apps.adoption import Adoption
from funai.runtime_agent.apps.app_settings import AppSettings
from funai.runtime_agent.apps.backoff import Backoff
from funai.runtime_agent.apps.deployment import Deployment
from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.apps.model import Phase, PruneRequest
from funai.runtime_agent.apps.parts import Parts
from funai.runtime_agent.apps.prune import Pruner
from funai.runtime_agent.apps.reconcile import Reconciler
from funai.runtime_agent.apps.recovery import Recovery
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.conditions import Conditions
from funai.runtime_agent.config import AppLimits
from funai.runtime_agent.database import Database
from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.engine.client import EngineClient
from funai.runtime_agent.engine.containers import Containers
from funai.runtime_agent.errors import EngineFailedError, EngineSilentError, EngineUnavailableError
from funai.runtime_agent.vault import Vault
from tests.unit.runtime_agent.deploys import Gateway, prepare
from tests.unit.runtime_agent.socket_engine import EngineHandler, SocketEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUBNET = ipaddress.IPv4Network("198.19.0.0/24")
#: The engine client's time for an answer, far below what the agent gives it.
TIMEOUT_SECONDS = 1.0


class Engine(SocketEngine):
    """An engine that keeps containers in a dictionary and answers nothing about some of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Handler)
        self.made: dict[str, dict[str, Any]] = {}
        self.silent: set[str] = set()
        #: It hangs up on calls about these.
        self.broken: set[str] = set()
        #: Calls about one container, by its name, and calls for a list.
        self.asked: list[str] = []
        self.lists = 0

    def add(self, name: str, app_id: str, address: str, fence: int = 1) -> None:
        """Make a container that runs, as the agent makes them."""
        self.made[name] = {
            "address": address,
            "labels": {
                labels.MANAGED: "true",
                labels.NODE: "node-1",
                labels.APP: app_id,
                labels.FENCE: str(fence),
                labels.PORT: "80",
            },
        }


class Handler(EngineHandler):
    """The few calls of a reconcile."""

    server: Engine

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        path = self.path.partition("?")[0]
        if path == "/version":
            self.answer(200, {"ApiVersion": "1.44"})
        elif "/networks/" in path:
            self.answer(200, {"IPAM": {"Config": [{"Subnet": str(SUBNET)}]}, "Containers": {}})
        elif path.endswith("/containers/json"):
            self.answer(200, [self._listed(name) for name in self._asked_for()])
        elif path.endswith("/info"):
            self.answer(200, {})
        else:
            self._of_one(path.split("/")[-2])

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it so
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        if "/containers/create" in self.path:
            name = self.path.rpartition("name=")[2]
            (network,) = body["NetworkingConfig"]["EndpointsConfig"].values()
            made = {"address": network["IPAMConfig"]["IPv4Address"], "labels": body["Labels"]}
            self.server.made[name] = made
            self.answer(201, {"Id": name})
        else:
            self.answer(204, None)

    def do_DELETE(self) -> None:  # noqa: N802 - http.server calls it so
        name = self.path.partition("?")[0].rpartition("/")[2]
        if not self._hangs(name):
            self.server.made.pop(name, None)
            self.answer(204, None)

    def _of_one(self, name: str) -> None:
        if self._hangs(name):
            return
        made = self.server.made.get(name)
        if made is None:
            self.answer(404, {"message": "No such container"})
            return
        state = {"Running": True, "Restarting": False, "ExitCode": 0, "OOMKilled": False}
        config = {"Image": "app:1", "Labels": made["labels"]}
        found = {"Name": f"/{name}", "State": state, "Config": config, "Image": "sha256:i"}
        self.answer(200, {**found, "NetworkSettings": self._networks(name)})

    def _asked_for(self) -> list[str]:
        self.server.lists += 1
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        wanted = set(json.loads(query["filters"][0])["label"])
        made = self.server.made.items()
        has = {name: {f"{k}={v}" for k, v in one["labels"].items()} for name, one in made}
        return [name for name, found in has.items() if wanted <= found]

    def _listed(self, name: str) -> dict[str, Any]:
        found = {"Names": [f"/{name}"], "State": "running"}
        labelled = self.server.made[name]["labels"]
        return {**found, "Labels": labelled, "NetworkSettings": self._networks(name)}

    def _networks(self, name: str) -> dict[str, Any]:
        address = self.server.made[name]["address"]
        return {"Networks": {"apps": {"IPAMConfig": None, "IPAddress": address}}}

    def _hangs(self, name: str) -> bool:
        self.server.asked.append(name)
        if name in self.server.silent:
            self.server.ended.wait(60)
        elif name not in self.server.broken:
            return False
        self.close_connection = True
        return True


class Node:
    """An agent's parts over that engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.gateway = Gateway()
        self.apps = AppRepository(Database(folder / "agent.db"), SUBNET)
        self.conditions = Conditions(lambda: 1.0)
        vault = Vault(folder / "settings.key")
        self.sealed = vault.seal(AppSettings())
        client = EngineClient(engine.path, TIMEOUT_SECONDS)
        limits = AppLimits(memory_mib=64, cpus=1, pids=64)
        images: Any = SimpleNamespace(local=lambda _image: True, own=dict)
        self.parts = Parts(
            apps=self.apps,
            containers=Containers(client, "apps", SUBNET, limits, "node-1"),
            images=images,
            gateway=self.gateway,  # type: ignore[arg-type]
            holds=Holds(),
            vault=vault,
            node_name="node-1",
            gateway_base_url="http://127.0.0.1",
            warm_seconds=600,
            kept_revisions=3,
            retention=threading.Lock(),
            stopping=threading.Event(),
        )
        drains: Any = SimpleNamespace(begin=lambda _operation: None)
        recovery = Recovery(self.parts, Deployment(self.parts, drains), drains)
        adoption = Adoption(self.parts)
        self.reconciler = Reconciler(self.parts, adoption, recovery, self.conditions)

    def deployed(self, app_id: str) -> str:
        """Record an app as deployed, without its container; return its address."""
        operation = self.apps.switch(prepare(self.apps, app_id, 1), {}, 0)
        self.apps.advance(operation, Phase.DONE)
        self.apps.keep_settings(app_id, "", self.sealed)
        self.apps.raise_fence(app_id, 1)
        self.gateway.set(app_id, self.apps.get(app_id).route or "")
        return operation.address

    def error(self, condition: str) -> str:
        return str(self.conditions.as_answer()[condition]["error"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path).running() as server:
        yield server


@pytest.fixture
def node(engine: Engine, tmp_path: Path) -> Node:
    return Node(engine, tmp_path)


def test_silence_is_told_from_an_engine_that_breaks_off(node: Node) -> None:
    node.engine.silent.add("rt-a-1")
    node.engine.broken.add("rt-b-1")

    with pytest.raises(EngineSilentError, match=r"inspect container rt-a-1: .* gave no answer"):
        node.parts.containers.find("rt-a-1")
    with pytest.raises(EngineUnavailableError) as caught:
        node.parts.containers.find("rt-b-1")
    assert not isinstance(caught.value, EngineSilentError)


def test_app_whose_container_hangs_keeps_no_other_from_healing(node: Node) -> None:
    node.reconciler.run()
    node.deployed("a")
    node.deployed("b")
    node.engine.silent.add("rt-a-1")

    node.reconciler.run()

    assert set(node.engine.made) == {"rt-b-1"}
    assert "rt-a-1" in node.error("app a")
    asked = node.engine.asked.count("rt-a-1")
    node.reconciler.run()
    assert node.engine.asked.count("rt-a-1") == asked


def test_agent_that_starts_beside_a_container_that_hangs_heals_the_others(node: Node) -> None:
    address = node.deployed("a")
    node.deployed("b")
    node.engine.add("rt-a-1", "a", address)
    node.engine.add("rt-a-9", "a", "198.19.0.90", fence=9)
    node.engine.add("rt-lost-1", "lost", "198.19.0.91")
    node.engine.silent.add("rt-a-1")

    node.reconciler.run()

    # Of a nothing is touched: which of its containers serves is not known.
    assert set(node.engine.made) == {"rt-a-1", "rt-a-9", "rt-b-1", "rt-lost-1"}
    assert "rt-a-1" in node.error("engine")
    node.reconciler.run()
    assert node.engine.asked.count("rt-a-1") == 1


def test_apps_without_a_container_cost_a_start_no_call(node: Node) -> None:
    for number in range(50):
        node.apps.raise_fence(f"gone-{number}", 1)
    node.engine.add("rt-a-1", "a", "198.19.0.90")

    node.reconciler.run()

    assert node.engine.lists < 10


def test_deploy_that_cannot_be_undone_for_its_container_hangs_waits_alone(node: Node) -> None:
    node.reconciler.run()
    for app_id in ("a", "c"):
        operation = prepare(node.apps, app_id, 2)
        node.engine.add(operation.container_name, app_id, operation.address, fence=2)
        node.apps.advance(operation, Phase.UNDOING, "it never answered")
    node.engine.silent.add("rt-a-2")

    for _ in range(2):
        node.reconciler.run()

    assert set(node.engine.made) == {"rt-a-2"}
    assert "rt-a-2" in node.error("engine")
    assert node.engine.asked.count("rt-a-2") == 1


def test_orphan_that_hangs_is_kept_and_named_by_prune(node: Node) -> None:
    node.reconciler.run()
    for name in ("rt-gone-1", "rt-gone-2"):
        node.engine.add(name, "gone", "198.19.0.90")
    node.engine.silent.add("rt-gone-1")

    answer = Pruner(node.parts, node.conditions).prune(PruneRequest())

    assert [entry["name"] for entry in answer["removed"]] == ["rt-gone-2"]
    assert [entry["name"] for entry in answer["kept"]] == ["rt-gone-1"]
    assert "gave no answer" in answer["kept"][0]["why"]


def test_orphan_that_hangs_is_asked_again_only_later(node: Node) -> None:
    node.reconciler.run()
    node.engine.add("rt-gone-1", "gone", "198.19.0.90")
    node.engine.add("rt-gone-2", "gone", "198.19.0.91")
    node.engine.silent.add("rt-gone-1")

    for _ in range(2):
        node.reconciler.run()

    assert set(node.engine.made) == {"rt-gone-1"}
    assert node.engine.asked.count("rt-gone-1") == 1
    assert "rt-gone-1" in node.error("engine")


def test_backoff_doubles_up_to_its_longest_and_longer_after_silence() -> None:
    now = 0.0
    backoff = Backoff(lambda: now)
    tried: dict[type[Exception], list[float]] = {}
    for kind in (EngineFailedError, EngineSilentError):
        backoff.forget("a")
        tried[kind] = []
        for _ in range(6):
            backoff.put_off("a", kind("no"))
            began = now
            while backoff.is_resting("a"):
                now += 1
            tried[kind].append(now - began)

    assert tried[EngineFailedError] == [5, 10, 20, 40, 60, 60]
    assert tried[EngineSilentError] == [60, 120, 240, 300, 300, 300]
    assert backoff.forget("a")
    assert not backoff.forget("a")
