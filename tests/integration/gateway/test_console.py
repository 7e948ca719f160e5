"""The console's own origin at the edge, and its session, which no app may see."""

from __future__ import annotations

import socket
import threading
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import requests

from tests.integration.api.process import ApiProcess
from tests.integration.deploy_process import DeployProcess, Schema
from tests.integration.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.gateway.conftest import Gateway
    from tests.integration.mariadb import MariaDb

EDGE = {"gateway_mode": "edge", "gateway_workspace_address": "127.0.0.1:9"}
#: What the API entry itself says on this route to who shows no token.
PREVIEW_ANSWER = "X-Preview-Token is missing or wrong"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("funai_session=secret", ""),
        ("funai_session=secret; theme=dark", "theme=dark"),
        ("theme=dark; funai_session=secret", "theme=dark"),
        ("a=1; funai_session=secret; b=2", "a=1; b=2"),
        # A browser sends a name as often as it holds it, for different paths and hosts.
        ("funai_session=secret; funai_session=planted", ""),
        ("a=1; funai_session=secret; funai_session=planted", "a=1"),
        ("a=1; funai_session=secret; b=2; funai_session=planted; c=3", "a=1; b=2; c=3"),
        ("funai_session=planted; a=1; funai_session=secret; funai_session=planted", "a=1"),
        # No browser heeds quotes: they must not hide what stands between them.
        ('a="; funai_session=secret; b="', 'a="; b="'),
        ("a=1;funai_session =secret;b=2", "a=1;b=2"),
        ("a=1; __Host-funai_session=secret", "a=1"),
        ("a=1, funai_session=secret; b=2", ""),
        ("a=x funai_session=secret; b=2", ""),
        ("not_funai_session=mine", "not_funai_session=mine"),
        ("a=1; b=2", "a=1; b=2"),
        (
            'a="1, 2"; b=%7B\\; funai_session=secret; c={"d":[#|<>]}',
            'a="1, 2"; b=%7B\\; c={"d":[#|<>]}',
        ),
    ],
)
def test_an_app_sees_its_own_cookies_alone(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str], sent: str, seen: str
) -> None:
    gateway = start_gateway(**EDGE)
    gateway.route("shop", start_app("shop"))
    answer = requests.get(
        f"http://127.0.0.1:{gateway.port}/apps/shop/", headers={"Cookie": sent}, timeout=30
    )
    cookies = [line[8:] for line in answer.text.splitlines() if line.startswith("cookie: ")]
    assert answer.status_code == 200
    assert "".join(cookies) == seen
    assert "secret" not in answer.text


@pytest.mark.parametrize("session_at", [0, 1, 2])
def test_an_app_sees_no_session_that_comes_in_one_of_several_headers(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str], session_at: int
) -> None:
    gateway = start_gateway(**EDGE)
    gateway.route("shop", start_app("shop"))
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.putrequest("GET", "/apps/shop/")
    for place in range(3):
        connection.putheader("Cookie", "funai_session=secret" if place == session_at else "a=1")
    connection.endheaders()
    seen = connection.getresponse().read().decode()
    connection.close()
    assert seen.startswith("shop GET")
    assert "secret" not in seen


def test_an_app_cannot_set_the_session(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str]
) -> None:
    gateway = start_gateway(**EDGE)
    gateway.route("shop", start_app("shop"))
    asked = {
        "X-Set": "theme=dark; Path=/ | funai_session=planted; Path=/ | a=funai_session=1 "
        "|  __Host-funai_session=planted; Secure; Path=/ | not_funai_session=1"
    }
    answer = requests.get(f"http://127.0.0.1:{gateway.port}/apps/shop/", headers=asked, timeout=30)
    found = [line for line in answer.raw.headers.getlist("set-cookie") if line]
    assert found == ["theme=dark; Path=/", "a=funai_session=1", "not_funai_session=1"]


def test_the_preview_gateway_gets_the_session(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str]
) -> None:
    gateway = start_gateway(gateway_mode="edge", gateway_workspace_address=start_app("preview"))
    cookie = {"Cookie": "funai_session=secret"}
    answer = requests.get(f"http://127.0.0.1:{gateway.port}/ws/1/", headers=cookie, timeout=30)
    assert "cookie: funai_session=secret" in answer.text


def test_the_console_has_a_port_of_its_own_and_believes_nobody(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str]
) -> None:
    port = free_port()
    start_gateway(
        **EDGE, gateway_console_address=start_app("console"), gateway_console_http_port=port
    )
    headers = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
        "X-DEPLOY-SECRET": "guessed",
        "X-Admin-Token": "an operator's own",
        "X-Preview-Token": "guessed",
        "X-Preview-User": "guessed",
    }
    answer = requests.get(f"http://127.0.0.1:{port}/console/queue", headers=headers, timeout=30)
    assert answer.text.startswith("console GET /console/queue")
    assert "x-forwarded-for: 127.0.0.1" in answer.text
    assert "x-forwarded-proto: http\n" in answer.text
    assert "x-admin-token: an operator's own" in answer.text
    assert "guessed" not in answer.text
    assert "198.51.100.7" not in answer.text


