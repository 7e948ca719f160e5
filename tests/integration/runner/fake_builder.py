"""A builder on a socket that makes an image of whatever it gets, with faults to order."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import socket
import tarfile
import threading
from typing import TYPE_CHECKING, Any, Self

from funai.builder import frames
from funai.builder.model import BuildResult

if TYPE_CHECKING:
    from pathlib import Path


class FakeBuilder:
    """Serves one build at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "build.sock"
        self._spool = folder / "spool"
        self.requests: list[dict[str, Any]] = []
        self.contexts: list[dict[str, bytes]] = []
        self.lines = ["STEP 1/1: FROM scratch"]
        self.result: BuildResult | None = None
        #: Set to let builds through that wait; ``is_slow`` makes them wait.
        self.release = threading.Event()
        self.is_slow = False
        self.begun = threading.Event()
        #: Set when a client went away in the middle of a build.
        self.abandoned = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._build(connection)
                except OSError:
                    self.abandoned.set()

    def _receive(self, connection: socket.socket, parser: frames.FrameParser) -> None:
        context, kind = b"", b""
        while kind != frames.CONTEXT_END:
            kind, payload = _frame(connection, parser)
            if kind == frames.REQUEST:
                self.requests.append(json.loads(payload))
            elif kind == frames.CONTEXT:
                context += payload
        with tarfile.open(fileobj=io.BytesIO(context)) as tar:
            files = {m.name: tar.extractfile(m) for m in tar if m.isfile()}
            self.contexts.append({name: file.read() for name, file in files.items() if file})

    def _build(self, connection: socket.socket) -> None:
        parser = frames.FrameParser(frames.LARGEST_REQUEST)
        self._receive(connection, parser)
        for line in self.lines:
            connection.sendall(frames.encode(frames.LINE, line.encode()))
        self.begun.set()
        while self.is_slow and not self.release.wait(0.05):
            connection.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                if connection.recv(1) == b"":
                    raise ConnectionResetError
        result = self.result or self._image(self.requests[-1])
        connection.settimeout(60)
        connection.sendall(frames.encode(frames.RESULT, json.dumps(result.to_json()).encode()))
        if result.ok:
            _frame(connection, parser)
            shutil.rmtree(self._spool)

    def _image(self, request: dict[str, Any]) -> BuildResult:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            for name, content in self.contexts[-1].items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        make_layout(self._spool, layer.getvalue(), request["labels"])
        return BuildResult(ok=True, image_id="sha256:1", spool=str(self._spool), seconds=0.1)


def make_layout(folder: Path, layer: bytes, labels: dict[str, str]) -> None:
    """Write an image in OCI layout under the name ``image``."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, Any]:
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{name}", "size": len(content)}

    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [blob(layer, "layer.v1.tar")],
    }
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _frame(connection: socket.socket, parser: frames.FrameParser) -> tuple[bytes, bytes]:
    while (frame := parser.next_frame()) is None:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError
        parser.feed(data)
    return frame
