"""A real HAProxy on loopback with the gateway's own template, and small apps behind it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pytest
import yaml

from tests.integration.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROLE = Path(__file__).parents[3] / "roles/gateway"
HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
START_SECONDS = 30


class App(BaseHTTPRequestHandler):
    """Answers with what it was asked; echoes a WebSocket's bytes after the upgrade."""

    protocol_version = "HTTP/1.1"
    name = "app"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self._switch_protocols()
        else:
            self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's own asserts are the log."""

    def _answer(self, received: bytes) -> None:
        headers = "".join(f"{name.lower()}: {value}\n" for name, value in self.headers.items())
        body = f"{self.name} {self.command} {self.path}\n{headers}\n".encode() + received
        self.send_response(200)
        self.send_header("X-Powered-By", "secret-engine/1.0")
        self.send_header("X-App-Release", "the-apps-own-claim")
        for cookie in filter(None, self.headers.get("X-Set", "").split(" | ")):
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _switch_protocols(self) -> None:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        # HAProxy refuses an upgrade without it. This one belongs to RFC 6455's own sample key.
        self.send_header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.end_headers()
        self.wfile.write(self.rfile.readline())
        self.close_connection = True


@dataclass
class Gateway:
    """One running HAProxy."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def map_file(self) -> Path:
        return self.folder / "routes.map"

    def command(self, text: str) -> str:
        """Send one command to the routes socket and return the answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(START_SECONDS)
            client.connect(str(self.folder / "routes.sock"))
            client.sendall(f"{text}\n".encode())
            return client.makefile().read().strip()

    def route(self, app_id: str, address: str) -> None:
        """Add a route as the agent does: to the file and to the running map."""
        with self.map_file.open("a") as routes:
            routes.write(f"{app_id} {address}\n")
        assert self.command(f"add map {self.map_file} {app_id} {address}") == ""


def render(folder: Path, port: int, **given: Any) -> str:
    """Render the role's template with its own defaults, and with paths of the test."""
    variables = {
        **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
        **yaml.safe_load((ROLE / "vars/main.yml").read_text()),
        "ansible_managed": "test",
        "gateway_bind_address": "127.0.0.1",
        "gateway_http_port": port,
        "gateway_allowed_networks": ["127.0.0.0/8"],
        "gateway_hard_stop_seconds": 5,
        "__gateway_map_file": str(folder / "routes.map"),
        "__gateway_socket": str(folder / "routes.sock"),
        "__gateway_routes_group": "root",
        **given,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is HAProxy's configuration, not a page
    )
    return environment.get_template("haproxy.cfg.j2").render(variables)


def start(folder: Path, **given: Any) -> Gateway:
    """Start HAProxy in the foreground and wait until it accepts connections."""
    port = free_port()
    (folder / "routes.map").touch()
    config = folder / "haproxy.cfg"
    config.write_text(render(folder, port, **given))
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [HAPROXY, "-W", "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=stderr
        )
    gateway = Gateway(port, folder, process)
    wait_for_listener(gateway)
    return gateway


def wait_for_listener(gateway: Gateway) -> None:
    """Return once the gateway accepts connections and commands.

    :raises AssertionError: when it does not within START_SECONDS; with what HAProxy said
    """
    pause = threading.Event()
    for _ in range(START_SECONDS * 20):
        with socket.socket() as client:
            answers = client.connect_ex(("127.0.0.1", gateway.port)) == 0
        if answers and _takes_commands(gateway):
            return
        pause.wait(0.05)
    raise AssertionError((gateway.folder / "stderr").read_text())


def _takes_commands(gateway: Gateway) -> bool:
    try:
        return bool(gateway.command("show info"))
    except OSError:
        # HAProxy gives the socket its name before it listens there: the file alone says nothing.
        return False


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start gateways with given variables; all of them end with the test."""
    if not Path(HAPROXY).is_file():
        pytest.skip("haproxy is not installed: apt-get install haproxy")
    started: list[Gateway] = []

    def start_one(**given: Any) -> Gateway:
        # A short path: a UNIX socket's may have 107 bytes.
        folder = tmp_path / f"g{len(started)}"
        folder.mkdir()
        started.append(start(folder, **given))
        return started[-1]

    yield start_one
    for gateway in started:
        gateway.process.terminate()
        gateway.process.wait(START_SECONDS)


@pytest.fixture
def start_app() -> Iterator[Callable[[str], str]]:
    """Start apps that name themselves in each answer; returns their ``ip:port``."""
    servers: list[ThreadingHTTPServer] = []

    def start_one(name: str) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("NamedApp", (App,), {"name": name}))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start_one
    for server in servers:
        server.shutdown()
        server.server_close()
