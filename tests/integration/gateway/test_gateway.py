"""The gateway's configuration, asked over HTTP as a browser, a client or an attacker would."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Gateway

    StartGateway = Callable[..., Gateway]
    StartApp = Callable[[str], str]

WAIT_SECONDS = 30


def ask(
    gateway: Gateway,
    path: str,
    method: str = "GET",
    body: str | None = None,
    **headers: str,
) -> tuple[int, dict[str, str], str]:
    """Make one request; return status, headers with lower-case names, and body."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=WAIT_SECONDS)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text


def ask_raw(gateway: Gateway, request: bytes, answer_bytes: int = 65536) -> bytes:
    """Send bytes as they are and return the answer up to its end."""
    with socket.create_connection(("127.0.0.1", gateway.port), WAIT_SECONDS) as client:
        client.sendall(request)
        with client.makefile("rb") as answer:
            return answer.read(answer_bytes)


def test_prefix_is_stripped_and_named_to_the_app(
    start_gateway: StartGateway, start_app: StartApp
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))

    status, headers, text = ask(gateway, "/apps/app-1/a/b?q=1&r=%2F")

    assert status == 200
    assert text.startswith("one GET /a/b?q=1&r=%2F\n")
    assert "x-forwarded-prefix: /apps/app-1\n" in text
    assert "x-forwarded-for: 127.0.0.1\n" in text
    assert "x-forwarded-proto: http\n" in text
    assert not {"server", "x-powered-by", "via"} & set(headers)


def test_edge_keeps_the_path_for_the_node(start_gateway: StartGateway, start_app: StartApp) -> None:
    node = start_gateway()
    node.route("app-1", start_app("one"))
    edge = start_gateway(gateway_mode="edge", gateway_workspace_address="127.0.0.1:9")
    edge.route("app-1", f"127.0.0.1:{node.port}")

    status, _, text = ask(edge, "/apps/app-1/x")

    assert status == 200
    assert text.startswith("one GET /x\n")


def test_post_reaches_the_app_whole(start_gateway: StartGateway, start_app: StartApp) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))
    body = "x" * 100_000

    status, _, text = ask(gateway, "/apps/app-1/echo", "POST", body)

    assert status == 200
    assert text.startswith("one POST /echo\n")
    assert text.endswith(body)


def test_next_request_on_an_open_connection_sees_the_new_route(
    start_gateway: StartGateway, start_app: StartApp
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=WAIT_SECONDS)
    seen = []
    for name in ("one", "two", "three"):
        if name != "one":
            gateway.command(f"set map {gateway.map_file} app-1 {start_app(name)}")
        connection.request("GET", "/apps/app-1/")
        seen.append(connection.getresponse().read().split()[0].decode())
    connection.close()

    assert seen == ["one", "two", "three"]


def test_apps_do_not_share_connections(start_gateway: StartGateway, start_app: StartApp) -> None:
    gateway = start_gateway()
    for name in ("one", "two"):
        gateway.route(name, start_app(name))

    seen = [ask(gateway, f"/apps/{name}/")[2].split()[0] for name in ("one", "two") * 5]

    assert seen == ["one", "two"] * 5


def test_release_of_the_route_is_told_and_changes_with_it(
    start_gateway: StartGateway, start_app: StartApp
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", f"{start_app('one')}/r1-0123456789ab")

    before = ask(gateway, "/apps/app-1/")
    gateway.command(f"set map {gateway.map_file} app-1 {start_app('two')}/r2")
    after = ask(gateway, "/apps/app-1/", "POST", "x")

    assert (before[1]["x-app-release"], before[2].split()[0]) == ("r1-0123456789ab", "one")
    assert (after[1]["x-app-release"], after[2].split()[0]) == ("r2", "two")


def test_release_that_the_app_itself_claims_is_removed(
    start_gateway: StartGateway, start_app: StartApp
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))

    status, headers, _ = ask(gateway, "/apps/app-1/")

    assert status == 200
    assert "x-app-release" not in headers


def test_edge_passes_the_release_on(start_gateway: StartGateway, start_app: StartApp) -> None:
    node = start_gateway()
    node.route("app-1", f"{start_app('one')}/r1")
    edge = start_gateway(gateway_mode="edge", gateway_workspace_address="127.0.0.1:9")
    edge.route("app-1", f"127.0.0.1:{node.port}")

    assert ask(edge, "/apps/app-1/")[1]["x-app-release"] == "r1"


def test_answer_of_the_gateway_itself_names_no_release(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    gateway.route("app-1", "127.0.0.1:9/r1")

    status, headers, _ = ask(gateway, "/apps/app-1/")

    assert status == 503
    assert "x-app-release" not in headers


@pytest.mark.parametrize(
    ("path", "location"),
    [
        pytest.param("/apps/app-1", "/apps/app-1/", id="plain"),
        pytest.param("/apps/app-1?a=1&b=%2F", "/apps/app-1/?a=1&b=%2F", id="query-kept"),
    ],
)
def test_missing_slash_is_added(
    start_gateway: StartGateway, start_app: StartApp, path: str, location: str
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))

    status, headers, _ = ask(gateway, path, "POST", "body")

    assert (status, headers["location"]) == (308, location)


@pytest.mark.parametrize(
    "path",
    [
        "/apps/unknown/",
        "/apps/unknown",
        "/apps/",
        "/apps//app-1/",
        "//apps/app-1/",
        "/apps/../app-1/",
        "/apps/%61pp-1/",
        "/apps/app-1%2f/",
        "/apps/-app/",
        "/apps/" + "a" * 64 + "/",
        "/Apps/app-1/",
        "/",
        "/nothing",
    ],
)
def test_what_is_no_known_app_is_404_and_says_why(
    start_gateway: StartGateway, start_app: StartApp, path: str
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))

    status, headers, text = ask(gateway, path)

    assert status == 404
    assert headers["content-type"] == "application/json"
    assert json.loads(text)["status"] == 404
    assert len(json.loads(text)["detail"]) > 40


