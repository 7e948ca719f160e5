"""The demo workspace: a page and a WebSocket echo on port 5173, as a development server has them."""

from __future__ import annotations

import base64
import hashlib
import signal
import struct
import sys
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 5173
LARGEST_MESSAGE_BYTES = 1 << 20
#: RFC 6455 1.3
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA
#: Lengths that say "the length follows, in two bytes" and "in eight" (RFC 6455 5.2).
_SHORT, _LONG = 126, 127
_HEAD_BYTES = 2


class _Source(t.Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Sink(t.Protocol):
    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> None: ...


PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Workspace demo</title></head>
<body><h1>Workspace demo</h1><pre id="log"></pre><script>
const at = location.href.replace(/^http/, "ws"), log = document.getElementById("log");
const socket = new WebSocket(at);
socket.onopen = () => socket.send("hello over WebSocket");
socket.onmessage = (message) => { log.textContent += "echo: " + message.data + "\\n"; };
</script></body></html>
"""


class Handler(BaseHTTPRequestHandler):
    """Answers GET with the page, or becomes a WebSocket where the client asks for one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the page or start to echo."""
        key = self.headers.get("Sec-WebSocket-Key")
        if self.headers.get("Upgrade", "").lower() == "websocket" and key:
            self._upgrade(key)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def _upgrade(self, key: str) -> None:
        digest = hashlib.sha1((key + _MAGIC).encode(), usedforsecurity=False).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        echo(self.rfile, self.wfile)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def echo(source: _Source, sink: _Sink) -> None:
    """Send every message back until the client closes (RFC 6455 5.2)."""
    while True:
        frame = read_frame(source)
        if frame is None:
            return
        first, payload = frame
        operation = first & 0x0F
        if operation == _PING:
            first = 0x80 | _PONG
        if operation != _PONG:
            sink.write(render_frame(first, payload))
            sink.flush()
        if operation == _CLOSE:
            return


def read_frame(source: _Source) -> tuple[int, bytes] | None:
    """Return a frame's first byte and unmasked payload; None at the end or when it is too large."""
    head = source.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES:
        return None
    length = head[1] & 0x7F
    if length == _SHORT:
        (length,) = struct.unpack(">H", source.read(2))
    elif length == _LONG:
        (length,) = struct.unpack(">Q", source.read(8))
    if length > LARGEST_MESSAGE_BYTES:
        return None
    mask = source.read(4) if head[1] & 0x80 else bytes(4)
    data = source.read(length)
    return head[0], bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def render_frame(first: int, payload: bytes) -> bytes:
    """Return a server's frame, which is not masked."""
    length = len(payload)
    if length < _SHORT:
        return struct.pack(">BB", first, length) + payload
    if length < 1 << 16:
        return struct.pack(">BBH", first, _SHORT, length) + payload
    return struct.pack(">BBQ", first, _LONG, length) + payload


def main() -> int:
    """Serve until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = ThreadingHTTPServer(("0.0.0.0", PORT), Handler)  # noqa: S104 - a container's own address
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
