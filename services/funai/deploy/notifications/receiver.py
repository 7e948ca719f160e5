"""Speaks to a webhook's receiver: one POST, bounded in time and in what is read."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from funai.deploy.notifications.model import MAX_ERROR, Answer
from funai.deploy.wire import keep_head

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

#: Bytes of an answer that are read, and characters of it that are kept.
_READ = 4096
_KEPT = 200
_OK = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_ELSEWHERE = range(HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.BAD_REQUEST)


class Receiver:
    """One receiver. Neither proxies of the environment, cookies nor redirects play a part.

    :param seconds: for the connection, and again for all that follows
    """

    def __init__(self, url: str, context: ssl.SSLContext, seconds: float) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (http.client.HTTPS_PORT if self._is_tls else 80)
        self._netloc = parts.netloc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._context = context
        self._seconds = seconds

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body and return what came of it; nothing is raised, and no text holds the URL."""
        try:
            sock = socket.create_connection((self._host, self._port), timeout=self._seconds)
        except TimeoutError:
            return Answer(None, f"no connection within {self._seconds:g} s")
        except (OSError, UnicodeError) as exc:
            return Answer(None, f"no connection: {_cause(exc)}")
        with sock:
            return self._exchange(sock, body, headers)

    def _exchange(self, sock: socket.socket, body: bytes, headers: Mapping[str, str]) -> Answer:
        late = Answer(None, f"no whole answer within {self._seconds:g} s")
        with _deadline(self._seconds) as deadline:
            try:
                answer = self._speak(deadline, sock, body, headers)
            except TimeoutError:
                return late
            except (OSError, http.client.HTTPException, ValueError) as exc:
                return late if deadline.is_over else Answer(None, f"no answer: {_cause(exc)}")
        return answer

    def _speak(
        self, deadline: _Deadline, sock: socket.socket, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        deadline.guards(sock)
        if not self._is_tls:
            return self._ask(deadline, sock, body, headers)
        with self._context.wrap_socket(
            sock, server_hostname=self._host, do_handshake_on_connect=False
        ) as tls:
            deadline.guards(tls)
            tls.do_handshake()
            return self._ask(deadline, tls, body, headers)

    def _ask(
        self, deadline: _Deadline, sock: socket.socket, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        connection = http.client.HTTPConnection(self._host, self._port)
        connection.sock = sock
        own = {"Host": self._netloc, "Connection": "close"}
        connection.request("POST", self._target, body, {**headers, **own})
        with connection.getresponse() as response:
            # Headers that were cut off look like headers that ended.
            deadline.check()
            status = response.status
            said = response.read(_READ) if status not in _OK else b""
        return Answer(status, None if status in _OK else _refusal(status, said))


class _Deadline:
    """Cuts a connection off once its time is over: a receiver that drips would else last for ever."""

    def __init__(self) -> None:
        self.is_over = False
        self._sock: socket.socket | None = None

    def guards(self, sock: socket.socket) -> None:
        self._sock = sock
        self.check()

    def check(self) -> None:
        if self.is_over:
            raise TimeoutError

    def cut(self) -> None:
        self.is_over = True
        if self._sock is not None:
            # Of a TLS connection the stream below it: the thread that reads may be inside of TLS.
            with suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


@contextmanager
def _deadline(seconds: float) -> Iterator[_Deadline]:
    deadline = _Deadline()
    timer = threading.Timer(seconds, deadline.cut)
    timer.daemon = True
    timer.start()
    try:
        yield deadline
    finally:
        timer.cancel()


def _refusal(status: int, said: bytes) -> str:
    text = " ".join(said.decode("utf-8", "replace").split())
    told = f": {keep_head(text, _KEPT)}" if text else ""
    why = "; redirects are not followed, declare the address itself" if status in _ELSEWHERE else ""
    return keep_head(f"answered HTTP {status}{told}{why}", MAX_ERROR)


def _cause(exc: Exception) -> str:
    if isinstance(exc, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "the receiver cut the connection"
    if isinstance(exc, OSError) and exc.strerror:
        return keep_head(exc.strerror, _KEPT)
    return keep_head(f"{type(exc).__name__}: {exc}", _KEPT)