def test_browser_gets_a_page(start_gateway: StartGateway) -> None:
    gateway = start_gateway()

    status, headers, text = ask(gateway, "/apps/nope/", Accept="text/html,*/*;q=0.8")

    assert status == 404
    assert headers["content-type"].startswith("text/html")
    assert "App nope is not deployed here." in text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_app_that_is_down_is_503_and_says_so(start_gateway: StartGateway, method: str) -> None:
    gateway = start_gateway()
    gateway.route("app-1", "127.0.0.1:9")

    status, headers, text = ask(gateway, "/apps/app-1/", method)

    assert status == 503
    assert headers["retry-after"] == "5"
    assert json.loads(text)["detail"].startswith("App app-1 is deployed but does not accept")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254:80",
        "999.1.1.1:80",
        "127.0.0.1",
        "127.0.0.1:0",
        "localhost:80",
        "127.0.0.1:9/",
        "127.0.0.1:9/-r1",
        "127.0.0.1:9/r1/r2",
        f"127.0.0.1:9/{'r' * 65}",
        "127.0.0.1:9,r1",
    ],
)
def test_route_out_of_the_allowed_networks_is_refused(
    start_gateway: StartGateway, address: str
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", address)

    status, _, text = ask(gateway, "/apps/app-1/")

    assert status == 503
    assert "outside the networks" in json.loads(text)["detail"]


def test_no_allowed_network_allows_none(start_gateway: StartGateway, start_app: StartApp) -> None:
    gateway = start_gateway(gateway_allowed_networks=[])
    gateway.route("app-1", start_app("one"))

    assert ask(gateway, "/apps/app-1/")[0] == 503


def test_secrets_and_claims_of_the_client_are_stripped(
    start_gateway: StartGateway, start_app: StartApp
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))

    _, _, text = ask(
        gateway,
        "/apps/app-1/",
        X_Runtime_Token="leak",
        X_DEPLOY_SECRET="leak",
        X_Admin_Token="leak",
        X_RT_Node_Token="leak",
        X_Runner_Token="leak",
        X_Gateway_Token="leak",
        X_Preview_Token="leak",
        X_Preview_User="leak",
        X_Forwarded_For="192.0.2.66",
        X_Forwarded_Prefix="/leak",
        X_Forwarded_User="leak",
        Forwarded="for=192.0.2.66",
        Proxy="http://leak",
        HTTP2_Settings="leak",
        Upgrade="h2c",
        Connection="Upgrade, HTTP2-Settings",
        Authorization="Bearer the-apps-own",
    )

    assert "leak" not in text
    assert "192.0.2.66" not in text
    assert "h2c" not in text
    assert "authorization: Bearer the-apps-own\n" in text


def test_our_proxy_is_believed(start_gateway: StartGateway, start_app: StartApp) -> None:
    gateway = start_gateway(gateway_trusted_proxies=["127.0.0.1"])
    gateway.route("app-1", start_app("one"))

    _, _, text = ask(
        gateway, "/apps/app-1/", X_Forwarded_For="192.0.2.66", X_Forwarded_Proto="https"
    )

    assert "x-forwarded-for: 192.0.2.66\n" in text
    assert "x-forwarded-proto: https\n" in text


@pytest.mark.parametrize("mode", ["runtime", "edge"])
def test_websocket_passes(start_gateway: StartGateway, start_app: StartApp, mode: str) -> None:
    address = start_app("one")
    gateway = start_gateway(gateway_mode=mode, gateway_workspace_address=address)
    gateway.route("app-1", address)
    path = "/ws/1/x" if mode == "edge" else "/apps/app-1/x"

    answer = ask_raw(
        gateway,
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "echoed\n".encode(),
    )

    assert answer.startswith(b"HTTP/1.1 101")
    assert answer.endswith(b"echoed\n")


def test_health_and_landing_page(start_gateway: StartGateway) -> None:
    edge = start_gateway(gateway_mode="edge", gateway_workspace_address="127.0.0.1:9")

    status, _, text = ask(edge, "/internal/health")
    landing = ask(edge, "/")
    preview = ask(edge, "/ws/1/")

    assert status == 200
    assert json.loads(text).items() >= {"ok": True, "mode": "edge"}.items()
    assert landing[0] == 200
    assert "/apps/" in landing[2]
    assert preview[0] == 503
    assert "workspace host" in json.loads(preview[2])["detail"]


def test_reload_takes_the_routes_of_the_file(
    start_gateway: StartGateway, start_app: StartApp
) -> None:
    gateway = start_gateway()
    gateway.route("app-1", start_app("one"))
    before = gateway.command("show info").split("Pid: ")[1].split()[0]

    pause = threading.Event()
    for number in range(WAIT_SECONDS * 20):
        if number % 20 == 0:
            # The master loses a signal that comes before it waits for any, and says nowhere when.
            gateway.process.send_signal(signal.SIGUSR2)
        if gateway.command("show info").split("Pid: ")[1].split()[0] != before:
            break
        pause.wait(0.05)

    assert gateway.command("show info").split("Pid: ")[1].split()[0] != before
    assert ask(gateway, "/apps/app-1/")[2].startswith("one GET /\n")
    assert gateway.command(f"show map {gateway.map_file}").endswith(
        gateway.map_file.read_text().strip()
    )
