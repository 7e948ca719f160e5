"""An engine on a UNIX socket, of which a test writes the answers."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SocketEngine(ThreadingMixIn, UnixStreamServer):
    """The server; what hangs waits for ``ended``."""

    daemon_threads = True

    def __init__(self, folder: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        self.path = str(folder / "e.sock")
        super().__init__(self.path, handler)
        self.ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Answer until the block is left."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        yield self
        self.ended.set()
        self.shutdown()
        self.server_close()


class EngineHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: object) -> None:
        """Answer as JSON; with no body at all for None."""
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
