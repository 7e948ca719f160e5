"""Requests that take long, and WebSockets, across a redeploy: served until the drain's deadline."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.runtime_agent.rig import Node, eventually
from tests.integration.runtime_agent.test_deploy import own_containers

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.api.client import APIClient

DRAIN_SECONDS = 30
# What the engine gives a container to end by itself.
GRACE_SECONDS = 10
UPGRADE = (
    "GET /apps/chat/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class WebSocket:
    """A connection after its upgrade, to an app that echoes lines."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self._file = self._socket.makefile("rwb", buffering=0)
        self._file.write(UPGRADE.encode())
        head = iter(self._file.readline, b"\r\n")
        assert next(head).startswith(b"HTTP/1.1 101"), "no upgrade"
        assert list(head)

    def echoes(self) -> bool:
        """Return whether the other end still answers."""
        try:
            self._file.write(b"hello\n")
            return bool(self._file.readline() == b"hello\n")
        except OSError:
            return False

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.mark.timeout(180)
def test_long_request_and_websocket_outlive_a_redeploy(
    node: Node, engine: APIClient, app_image: Callable[[str], str]
) -> None:
    node.stop()
    node.start(AGENT_DRAIN_SECONDS=str(DRAIN_SECONDS))
    assert node.deploy(app_image("1"), fence=1).ok
    assert node.deploy(app_image("socket"), fence=1, appId="chat").ok
    chat = WebSocket(node.haproxy.port)
    assert chat.echoes()
    with ThreadPoolExecutor() as pool:
        path = f"http://127.0.0.1:{node.haproxy.port}/apps/shop/cgi-bin/long"
        long = pool.submit(_get, path)
        eventually(lambda: len(engine.top("rt-shop-1")["Processes"]) > 2, 15, "request arrived")

        assert node.deploy(app_image("2"), fence=2).ok
        assert node.deploy(app_image("1"), fence=2, appId="chat").ok
        # Then the last of the two routes was switched; the answer to it may have come late.
        switched = node.haproxy.map_file.stat().st_mtime

        assert node.page().startswith("release 2 ")
        assert node.page("chat").startswith("release 1 ")
        eventually(lambda: not chat.echoes(), DRAIN_SECONDS + GRACE_SECONDS + 30, "deadline")
        served = time.time() - switched
        assert long.result() == "answered by 1\n"
    chat.close()

    assert DRAIN_SECONDS <= served <= DRAIN_SECONDS + GRACE_SECONDS + 15
    eventually(lambda: own_containers(engine, node) == ["rt-chat-2", "rt-shop-2"], 40)


def _get(url: str) -> str:
    return requests.get(url, timeout=60).text
