"""What the role promises of a node's gateway."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host

testinfra_hosts = ["ansible://gateway-node"]

MAP_FILE = "/var/lib/funai-routes/routes.map"
SOCKET = "/run/haproxy/routes.sock"
SEND = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
    "s.sendall(sys.argv[2].encode() + b'\\n'); print(s.makefile().read())"
)


def get(host: Host, path: str) -> tuple[int, str]:
    out = host.check_output("curl -s -w '\\n%%{http_code}' http://127.0.0.1%s", path)
    body, _, status = out.rpartition("\n")
    return int(status), body


def test_gateway_is_enabled_and_running(host: Host) -> None:
    haproxy = host.service("haproxy")
    assert haproxy.is_enabled
    assert haproxy.is_running, host.check_output("journalctl -u haproxy -n 50 --no-pager")


def test_health_says_where_it_stands(host: Host) -> None:
    status, body = get(host, "/internal/health")
    assert status == HTTPStatus.OK
    assert json.loads(body)["mode"] == "runtime"


def test_unknown_app_is_explained(host: Host) -> None:
    status, body = get(host, "/apps/nope/")
    assert status == HTTPStatus.NOT_FOUND
    assert "not deployed" in json.loads(body)["detail"]


def test_only_its_group_may_write_routes(host: Host) -> None:
    folder = host.file(MAP_FILE.rpartition("/")[0])
    assert (folder.user, folder.group, folder.mode) == ("root", "funai-routes", 0o2770)
    routes = host.file(MAP_FILE)
    assert (routes.group, routes.mode) == ("funai-routes", 0o660)
    socket = host.file(SOCKET)
    assert (socket.group, socket.mode) == ("funai-routes", 0o660)


def test_route_added_while_it_runs_counts_at_once(host: Host) -> None:
    command = f"add map {MAP_FILE} added 127.0.0.1:9"
    host.check_output("python3 -c %s %s %s", SEND, SOCKET, command)
    # Nothing listens there: 503 and no longer 404.
    assert get(host, "/apps/added/")[0] == HTTPStatus.SERVICE_UNAVAILABLE


def test_release_of_a_route_is_told_to_clients(host: Host) -> None:
    command = f"add map {MAP_FILE} released 127.0.0.1:80/r7"
    host.check_output("python3 -c %s %s %s", SEND, SOCKET, command)
    # The gateway itself is the app here: its own 404 comes back through the route.
    answer = host.check_output("curl -s -D - -o /dev/null http://127.0.0.1/apps/released/none")
    assert "x-app-release: r7" in answer.lower()


def test_gateway_that_is_killed_comes_back(host: Host) -> None:
    host.check_output("systemctl kill --signal=KILL haproxy")
    # The one that dies may still take a connection, and then breaks it off.
    retries = "--retry 20 --retry-delay 1 --retry-all-errors"
    host.check_output(f"curl -sf {retries} http://127.0.0.1/internal/health")


def test_exposure_is_low(host: Host) -> None:
    assert host.run("systemd-analyze security --threshold=35 haproxy").rc == 0