def test_what_is_internal_stays_so(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str]
) -> None:
    port = free_port()
    start_gateway(
        **EDGE, gateway_console_address=start_app("console"), gateway_console_http_port=port
    )
    for path in (
        "/internal",
        "/internal/",
        "/internal/ready",
        "/internal/ready?x=/internal/health",
        "/internal/health/",
        "/internal/health/../ready",
        "/internal/health%2f..%2fready",
        "/%69nternal/health",
        "/%69nternal/ready",
        "/%2e/internal/ready",
        "/./internal/ready",
        "http://console.example//%69nternal/ready",
    ):
        assert ask(port, path)[0] == 404, path


def test_path_that_cannot_be_decoded_is_refused(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str]
) -> None:
    port = free_port()
    start_gateway(
        **EDGE, gateway_console_address=start_app("console"), gateway_console_http_port=port
    )
    for path in ("/%zz", "/%69nternal/%zz", "/internal%2"):
        status, text = ask(port, path)
        assert (status, "Check the address" in text) == (400, True), path


def test_paths_beside_the_internal_ones_pass_as_they_are(
    start_gateway: Callable[..., Gateway], start_app: Callable[[str], str]
) -> None:
    port = free_port()
    start_gateway(
        **EDGE, gateway_console_address=start_app("console"), gateway_console_http_port=port
    )
    for path in (
        "/internal/health",
        "/internals",
        "/docs/internal/",
        "/console/apps/a%20b%2Fc?q=100%",
        "/docs/%E6%9E%B6%E6%9E%84/",
    ):
        assert ask(port, path)[1].startswith(f"console GET {path}\n"), path


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiProcess]:
    """A real API entry; neither its database nor Deploy is there."""
    nowhere = Schema(cast("MariaDb", SimpleNamespace(port=free_port())), "none")
    process = ApiProcess(nowhere, DeployProcess(nowhere, tmp_path / "none.log"), tmp_path / "log")
    try:
        process.start()
        yield process
    finally:
        process.stop()


def test_no_spelling_leads_to_what_is_internal(
    start_gateway: Callable[..., Gateway], api: ApiProcess
) -> None:
    port = free_port()
    start_gateway(
        **EDGE, gateway_console_address=f"127.0.0.1:{api.port}", gateway_console_http_port=port
    )
    for path in (
        "/internal/preview-access",
        "/%69nternal/preview-access",
        "/%69nternal/preview-access?x",
        "/%69%6E%74%65%72%6e%61%6c/preview%2Daccess",
        "/internal%2fpreview-access",
        "/internal%2Fpreview-access",
        "/%2finternal/preview-access",
        "//internal/preview-access",
        "///%69nternal%2Fpreview-access",
        "http://console.example/%69nternal/preview-access",
    ):
        assert PREVIEW_ANSWER in ask(api.port, path)[1], f"{path} leads nowhere, so proves nothing"
        status, text = ask(port, path)
        assert (status, PREVIEW_ANSWER in text) == (404, False), path
    assert ask(port, "/internal/health")[0] == 200


def ask(port: int, path: str) -> tuple[int, str]:
    """Ask for a path as it is written; return status and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Accept": "*/*"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_console_that_is_down_is_explained(start_gateway: Callable[..., Gateway]) -> None:
    port = free_port()
    start_gateway(
        **EDGE,
        gateway_console_address=f"127.0.0.1:{free_port()}",
        gateway_console_http_port=port,
        gateway_console_url="http://console.example",
    )
    answer = requests.get(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"}, timeout=30)
    assert answer.status_code == 503
    assert "Deployed apps are not affected" in answer.text


def test_a_program_is_told_of_a_console_that_is_down_in_its_envelope(
    start_gateway: Callable[..., Gateway],
) -> None:
    port = free_port()
    start_gateway(
        **EDGE, gateway_console_address=f"127.0.0.1:{free_port()}", gateway_console_http_port=port
    )
    answer = requests.get(
        f"http://127.0.0.1:{port}/api/fun-ai/admin/deploy-nodes/list",
        headers={"Accept": "application/json"},
        timeout=30,
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/json")
    assert answer.headers["Retry-After"]
    found = answer.json()
    assert (found["code"], found["data"]) == (503, None)
    assert found["message"] == f"{found['error']}. {found['detail']}"
    assert found["message"].startswith("The console is down. It does not accept")
    assert found["status"] == 503


def test_a_program_is_told_of_a_console_that_breaks_off_in_its_envelope(
    start_gateway: Callable[..., Gateway],
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as broken:
        address = f"127.0.0.1:{broken.getsockname()[1]}"
        start_gateway(**EDGE, gateway_console_address=address, gateway_console_http_port=port)
        breaking = threading.Thread(target=_answer_nonsense, args=(broken,))
        breaking.start()
        answer = requests.post(f"http://127.0.0.1:{port}/api/x", json={}, timeout=30)
        breaking.join()
    assert answer.status_code == 502
    assert answer.json()["code"] == 502
    assert "before you repeat anything" in answer.json()["message"]


def _answer_nonsense(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"no HTTP\r\n\r\n")


def test_the_landing_page_names_the_console(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(**EDGE, gateway_console_url="http://console.example")
    page = requests.get(f"http://127.0.0.1:{gateway.port}/", timeout=30).text
    assert 'href="http://console.example/"' in page
