"""A node's agent that answers as it is told."""

from __future__ import annotations

import json
import select
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OK = 200


class AgentStub:
    """Records what Deploy asks; ``answer`` is (HTTP status, body), ``hold`` delays it.

    A log is ``log`` and goes on, silent, until ``hold`` is set or its reader hangs up.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any], str | None]] = []
        self.answer: tuple[int, dict[str, Any]] = (200, {"status": "DONE"})
        #: How often it was asked for fences, and what it says of them; None: it is of an earlier
        #: system, and knows no such request.
        self.asked = 0
        self.fences: list[dict[str, Any]] | None = None
        self.fences_status: int | None = None
        self.log = b""
        self.content_type = "text/plain"
        self.log_ended = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.calls.append((self.path, body, self.headers.get("X-Runtime-Token")))
                stub.hold.wait(30)
                status, answer = stub.answer
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                if self.path == "/agent/apps/fences":
                    self._say_fences()
                    return
                stub.calls.append((self.path, {}, self.headers.get("X-Runtime-Token")))
                status, answer = stub.answer
                content = stub.log if status == OK else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", stub.content_type)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                # A reader that hung up before it had read all of it resets the connection.
                with suppress(ConnectionError):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
                    while status == OK and not stub.hold.wait(0.05) and not self._is_reader_gone():
                        pass
                    self.wfile.write(b"0\r\n\r\n")
                stub.log_ended.set()

            def _say_fences(self) -> None:
                stub.asked += 1
                stub.hold.wait(30)
                content = json.dumps({"fences": stub.fences}).encode()
                self.send_response(stub.fences_status or (404 if stub.fences is None else OK))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _is_reader_gone(self) -> bool:
                readable, _, _ = select.select([self.connection], [], [], 0)
                return bool(readable)

            def log_message(self, *_args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """End the stub."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
