"""A registry that answers as it is told: what a real one does only on a bad day, or is not here."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """One answer; the text of its body is JSON, or is not."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


class RegistryStub:
    """Answers by method and path, else 404 as a proxy would; records what it was asked.

    ``hold`` keeps answers back while it is cleared.
    """

    #: Where set, whoever shows no token is sent there for one.
    realm: str = ""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.answers: dict[tuple[str, str], Answer] = {}
        self.hold = threading.Event()
        self.hold.set()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                credentials = self.headers.get("Authorization", "")
                stub.calls.append((self.command, self.path, credentials))
                stub.hold.wait(60)
                found = stub._find(self.command, self.path, credentials)
                content = b"" if self.command == "HEAD" else _dump(found.body)
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self._answer()

            def do_HEAD(self) -> None:
                self._answer()

            def do_DELETE(self) -> None:
                self._answer()

            def log_message(self, *_args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def put(self, method: str, path: str, answer: Answer) -> None:
        """Answer so from now on."""
        self.answers[method, path] = answer

    def asked(self, method: str) -> list[str]:
        """Return the paths that were asked with a method."""
        return [path for called, path, _ in self.calls if called == method]

    def close(self) -> None:
        """End the stub."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _find(self, method: str, path: str, credentials: str) -> Answer:
        if self.realm and path.startswith("/v2/") and not credentials.startswith("Bearer "):
            challenge = f'Bearer realm="{self.realm}",service="registry.test"'
            return Answer(401, None, {"WWW-Authenticate": challenge})
        return self.answers.get((method, path), Answer(404, "<html>no such page</html>"))


def error(status: int, code: str, message: str = "") -> Answer:
    """Return an error as registries have it."""
    return Answer(status, {"errors": [{"code": code, "message": message}]})


def _dump(body: object) -> bytes:
    return (body if isinstance(body, str) else json.dumps(body)).encode()
