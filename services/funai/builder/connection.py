"""The builder's end of a connection: never waits to send, notices when the client goes."""

from __future__ import annotations

import contextlib
import json
import select
import time
from typing import TYPE_CHECKING

from funai.builder import frames
from funai.builder.model import BuildRequest, RequestError

if TYPE_CHECKING:
    import socket

    from funai.builder.model import BuildResult

_READ_BYTES = 256 * 1024
_REQUEST_SECONDS = 30.0
_RESULT_SECONDS = 30.0
#: Output that waits for the client; beyond it the build waits too.
_FULL_BYTES = 1024 * 1024


class ClientGoneError(Exception):
    """The client closed the connection: nobody wants the build any more."""


class DeadlineError(Exception):
    """The client sent nothing for too long, or the build's time is over."""


class Connection:
    """Frames to and from one client."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)  # noqa: FBT003 - no keyword there
        self._parser = frames.FrameParser(frames.LARGEST_REQUEST)
        self._outgoing = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def is_full(self) -> bool:
        """Tell whether the client is behind with reading."""
        return len(self._outgoing) > _FULL_BYTES

    @property
    def has_outgoing(self) -> bool:
        """Tell whether there is something to send."""
        return bool(self._outgoing)

    def read_request(self) -> BuildRequest:
        """Return the request with which a connection begins.

        :raises RequestError: for anything else
        """
        kind, payload = self._next_frame(time.monotonic() + _REQUEST_SECONDS)
        try:
            found = json.loads(payload) if kind == frames.REQUEST else None
        except ValueError as exc:
            msg = f"the request is no JSON: {exc}"
            raise RequestError(msg) from exc
        return BuildRequest.parse(found)

    def context(self, deadline: float) -> ContextStream:
        """Return the context that follows the request.

        :param deadline: time of the monotonic clock until which it must be here
        """
        return ContextStream(self, deadline)

    def next_context_frame(self, deadline: float) -> bytes:
        """Return a piece of the context; nothing at its end."""
        kind, payload = self._next_frame(deadline)
        if kind not in {frames.CONTEXT, frames.CONTEXT_END} or (
            kind == frames.CONTEXT and not payload
        ):
            msg = f"a frame {kind!r} came inside the context"
            raise RequestError(msg)
        return payload if kind == frames.CONTEXT else b""

    def wait_until_done(self) -> None:
        """Wait until the client has no more use for the result, or is gone."""
        with contextlib.suppress(ClientGoneError, RequestError):
            while self._next_frame(None)[0] != frames.DONE:
                pass

    def send_line(self, line: str) -> None:
        """Queue a line of output."""
        self._outgoing += frames.encode(frames.LINE, line.encode())

    def send_result(self, result: BuildResult) -> None:
        """Send the result after all lines; give up on a client that does not read."""
        self._outgoing += frames.encode(frames.RESULT, json.dumps(result.to_json()).encode())
        deadline = time.monotonic() + _RESULT_SECONDS
        while self._outgoing and time.monotonic() < deadline:
            select.select([], [self._socket], [], 1.0)
            self.flush()

    def flush(self) -> None:
        """Send what the client takes now.

        :raises ClientGoneError: when there is none
        """
        try:
            sent = self._socket.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError as exc:
            raise ClientGoneError(str(exc)) from exc
        del self._outgoing[:sent]

    def watch_client(self) -> None:
        """Look for the end of the connection during the build.

        :raises ClientGoneError: when the client is gone, or speaks where it has nothing to say
        """
        self._receive()
        if self._parser.next_frame() is not None:
            msg = "the client went on speaking after the context"
            raise ClientGoneError(msg)

    def _next_frame(self, deadline: float | None) -> tuple[bytes, bytes]:
        while True:
            try:
                frame = self._parser.next_frame()
            except frames.FrameError as exc:
                raise RequestError(str(exc)) from exc
            if frame is not None:
                return frame
            self._wait(deadline)
            self._receive()

    def _wait(self, deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise DeadlineError
        if not select.select([self._socket], [], [], left)[0]:
            raise DeadlineError

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as exc:
            raise ClientGoneError(str(exc)) from exc
        if not data:
            msg = "the client closed the connection"
            raise ClientGoneError(msg)
        self._parser.feed(data)


class ContextStream:
    """The context as a stream of bytes."""

    def __init__(self, connection: Connection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._piece = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        found = bytearray()
        while len(found) < size and self._more():
            taken = self._piece[: size - len(found)]
            self._piece = self._piece[len(taken) :]
            found += taken
        return bytes(found)

    def drain(self) -> None:
        """Take what follows the end of the tar."""
        while self._more():
            self._piece = b""

    def _more(self) -> bool:
        if not self._piece and not self._ended:
            self._piece = self._connection.next_context_frame(self._deadline)
            self._ended = not self._piece
        return bool(self._piece)
