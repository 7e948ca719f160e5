"""Receivers of webhooks: a real HTTP server that records what it gets and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from tests.integration.deploy_process import DeployProcess

SECRET = "integration-webhook-secret-0123456789"
#: A permission as robots of chats have it in their URL: nothing may show it.
TOKEN = "integration-access-token"
WAIT_SECONDS = 60
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def told(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def delivery(self) -> str:
        """The id of the delivery."""
        return self.headers["X-Funai-Delivery"]


class _Server(ThreadingHTTPServer):
    # It is at its end while some clients have gone.
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Receiver:
    """A server whose answers are ``statuses`` in turn, the last for ever.

    A status of 0 hangs until the receiver ends; -1 drips a header for ever.
    """

    def __init__(self, *statuses: int, said: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.statuses = list(statuses) or [200]
        self.said = said
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            # The handshake is the handler's, so that one that fails ends nothing else.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ends.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens, with a permission in the query."""
        return (
            f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/hook?access_token={TOKEN}"
        )

    def wait_for(self, count: int) -> list[Call]:
        """Return the calls once there are so many."""
        wait_until(lambda: len(self.calls) >= count, lambda: f"{len(self.calls)} of {count} calls")
        return list(self.calls)

    def events(self) -> list[str]:
        """Return the names of what was told, in order."""
        return [call.headers["X-Funai-Event"] for call in self.calls]

    def _take(self, call: Call) -> int:
        with self._lock:
            self.calls.append(call)
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver._take(Call(self.path, dict(self.headers.items()), body))
                if status == 0:
                    receiver._ends.wait(WAIT_SECONDS)
                    return
                if status < 0:
                    receiver._drip(self)
                    return
                said = receiver.said.encode()
                self.send_response(status)
                if status // 100 == 3:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        while not self._ends.wait(0.1):
            handler.wfile.write(b"x")


def wait_until(is_so: Any, said: Any = lambda: "") -> None:
    """Wait until something is so; fail with what is said where it never is."""
    deadline, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
    while not is_so():
        assert time.monotonic() < deadline, said()
        pause.wait(_POLL_SECONDS)


def declared(folder: Path, **receivers: Receiver | dict[str, Any]) -> dict[str, str]:
    """Return the settings of a Deploy with a webhook per receiver; they are tried often.

    A receiver of this process may be slow to get its turn: a try that was given up would come twice.
    """
    entries = []
    for name, receiver in receivers.items():
        entry = {"url": receiver.url} if isinstance(receiver, Receiver) else receiver
        entries.append({"name": name, "secret": SECRET, **entry})
    path = folder / "webhooks.json"
    path.write_text(json.dumps(entries))
    return {
        "DEPLOY_WEBHOOKS_FILE": str(path),
        "DEPLOY_WEBHOOK_BACKOFF_SECONDS": "0.05",
        "DEPLOY_WEBHOOK_TIMEOUT_SECONDS": "20",
        "DEPLOY_REAPER_SECONDS": "0.1",
    }


def deliveries(deploy: DeployProcess, limit: int = 50) -> list[dict[str, Any]]:
    """Return what operators see, newest first."""
    admin = {"X-Admin-Token": "integration-admin-token"}
    status, answer = deploy.call("GET", f"/admin/webhooks/deliveries?limit={limit}", None, admin)
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["data"]
    return found


def wait_for_state(deploy: DeployProcess, state: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the deliveries in that state once there are so many."""

    def those() -> list[dict[str, Any]]:
        return [found for found in deliveries(deploy, 500) if found["state"] == state]

    wait_until(lambda: len(those()) >= count, lambda: str(deliveries(deploy)))
    return those()
