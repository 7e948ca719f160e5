"""A Deploy and a node on loopback, for faults that the real ones cannot be made to have."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

#: The connection whose request a thread serves.
SERVED = threading.local()

Body = dict[str, Any]
#: Status and JSON, and headers where there are any.
Reply = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class StubServer:
    """An HTTP server whose answers a test decides. ``reply`` gets method, path, headers, body."""

    def __init__(self, reply: Callable[[str, str, dict[str, str], Body], Reply | None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._serve("POST")

            def do_GET(self) -> None:
                self._serve("GET")

            def _serve(self, method: str) -> None:
                SERVED.connection = self.connection
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = reply(method, self.path, dict(self.headers), json.loads(raw or b"{}"))
                if answer is None:  # as a server that died: no answer at all
                    self.close_connection = True
                    return
                content = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in (answer[2] if len(answer) > 2 else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A runner that was killed leaves broken connections; that is the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class StubDeploy:
    """Hands out jobs in order, notes what it is told."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: list[Body] = []
        self.claims: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.heartbeats: list[tuple[str, Body]] = []
        self.reports: list[tuple[str, Body]] = []
        self.heartbeat_codes: Callable[[str, Body], int | None] = lambda _job, _body: 200
        #: Lines by job, each once; ``log_code`` may refuse a call: None is a server that died.
        self.logs: dict[str, list[Body]] = {}
        self.log_calls: list[tuple[str, Body]] = []
        self.log_code: Callable[[Body], int | None] = lambda _body: 200
        self.report_code: Callable[[], int | None] = lambda: 200
        self.app_settings: Callable[[], Reply | None] = settings
        self.settings_calls: list[str] = []
        self.closed = threading.Event()

    def add(self, job: Body) -> None:
        with self._changed:
            self._queue.append(job)
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def reply(self, method: str, path: str, headers: dict[str, str], body: Body) -> Reply | None:
        with self._changed:
            self.headers.append(headers)
            self._changed.notify_all()
            if path.endswith("/claim"):
                return self._claim(body)
            job_id, action = path.partition("?")[0].split("/")[-2:]
            if (method, action) == ("GET", "app-settings"):
                self.settings_calls.append(path)
                return self.app_settings()
            if action == "logs":
                return self._append(job_id, body)
            if action == "heartbeat":
                self.heartbeats.append((job_id, body))
                code = self.heartbeat_codes(job_id, body)
            else:
                code = self.report_code()
                if code is not None:
                    self.reports.append((job_id, body))
        return None if code is None else (200, {"code": code, "message": "stub", "data": None})

    def _append(self, job_id: str, body: Body) -> Reply | None:
        self.log_calls.append((job_id, body))
        code = self.log_code(body)
        if code != 200:
            return None if code is None else (code, {"code": code, "message": "no", "data": None})
        kept = self.logs.setdefault(job_id, [])
        if body["offset"] > len(kept):
            return 200, {"code": 409, "message": "gap", "data": {"next": len(kept)}}
        kept += body["lines"][len(kept) - body["offset"] :]
        return 200, {"code": 200, "message": "ok", "data": {"next": len(kept)}}

    def wait_for_beat(self) -> bool:
        """Wait until a heartbeat that comes from now on is answered."""
        before = len(self.heartbeats)
        return self.wait_for(lambda: len(self.heartbeats) > before)

    def text_of(self, job_id: str) -> str:
        """The log of a job as a reader sees it."""
        return "\n".join(f"{x['p']}: {x['m']}" for x in self.logs.get(job_id, []))

    def _claim(self, body: Body) -> Reply:
        self.claims.append(body)
        seconds = body["waitSeconds"]
        self._changed.wait_for(lambda: bool(self._queue) or self.closed.is_set(), seconds)
        job = self._queue.pop(0) if self._queue and is_caller_there() else None
        return 200, {"code": 200, "message": "ok", "data": job}

    def reported(self, job_id: str) -> Body | None:
        return next((body for known, body in self.reports if known == job_id), None)

    def phases(self, job_id: str) -> list[str]:
        return [b["phase"] for known, b in self.heartbeats if known == job_id and "phase" in b]


class StubNode:
    """A runtime-agent and the gateway of its node in one server."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.deploys: list[Body] = []
        self.tokens: list[str] = []
        self.agent: Callable[[Body], Reply | None] = deployed
        self.app: Callable[[str], Reply] = lambda _path: (200, "an app")
        #: Set to let calls through that wait; see ``hold``.
        self.release = threading.Event()

    def reply(self, method: str, path: str, headers: dict[str, str], body: Body) -> Reply | None:
        if method == "GET":
            return self.app(path)
        with self._changed:
            self.deploys.append(body)
            self.tokens.append(headers.get("X-Runtime-Token", ""))
            self._changed.notify_all()
        return self.agent(body)

    def hold(self, body: Body) -> Reply | None:
        """An agent that takes its time: answers once ``release`` is set."""
        self.release.wait(60)
        return deployed(body)

    def wait_for_deploys(self, count: int, seconds: float = 60) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.deploys) >= count, seconds)


def is_caller_there() -> bool:
    """Whether the caller of the request at hand still waits: a runner that died must get no job."""
    try:
        return bool(SERVED.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


def settings(
    environment: dict[str, str] | None = None, *secret: str, **limits: float | None
) -> Reply:
    """Deploy's answer to who asks for the settings of an app."""
    data = {
        "appId": "app-1",
        "version": 1,
        "environment": environment or {},
        "secretNames": list(secret),
        "limits": {"memoryMib": None, "cpus": None, **limits},
    }
    return 200, {"code": 200, "message": "ok", "data": data}


def deployed(body: Body) -> Reply:
    name = f"rt-{body['appId']}-{body['fence']}"
    digest = "sha256:" + "a" * 64
    return 200, {
        "appId": body["appId"],
        "containerName": name,
        "status": "DEPLOYED",
        "imageDigest": digest,
    }
