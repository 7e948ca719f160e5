"""A user's workspace through the preview gateway and the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import websocket

if TYPE_CHECKING:
    import requests

    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

TIMEOUT = 10  # seconds
MESSAGE = "is anybody there"

gateway = pytest.mark.parametrize("group", ["api", "workspace"], ids=["edge", "workspace nginx"])


@pytest.fixture
def preview(platform: Platform, group: str) -> str:
    """Host and path of the workspace that the inventory names."""
    user = platform.settings["acceptance_preview_user"]
    if user is None:
        pytest.skip("the inventory names no acceptance_preview_user")
    return f"{platform.address(group)}/ws/{user}/"


@pytest.mark.point("/ws/ answers through edge and workspace nginx")
@gateway
def test_workspace_shows_its_page(
    http: requests.Session, preview: str, record_evidence: RecordEvidence
) -> None:
    answer = http.get(f"http://{preview}", timeout=TIMEOUT)

    record_evidence(f"GET http://{preview}: {answer.status_code}, {len(answer.content)} bytes")
    assert answer.status_code == 200


@pytest.mark.point("/ws/ passes WebSocket through edge and workspace nginx")
@gateway
def test_workspace_talks_websocket(preview: str, record_evidence: RecordEvidence) -> None:
    connection = websocket.create_connection(f"ws://{preview}", timeout=TIMEOUT, http_no_proxy="*")
    try:
        connection.send(MESSAGE)
        echo = connection.recv()
    finally:
        connection.close()

    record_evidence(f"ws://{preview}: sent {MESSAGE!r}, got {echo!r}")
    assert MESSAGE in str(echo)
