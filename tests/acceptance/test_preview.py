"""A user's workspace through the preview gateway and the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
import websocket

from tests.acceptance import preview_access

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.fixture(scope="module")
def is_guarded(platform: Platform, connect: Callable[[str], Any]) -> bool:
    return preview_access.is_guarded(platform, connect)


@pytest.fixture(scope="module")
def cookie(platform: Platform, connect: Callable[[str], Any]) -> str:
    return preview_access.cookie(platform, connect)


@pytest.mark.point("/ws/ answers through edge and workspace nginx")
@gateway
def test_workspace_shows_its_page(
    http: requests.Session, preview: str, cookie: str, record_evidence: RecordEvidence
) -> None:
    answer = http.get(f"http://{preview}", headers={"Cookie": cookie}, timeout=TIMEOUT)

    record_evidence(f"GET http://{preview}: {answer.status_code}, {len(answer.content)} bytes")
    assert answer.status_code == 200


@pytest.mark.point("/ws/ passes WebSocket through edge and workspace nginx")
@gateway
def test_workspace_talks_websocket(
    preview: str, cookie: str, record_evidence: RecordEvidence
) -> None:
    connection = websocket.create_connection(
        f"ws://{preview}", timeout=TIMEOUT, http_no_proxy="*", cookie=cookie
    )
    try:
        connection.send(MESSAGE)
        echo = connection.recv()
    finally:
        connection.close()

    record_evidence(f"ws://{preview}: sent {MESSAGE!r}, got {echo!r}")
    assert MESSAGE in str(echo)


@pytest.mark.point("/ws/ is shown to its owner only")
@gateway
def test_workspace_is_closed_to_strangers(
    http: requests.Session, preview: str, record_evidence: RecordEvidence, *, is_guarded: bool
) -> None:
    if not is_guarded:
        pytest.skip("workspace_access_url is not set: everybody may see every preview")

    forged = {"Cookie": "funai_session=forged", "X-Preview-User": "1"}
    data = http.get(f"http://{preview}", headers=forged, timeout=TIMEOUT)
    page = http.get(
        f"http://{preview}", headers={"Accept": "text/html"}, timeout=TIMEOUT, allow_redirects=False
    )
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(f"ws://{preview}", timeout=TIMEOUT, http_no_proxy="*")

    statuses = (data.status_code, page.status_code, refused.value.status_code)
    record_evidence(f"{preview} without a session: data, page, WebSocket: {statuses}")
    assert data.status_code == requests.codes.unauthorized
    assert page.status_code in {requests.codes.found, requests.codes.unauthorized}
    assert refused.value.status_code == requests.codes.unauthorized
