"""The demo app: a page that says which release answers, and faults on demand.

Environment: ``DEMO_RELEASE``, the text that tells releases apart; ``DEMO_FAULT``, empty or one of
``exits``, ``silent``, ``elsewhere``, ``broken``; ``BASE_PATH``, the path under which the public sees the app.
It listens on 8080. SIGTERM lets requests in flight finish.
"""

from __future__ import annotations

import html
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
OTHER_PORT = 9090
LARGEST_BODY_BYTES = 1 << 20
FINISH_SECONDS = 20
RELEASE = os.environ.get("DEMO_RELEASE", "1")
FAULT = os.environ.get("DEMO_FAULT", "")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Funai demo</title>
<style>body{{font:16px/1.5 sans-serif;margin:4rem auto;max-width:36rem}}td{{padding-right:2rem}}</style>
</head><body><h1>It works: release {release}</h1>
<table><tr><td>host</td><td>{host}</td></tr><tr><td>base path</td><td>{base}</td></tr>
<tr><td>path that the app sees</td><td>{path}</td></tr></table></body></html>
"""


class Requests:
    """Counts the requests in flight and knows when the app is to end."""

    def __init__(self) -> None:
        self._idle = threading.Condition()
        self._running = 0
        self.ending = False

    def __enter__(self) -> None:
        with self._idle:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._idle:
            self._running -= 1
            self._idle.notify_all()

    def wait_for_end(self) -> None:
        """Wait until no request is in flight."""
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0, timeout=FINISH_SECONDS)


IN_FLIGHT = Requests()


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with the page and echoes what is posted to /echo."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave as two writes; without this the second waits for an acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with the page."""
        with IN_FLIGHT:
            if FAULT == "broken":
                self._answer(500, "text/plain", b"this release is broken on purpose\n")
            elif self.path == "/healthz":
                self._answer(200, "text/plain", b"ok\n")
            else:
                self._answer(200, "text/html; charset=utf-8", self._page())

    def do_POST(self) -> None:
        """Echo the body."""
        with IN_FLIGHT:
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST_BODY_BYTES:
                self.close_connection = True
                self._answer(413, "text/plain", b"the body is too large\n")
                return
            body = self.rfile.read(length)
            if self.path == "/echo":
                kind = self.headers.get("Content-Type", "application/octet-stream")
                self._answer(200, kind, body)
            else:
                self._answer(404, "text/plain", b"POST goes to /echo\n")

    def _page(self) -> bytes:
        base = self.headers.get("X-Forwarded-Prefix") or os.environ.get("BASE_PATH", "/")
        words = {"release": RELEASE, "host": socket.gethostname(), "base": base, "path": self.path}
        return PAGE.format(**{k: html.escape(v) for k, v in words.items()}).encode()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Demo-Release", RELEASE)
        if IN_FLIGHT.ending:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the log for what matters."""


class Server(ThreadingHTTPServer):
    """Takes connections in bursts."""

    request_queue_size = 256
    daemon_threads = True


def main() -> int:
    """Serve until SIGTERM."""
    sys.stdout.write(f"demo release {RELEASE} starts, fault: {FAULT or 'none'}\n")
    sys.stdout.flush()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if FAULT == "exits":
        sys.stdout.write("configuration is missing: this release exits on purpose\n")
        return 3
    if FAULT == "silent":
        ended.wait()
        return 0
    server = Server(("0.0.0.0", OTHER_PORT if FAULT == "elsewhere" else PORT), Handler)  # noqa: S104
    accepting = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    accepting.start()
    ended.wait()
    IN_FLIGHT.ending = True
    server.shutdown()
    IN_FLIGHT.wait_for_end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
