"""The gateway dies between the two writes of a route: its file, and its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from funai.gateway import haproxy_map
from funai.gateway.haproxy_map import HaproxyMap
from funai.gateway.map_file import write_map_file
from funai.gateway.runtime_socket import GatewayUnavailableError, RuntimeSocket

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.runtime_agent.rig import Haproxy

OLD, NEW = "198.19.32.2:8080/r1", "198.19.32.3:8080/r2"


def test_killed_between_file_and_map_starts_with_the_file(
    haproxy: Haproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = HaproxyMap(haproxy.map_file, RuntimeSocket(haproxy.socket))
    routes.set("shop", OLD)

    def write_and_kill(path: Path, table: dict[str, str]) -> None:
        write_map_file(path, table)
        haproxy.kill()

    monkeypatch.setattr(haproxy_map, "write_map_file", write_and_kill)
    with pytest.raises(GatewayUnavailableError):
        routes.set("shop", NEW)
    monkeypatch.undo()
    haproxy.start()

    assert routes.live() == routes.saved() == {"shop": NEW}
    routes.set("shop", OLD)
    assert routes.live() == routes.saved() == {"shop": OLD}
