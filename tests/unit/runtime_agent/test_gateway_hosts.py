"""Addresses that a route leads to are nobody else's."""

from __future__ import annotations

import ipaddress
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from funai.gateway.runtime_socket import GatewayError
from funai.runtime_agent.apps.deployment import Deployment
from funai.runtime_agent.apps.holds import Hold
from funai.runtime_agent.apps.model import DeployRequest, Operation, Phase
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.database import Database
from funai.runtime_agent.engine.images import Image
from funai.runtime_agent.errors import EngineFailedError
from funai.runtime_agent.gateway import Gateway
from funai.runtime_agent.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = ipaddress.IPv4Network("198.19.0.0/29")
IMAGE = Image("sha256:a", "sha256:b", "sha256:b", pulled=False)


class Routes:
    """A map file, and a gateway that has something else, or cannot be asked."""

    def __init__(self, saved: dict[str, str], live: dict[str, str] | None) -> None:
        self._saved, self._live = saved, live

    def saved(self) -> dict[str, str]:
        return self._saved

    def live(self) -> dict[str, str]:
        if self._live is None:
            msg = "no socket"
            raise GatewayError(msg)
        return self._live


def gateway(saved: dict[str, str], live: dict[str, str] | None) -> Gateway:
    routes: Any = Routes(saved, live)
    return Gateway(routes, "")


def test_hosts_are_of_the_file_and_of_the_gateway() -> None:
    saved = {"shop": "198.19.0.2:80/r1"}

    assert gateway(saved, {"blog": "198.19.0.3:80"}).hosts() == ["198.19.0.2", "198.19.0.3"]
    assert gateway(saved, None).hosts() == ["198.19.0.2"]


def test_address_that_a_deleted_apps_route_still_leads_to_is_not_given_out(tmp_path: Path) -> None:
    apps = AppRepository(Database(tmp_path / "agent.db"), SUBNET)

    def refuse(_spec: object) -> None:
        msg = "no more of it"
        raise EngineFailedError(msg)

    engine = SimpleNamespace(
        ensure_network=dict, of_app=lambda _app: [], find=lambda _name: None, create=refuse
    )
    parts: Any = SimpleNamespace(
        apps=apps,
        containers=engine,
        images=SimpleNamespace(resolve=lambda *_: IMAGE),
        gateway=gateway({}, {"gone": "198.19.0.2:80"}),
        vault=Vault(tmp_path / "settings.key"),
        retention=threading.Lock(),
    )
    request = DeployRequest("shop", "7", 1, image="app:1")

    with pytest.raises(EngineFailedError, match="no more"):
        Deployment(parts, SimpleNamespace()).run(request, Hold("deploy", brief=False))  # type: ignore[arg-type]

    assert [entry.address for entry in _undone(apps)] == ["198.19.0.3"]


def _undone(apps: AppRepository) -> list[Operation]:
    return apps.open_operations([Phase.UNDONE])
