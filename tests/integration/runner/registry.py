"""A registry on loopback that keeps what is pushed in memory, with faults to order."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>blobs|manifests)/(?P<rest>.+)")


class _Handler(BaseHTTPRequestHandler):
    stub: ClassVar[StubRegistry]
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        status, headers, content = self.stub.reply(self, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815 - as inherited

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A skopeo that was killed leaves broken connections; that is the test."""


class StubRegistry:
    """Speaks as much of the distribution API as skopeo needs."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        #: ``user:password`` that is asked for; empty for none.
        self.login = ""
        #: Status of all answers instead; 0 for none.
        self.instead = 0
        #: Status and code of the next uploads or manifests instead, one each.
        self.upload_faults: list[tuple[int, str]] = []
        self.manifest_faults: list[tuple[int, str]] = []
        #: Answers only once ``release`` is set.
        self.is_silent = False
        self.release = threading.Event()
        self.asked = threading.Event()
        self.pushes = 0
        handler = type("Handler", (_Handler,), {"stub": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def labels(self, name: str, tag: str) -> dict[str, str]:
        _, raw = self.manifests[f"{name}:{tag}"]
        config: dict[str, Any] = json.loads(self.blobs[json.loads(raw)["config"]["digest"]])
        labels: dict[str, str] = config["config"]["Labels"]
        return labels

    def digest(self, name: str, tag: str) -> str:
        return _digest(self.manifests[f"{name}:{tag}"][1])

    def reply(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.asked.set()
        if self.is_silent:
            self.release.wait(60)
        expected = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        if self.login and handler.headers.get("Authorization") != expected:
            return 401, {"WWW-Authenticate": 'Basic realm="registry"'}, _error("UNAUTHORIZED")
        if self.instead and handler.path != "/v2/":
            return self.instead, {}, _error("UNKNOWN")
        found = _PATH.match(handler.path)
        if found is None:
            return 200, {}, b"{}"
        if found["kind"] == "manifests":
            return self._manifest(handler, f"{found['name']}:{found['rest']}", body)
        return self._blob(handler.command, found["name"], found["rest"], body)

    def _manifest(
        self, handler: BaseHTTPRequestHandler, key: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if handler.command == "PUT" and self.manifest_faults:
            status, code = self.manifest_faults.pop(0)
            return status, {}, _error(code)
        if handler.command == "PUT":
            self.pushes += 1
            kind = handler.headers.get("Content-Type", "")
            name = key.rsplit(":", 1)[0]
            self.manifests[key] = self.manifests[f"{name}:{_digest(body)}"] = (kind, body)
            return 201, {"Docker-Content-Digest": _digest(body)}, b""
        if key not in self.manifests:
            return 404, {}, _error("MANIFEST_UNKNOWN")
        kind, raw = self.manifests[key]
        return 200, {"Content-Type": kind, "Docker-Content-Digest": _digest(raw)}, raw

    def _blob(
        self, method: str, name: str, rest: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, query = rest.partition("?")
        if path.startswith("uploads") and self.upload_faults:
            status, code = self.upload_faults.pop(0)
            return status, {"Retry-After": "10"}, _error(code)
        if path.startswith("uploads"):
            place = {"Location": f"/v2/{name}/blobs/uploads/1", "Range": f"0-{len(body)}"}
            if method == "PATCH":
                self._upload = body
            if method == "PUT":
                digest = query.partition("digest=")[2].replace("%3A", ":")
                self.blobs[digest] = body or self._upload
                return 201, {"Docker-Content-Digest": digest, **place}, b""
            return 202, {"Docker-Upload-UUID": "1", **place}, b""
        if path not in self.blobs:
            return 404, {}, _error("BLOB_UNKNOWN")
        return 200, {"Docker-Content-Digest": path}, self.blobs[path]

    _upload = b""


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
