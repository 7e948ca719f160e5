"""Ask the builder for an image: the only way in which anything else speaks to it.

.. code-block:: python

    with BuilderClient(path).build(request, tar_chunks, log_line) as image:
        push(f"oci:{image.spool}:{SPOOL_IMAGE}")
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Final

from funai.builder import frames
from funai.builder.model import BuildResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from funai.builder.model import BuildRequest

#: Name of the image in the OCI layout of the spool.
SPOOL_IMAGE: Final = "image"
_CONNECT_SECONDS = 10.0
#: What the builder may take beyond the build's own time, to end it and to clean up.
_GRACE_SECONDS = 60.0
_READ_BYTES = 256 * 1024


class BuilderUnavailableError(Exception):
    """There is no builder, or it went away: nothing is known about the Dockerfile."""


class BuildError(Exception):
    """The build ended without an image; ``reason`` is one of :data:`funai.builder.model.REASONS`."""

    def __init__(self, result: BuildResult) -> None:
        super().__init__(result.message)
        self.reason = result.reason
        self.message = result.message
        self.result = result


class BuilderClient:
    """Speaks to the builder's socket; a connection is one build."""

    def __init__(self, socket_path: str | Path) -> None:
        self._path = str(socket_path)
        self._early: socket.socket | None = None

    def start_early(self) -> None:
        """Have the builder start while the request is not yet certain.

        Where none answers, it is the build that says so.
        """
        with contextlib.suppress(BuilderUnavailableError):
            self._early = self._connect()

    def close(self) -> None:
        """Let a builder go that was started early and is not needed."""
        if self._early is not None:
            self._early.close()
            self._early = None

    @contextlib.contextmanager
    def build(
        self,
        request: BuildRequest,
        context_chunks: Iterable[bytes],
        on_line: Callable[[str], object],
    ) -> Iterator[BuildResult]:
        """Build an image; its spool can be read inside the ``with`` and is deleted after it.

        Leaving early, by an exception or by the death of this process, ends the build.

        :param context_chunks: the context as a tar without compression, in pieces of any size
        :param on_line: called with each line of the build's output, without its end of line
        :raises BuildError: when the Dockerfile, its base image or a limit ended the build
        :raises BuilderUnavailableError: when the builder did not answer to the end
        """
        early, self._early = self._early, None
        with early or self._connect() as connection:
            connection.settimeout(request.timeout_seconds + _GRACE_SECONDS)
            _send_all(connection, request, context_chunks)
            result = _read_result(connection, on_line)
            if not result.ok:
                raise BuildError(result)
            yield result
            connection.settimeout(_GRACE_SECONDS)
            with contextlib.suppress(OSError, BuilderUnavailableError):
                _sent(connection, frames.encode(frames.DONE))
                _wait_for_end(connection)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connection.settimeout(_CONNECT_SECONDS)
            connection.connect(self._path)
        except OSError as exc:
            connection.close()
            msg = f"no builder answers at {self._path}: {exc}; is funai-builder.socket active?"
            raise BuilderUnavailableError(msg) from exc
        return connection


def _send_all(
    connection: socket.socket, request: BuildRequest, context_chunks: Iterable[bytes]
) -> None:
    """Send the request and its context; stop where the builder no longer listens.

    It has refused the build then, and its answer can be read.
    """
    if not _sent(connection, frames.encode(frames.REQUEST, json.dumps(request.to_json()).encode())):
        return
    for chunk in context_chunks:
        for start in range(0, len(chunk), frames.LARGEST_PAYLOAD):
            piece = chunk[start : start + frames.LARGEST_PAYLOAD]
            if not _sent(connection, frames.encode(frames.CONTEXT, piece)):
                return
    _sent(connection, frames.encode(frames.CONTEXT_END))


def _sent(connection: socket.socket, frame: bytes) -> bool:
    try:
        connection.sendall(frame)
    except (BrokenPipeError, ConnectionResetError):
        return False
    except OSError as exc:
        raise _broken_off(exc) from exc
    return True


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(_READ_BYTES)
    except ConnectionResetError:
        return b""
    except OSError as exc:
        raise _broken_off(exc) from exc


def _broken_off(exc: OSError) -> BuilderUnavailableError:
    return BuilderUnavailableError(f"the connection to the builder broke off: {exc}")


def _read_result(connection: socket.socket, on_line: Callable[[str], object]) -> BuildResult:
    parser = frames.FrameParser()
    while data := _received(connection):
        parser.feed(data)
        while (frame := parser.next_frame()) is not None:
            kind, payload = frame
            if kind == frames.RESULT:
                return BuildResult.parse(json.loads(payload))
            on_line(payload.decode("utf-8", "replace"))
    msg = (
        "the builder closed the connection without a result; it was restarted, or as many builds"
        " as it takes are running: see journalctl -u 'funai-builder*'"
    )
    raise BuilderUnavailableError(msg)


def _wait_for_end(connection: socket.socket) -> None:
    """Wait until the builder has deleted the spool and gone."""
    while _received(connection):
        pass
