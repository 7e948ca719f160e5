"""One HTTP GET, the way a gateway would send it, without following anything."""

from __future__ import annotations

import http.client
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from funai.runtime_agent.engine.containers import printable

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer

_HEAD_BYTES = 512
_READY_BELOW = 500


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where nothing did."""

    status: int
    head: str = ""
    error: str = ""

    @property
    def ready(self) -> bool:
        """Whether the app can take traffic: it speaks HTTP and is not broken."""
        return 0 < self.status < _READY_BELOW

    def evidence(self) -> dict[str, Any]:
        """Return the answer for an error's evidence."""
        if self.status:
            return {"status": self.status, "bodyHead": self.head}
        return {"status": None, "error": self.error}


def get(url: str, timeout_seconds: float) -> Answer:
    """Send one GET and return status and the head of the body; never raises for the network.

    :param timeout_seconds: for the whole exchange, however the bytes of the answer are spread
    """
    deadline = time.monotonic() + timeout_seconds
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    try:
        connection.request("GET", target, headers={"User-Agent": "funai-probe"})
        with _response(connection, deadline) as response:
            response.begin()
            return Answer(response.status, printable(_head(response), _HEAD_BYTES))
    except http.client.HTTPException as exc:
        return Answer(0, error=f"not an HTTP answer: {exc!r}"[:200])
    except OSError as exc:
        return Answer(0, error=str(exc.strerror or exc)[:200])
    finally:
        connection.close()


def _response(connection: http.client.HTTPConnection, deadline: float) -> http.client.HTTPResponse:
    """Return the response, not read yet; the connection's own one knows no deadline."""
    response = http.client.HTTPResponse(connection.sock, method="GET")
    response.fp.close()
    response.fp = io.BufferedReader(_UntilDeadline(connection.sock, deadline))
    return response


def _head(response: http.client.HTTPResponse) -> str:
    """Return what is there of the body; a body that is slow, or breaks off, changes no status."""
    try:
        return response.read1(_HEAD_BYTES).decode("utf-8", "replace")
    except (http.client.HTTPException, OSError):
        return ""


class _UntilDeadline(io.RawIOBase):
    """A socket's bytes until a deadline: its own timeout begins anew with each byte that comes."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            msg = "timed out"
            raise TimeoutError(msg)
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)
