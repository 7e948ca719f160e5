"""An undo that had to wait, after its deploy was repeated with success."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from funai.runtime_agent.apps.deployment import Deployment
from funai.runtime_agent.apps.model import Operation, Phase
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database
from funai.runtime_agent.engine.containers import APP, MANAGED, Container
from funai.runtime_agent.errors import RouteFailedError
from tests.unit.runtime_agent.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from funai.runtime_agent.apps.drain import Drains
    from funai.runtime_agent.apps.parts import Parts

OPERATION = Operation(
    0, "shop", "7", "", 1, Phase.PREPARED, "rt-shop-1", "", 80, "app:1", "sha256:a", "sha256:b"
)


class Engine:
    """One container, and what was removed."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def find(self, name: str) -> Container:
        labels = {MANAGED: "true", APP: "shop"}
        return running(name, "198.19.0.3", labels, image_id="sha256:b", bound=())

    def remove(self, name: str) -> None:
        self.removed.append(name)


def repository(folder: Path) -> AppRepository:
    return AppRepository(Database(folder / "agent.db"), ipaddress.IPv4Network("198.19.0.0/29"))


class HalfAGateway:
    """A map file that can be written, and a gateway that can be told as long as it is ``there``."""

    def __init__(self, route: str = "") -> None:
        self.file = {"shop": route} if route else {}
        self.running = dict(self.file)
        self.there = True

    def saved(self) -> dict[str, str]:
        return self.file

    def live(self) -> dict[str, str]:
        self._ask()
        return self.running

    def set(self, app_id: str, route: str) -> None:
        self.file[app_id] = route
        self._ask()
        self.running[app_id] = route

    def delete(self, app_id: str) -> None:
        self.file.pop(app_id, None)
        self._ask()
        self.running.pop(app_id, None)

    def _ask(self) -> None:
        if not self.there:
            msg = "no socket"
            raise RouteFailedError(msg)


def deployment(
    apps: AppRepository, engine: Engine, gateway: HalfAGateway | None = None
) -> Deployment:
    gateway = gateway or HalfAGateway()
    parts = SimpleNamespace(apps=apps, containers=engine, gateway=gateway)
    return Deployment(cast("Parts", parts), cast("Drains", None))


def test_late_undo_leaves_the_container_that_serves_under_the_same_name(tmp_path: Path) -> None:
    apps, engine = repository(tmp_path), Engine()
    # The engine was gone before it made the first container, so the name was free again.
    first = apps.prepare(OPERATION, set(), pulled=False, number_name=False)
    second = apps.prepare(OPERATION, set(), pulled=False, number_name=False)
    apps.switch(second, {}, 0)

    deployment(apps, engine).undo(first, "the engine does not answer")

    assert engine.removed == []


def test_undo_removes_what_does_not_serve(tmp_path: Path) -> None:
    apps, engine = repository(tmp_path), Engine()
    first = apps.prepare(OPERATION, set(), pulled=False, number_name=False)

    deployment(apps, engine).undo(first, "it never answered")

    assert engine.removed == ["rt-shop-1"]


def test_undo_that_told_only_the_file_removes_nothing_that_the_gateway_leads_to(
    tmp_path: Path,
) -> None:
    apps, engine = repository(tmp_path), Engine()
    first = apps.prepare(OPERATION, set(), pulled=False, number_name=False)
    healthy = apps.advance(first, Phase.HEALTHY)
    gateway = HalfAGateway(healthy.route)
    undo = deployment(apps, engine, gateway).undo
    gateway.there = False
    for _ in range(2):
        waiting = next(iter(apps.open_operations([Phase.HEALTHY, Phase.UNDOING])))
        with pytest.raises(RouteFailedError):
            undo(waiting, "the gateway did not confirm")
    assert engine.removed == []
    assert gateway.file == {}

    gateway.there = True
    undo(next(iter(apps.open_operations([Phase.UNDOING]))), "the gateway did not confirm")

    assert (engine.removed, gateway.running) == (["rt-shop-1"], {})
