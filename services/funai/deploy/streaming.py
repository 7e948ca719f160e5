"""Answers without an end in sight: sent as they come, and given up when their reader is gone."""

from __future__ import annotations

import select
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from flask import Response, request

from funai.stream_response import StreamResponse

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    import requests

#: A reader that takes nothing for longer is cut off: it holds a thread.
STALLED_SECONDS = 30.0
#: How long a reader that hung up, or the end of this process, may go unnoticed.
_WATCH_SECONDS = 0.25
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


def stream(
    chunks: Iterable[str] | Iterable[bytes], mimetype: str, close: Callable[[], None]
) -> Response:
    """Return the answer to the current request.

    :param close: called once, however the answer ends
    """
    connection = _connection()
    if connection is not None:
        connection.settimeout(STALLED_SECONDS)
    response = StreamResponse(chunks, mimetype=mimetype)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    # nginx would otherwise hold lines back until its buffer is full.
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(close)
    return response


def reader_gone() -> Callable[[], bool]:
    """Return what tells, from any thread, whether the current request's reader hung up."""
    connection = _connection()
    if connection is None:
        return lambda: False
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    return lambda: any(event & _GONE for _, event in poller.poll(0))


def end_when(
    answer: requests.Response, is_over: Callable[[], bool], done: threading.Event, name: str
) -> None:
    """End an answer that is passed on, also while it is silent, once ``is_over``; until ``done``.

    :param name: of the thread that looks
    """

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            if is_over():
                # It may just have ended by itself.
                with suppress(ValueError, RuntimeError, OSError):
                    answer.raw.shutdown()
                return

    threading.Thread(target=watch, name=name, daemon=True).start()


def _connection() -> socket.socket | None:
    found: socket.socket | None = request.environ.get("gunicorn.socket")
    return found
