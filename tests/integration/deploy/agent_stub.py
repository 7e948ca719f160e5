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
        #: The same about single apps, by their id.
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        #: How often it was asked for fences, and what it says of them; None: it is of an earlier
        #: system, and knows no such request.
        self.asked = 0
        self.fences: list[dict[str, Any]] | None = None
        self.fences_status: int | None = None
        self.log = b""
        self.content_type = "text/plain"
        self.log_ended = threading.Event()
        #: Whether what is held comes drop by drop meanwhile, so that who asked goes on waiting for it.
        self.drips = False
        self.hold = threading.Event()
        self.hold.set()
        handler = type("Handler", (_Handler,), {"stub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """End the stub."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    stub: AgentStub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        if self.stub.drips:
            self._drip(*self.stub.answer)
            return
        self.stub.hold.wait(30)
        self._send(*self.stub.answers.get(str(body.get("appId")), self.stub.answer))

    def do_GET(self) -> None:
        if self.path == "/agent/apps/fences":
            self._say_fences()
            return
        self._note({})
        status, answer = self.stub.answer
        content = self.stub.log if status == OK else json.dumps(answer).encode()
        self._begin(status, self.stub.content_type)
        # A reader that hung up before it had read all of it resets the connection.
        with suppress(ConnectionError):
            self._write_chunk(content)
            while status == OK and not self.stub.hold.wait(0.05) and not self._is_reader_gone():
                pass
            self._write_chunk(b"")
        self.stub.log_ended.set()

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def _note(self, body: dict[str, Any]) -> None:
        self.stub.calls.append((self.path, body, self.headers.get("X-Runtime-Token")))

    def _say_fences(self) -> None:
        self.stub.asked += 1
        if self.stub.drips:
            self._drip(OK, {"fences": self.stub.fences})
            return
        self.stub.hold.wait(30)
        status = self.stub.fences_status or (404 if self.stub.fences is None else OK)
        self._send(status, {"fences": self.stub.fences})

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drip(self, status: int, answer: dict[str, Any]) -> None:
        self._begin(status, "application/json")
        while not self.stub.hold.wait(0.2):
            self._write_chunk(b" ")
        self._write_chunk(json.dumps(answer).encode())
        self._write_chunk(b"")

    def _begin(self, status: int, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _write_chunk(self, content: bytes) -> None:
        """Write a part of the answer; none is its end."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def _is_reader_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable)
