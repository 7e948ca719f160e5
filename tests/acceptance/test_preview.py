"""A user's workspace through the preview gateway and the edge."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
import websocket

from tests.acceptance.live_platform import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

TIMEOUT = 10  # seconds
MESSAGE = "is anybody there"
#: Made by Ansible; an operator may see every preview.
OPERATOR = "admin"
GATEWAY_FILE = "/etc/nginx/sites-enabled/default"
_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')

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
    """Whether the preview gateway was converged to ask who may see a preview."""
    host = connect(next(iter(platform.hosts["workspace"])))
    return "auth_request" in host.check_output("cat %s", GATEWAY_FILE)


@pytest.fixture(scope="module")
def cookie(platform: Platform, *, is_guarded: bool) -> str:
    """The cookies of somebody who may see the preview; none where everybody may."""
    return sign_in(platform) if is_guarded else ""


def sign_in(platform: Platform) -> str:
    """Sign in to the console as the operator that Ansible made, and return the cookies."""
    url = platform.settings["platform_console_url"]
    if not url:
        pytest.skip("previews are for those who sign in, and there is no platform_console_url")
    try:
        password = platform.credential("first_operator_password")
    except PlatformError as exc:
        pytest.skip(f"previews are for those who sign in: {exc}")
    with requests.Session() as session:
        session.trust_env = False
        form = session.get(f"{url}/sign-in", timeout=TIMEOUT)
        token = _CSRF.search(form.text)
        assert token, f"{url}/sign-in has no form: {form.status_code}"
        answer = session.post(
            f"{url}/sign-in",
            data={"csrf_token": token[1], "name": OPERATOR, "password": password},
            headers={"Origin": url},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        if answer.status_code != requests.codes.found and not platform.is_lab:
            # Its owner changes it after the first time, as the inventory asks.
            pytest.skip("the first operator's password is no longer that of the inventory")
        assert answer.status_code == requests.codes.found
        return "; ".join(f"{name}={value}" for name, value in session.cookies.items())


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
