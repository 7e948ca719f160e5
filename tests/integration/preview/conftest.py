"""A real nginx on loopback with the role's own template, and development servers behind it."""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pytest
import yaml

from lab.images.workspace_demo.app import echo
from tests.integration.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROLE = Path(__file__).parents[3] / "roles/workspace"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
START_SECONDS = 30
TOKEN = "preview-token-of-the-tests"
#: RFC 6455 1.3
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's own asserts are the log."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status == 204:
            self.end_headers()
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class DevelopmentServer(_Quiet):
    """Answers with what it was asked, as it was sent; echoes a WebSocket's messages."""

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._echo()
        elif self.path == "/cookies":
            self._set_cookies()
        elif self.path == "/elsewhere":
            self._answer(200, b"own words", X_Accel_Redirect="/_access")
        elif self.path == "/broken":
            self._answer(500, b"own error")
        else:
            self._tell(b"")

    def do_POST(self) -> None:
        self._tell(self.rfile.read(int(self.headers["Content-Length"])))

    def _tell(self, received: bytes) -> None:
        headers = "".join(f"{name.lower()}: {value}\n" for name, value in self.headers.items())
        self._answer(200, f"{self.requestline.rpartition(' ')[0]}\n{headers}\n".encode() + received)

    def _set_cookies(self) -> None:
        self.send_response(200)
        for path in ("/", "/deep", "/ws/8/x"):
            self.send_header("Set-Cookie", f"a=1; Path={path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _echo(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + _MAGIC
        digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        echo(self.rfile, self.wfile)


class AccessServer(_Quiet):
    """The API entry's one page: user 7's session is ``seven``."""

    asked: list[dict[str, str]]
    statuses: list[int]
    stopped: threading.Event

    def do_GET(self) -> None:
        if self.stopped.is_set():
            # A kept connection outlives the listener.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked.append({"path": self.path, **headers})
        if self.statuses:
            self._answer(self.statuses[0], b"what the API says")
            return
        cookies = dict(
            part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";")
        )
        signed_in = cookies.get("funai_session") == "seven"
        allowed = headers.get("x-preview-user") == "7"
        if headers.get("x-preview-token") != TOKEN:
            self._answer(500)
        else:
            self._answer((204 if allowed else 403) if signed_in else 401)


@dataclass
class Access:
    """The stub of the API entry."""

    port: int
    server: ThreadingHTTPServer
    stopped: threading.Event
    #: What it was asked: ``path`` and headers with lower-case names.
    asked: list[dict[str, str]] = field(default_factory=list)
    #: The status to answer whatever it is asked; empty: as the API does.
    statuses: list[int] = field(default_factory=list)

    def stop(self) -> None:
        """End it; whoever asks is refused from then on."""
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Nginx:
    """One running nginx."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def ports_dir(self) -> Path:
        """Folder of the maps."""
        return self.folder / "ports"


def environment() -> jinja2.Environment:
    """Return Ansible's way to render, as far as the templates use it."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is nginx's configuration, not a page
    )
    made.filters["comment"] = lambda text: f"# {text}"
    return made


def render(folder: Path, port: int, ports: dict[int, int], **given: Any) -> Path:
    """Write nginx's whole configuration below ``folder`` and return its file."""
    variables = {
        **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
        **yaml.safe_load((ROLE / "vars/main.yml").read_text()),
        "ansible_managed": "test",
        "workspace_gateway_port": f"127.0.0.1:{port}",
        "workspace_access_token": TOKEN,
        # A busy machine may keep the stub from answering for seconds.
        "workspace_access_timeout_seconds": 10,
        "__workspace_ports_dir": str(folder / "ports"),
        "__workspace_access_file": str(folder / "access.conf"),
        **given,
    }
    (folder / "ports").mkdir()
    lines = "".join(f'"{user}" {host_port};\n' for user, host_port in ports.items())
    (folder / "ports/test.map").write_text(lines)
    for source, target in (("preview.nginx", "site.conf"), ("preview-access.conf", "access.conf")):
        text = environment().get_template(f"{source}.j2").render(variables)
        (folder / target).write_text(text)
    main = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "worker_processes 1; events {}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/site.conf;\n}}\n"
    )
    return main


def start(folder: Path, ports: dict[int, int], **given: Any) -> Nginx:
    """Start nginx in the foreground and wait until it accepts connections."""
    port = free_port()
    config = render(folder, port, ports, **given)
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    pause = threading.Event()
    for _ in range(START_SECONDS * 20):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return Nginx(port, folder, process)
        pause.wait(0.05)
    raise AssertionError((folder / "stderr").read_text())


@pytest.fixture(scope="module")
def development_server() -> Iterator[int]:
    """User 7's development server; returns its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), DevelopmentServer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def access() -> Iterator[Access]:
    """The stub of the API entry, asked by nothing yet."""
    stopped = threading.Event()
    handler = type("Stub", (AccessServer,), {"asked": [], "statuses": [], "stopped": stopped})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    stub = Access(server.server_port, server, stopped, handler.asked, handler.statuses)  # type: ignore[attr-defined]  # set above
    yield stub
    stub.stop()


@pytest.fixture
def start_nginx(tmp_path: Path, development_server: int) -> Iterator[Callable[..., Nginx]]:
    """Start gateways with given variables; user 7's workspace is awake, 8's and 12's sleep."""
    if not Path(NGINX).is_file():
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    started: list[Nginx] = []

    def start_one(**given: Any) -> Nginx:
        folder = tmp_path / f"n{len(started)}"
        folder.mkdir()
        ports = {7: development_server, 8: free_port(), 12: free_port()}
        started.append(start(folder, ports, **given))
        return started[-1]

    yield start_one
    for nginx in started:
        nginx.process.terminate()
        nginx.process.wait(START_SECONDS)


@pytest.fixture
def guarded(start_nginx: Callable[..., Nginx], access: Access) -> Nginx:
    """A gateway that asks who may see a preview, and sends browsers to sign in."""
    return start_nginx(
        workspace_access_url=f"http://127.0.0.1:{access.port}",
        workspace_sign_in_url="https://console.example/sign-in",
    )


@pytest.fixture
def open_gateway(start_nginx: Callable[..., Nginx]) -> Nginx:
    """A gateway without the access check."""
    return start_nginx()
