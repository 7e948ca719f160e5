"""Streams the log of an app's container, as plain text that no terminal acts upon."""

from __future__ import annotations

import codecs
import logging
import queue
import re
import struct
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import urllib3

from funai.runtime_agent.errors import AgentError, TooManyFollowersError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from funai.runtime_agent.apps.model import LogsRequest
    from funai.runtime_agent.engine.containers import Containers, RawLog

_LOG = logging.getLogger(__name__)
# Each holds a thread of the HTTP server, of which deploys need some as well.
_MOST_FOLLOWERS = 4
_LONGEST_FOLLOW_SECONDS = 600.0
# The engine cuts lines into frames of 16 KiB, so that a stream holds a megabyte at most.
_QUEUED_FRAMES = 64
_LOOK_SECONDS = 1.0
_BROKEN = (OSError, ValueError, struct.error, urllib3.exceptions.HTTPError)
# What terminals take for colours (CSI) and titles (OSC).
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")


class AppLogs:
    """Opens log streams, as many as the node can bear.

    :param stopping: set when the process ends
    """

    def __init__(self, containers: Containers, stopping: threading.Event) -> None:
        self._containers = containers
        self._stopping = stopping
        self._followers = threading.BoundedSemaphore(_MOST_FOLLOWERS)

    def read(self, name: str, request: LogsRequest, superseded: Callable[[], str]) -> LogStream:
        """Return the log of a container; whoever gets it must close it.

        :param superseded: names the container that serves in this one's place, or is empty
        :raises TooManyFollowersError: where as many follow as may
        """
        if request.follow and not self._followers.acquire(blocking=False):
            msg = (
                f"{_MOST_FOLLOWERS} callers follow logs on this node already:"
                " try again later, or ask without follow"
            )
            raise TooManyFollowersError(msg)
        release = self._followers.release if request.follow else _nothing
        try:
            raw = self._containers.open_log(name, request.tail, follow=request.follow)
        except BaseException:
            release()
            raise
        return LogStream(raw, superseded, self._stopping, release)


class LogStream:
    """The bytes of a log; the log's end, its reader's end and ten minutes end it.

    A thread of its own reads from the engine: an app may be silent for long, and only who is not
    waiting for it notices that the reader went away.
    """

    def __init__(
        self,
        raw: RawLog,
        superseded: Callable[[], str],
        stopping: threading.Event,
        release: Callable[[], None],
    ) -> None:
        self._raw = raw
        self._superseded = superseded
        self._stopping = stopping
        self._release = release
        self._closed = threading.Event()
        self._frames: queue.Queue[bytes | None] = queue.Queue(_QUEUED_FRAMES)
        #: Tells whether the reader went away; set by who knows the connection.
        self.reader_gone: Callable[[], bool] = _never
        threading.Thread(target=self._pump, name="app-log", daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        deadline = time.monotonic() + _LONGEST_FOLLOW_SECONDS
        look_at = time.monotonic() + _LOOK_SECONDS
        while True:
            with suppress(queue.Empty):
                frame = self._frames.get(timeout=_LOOK_SECONDS)
                if frame is None:
                    return
                yield neutralised(decoder.decode(frame)).encode()
            now = time.monotonic()
            if now < look_at:
                continue
            look_at = now + _LOOK_SECONDS
            if now > deadline or self._stopping.is_set() or self.reader_gone():
                return
            if successor := self._superseded():
                yield f"-- {successor} serves the app now; ask again to follow it --\n".encode()
                return

    def close(self) -> None:
        """Let the engine's connection and the place among the followers go."""
        if not self._closed.is_set():
            self._closed.set()
            self._raw.close()
            self._release()

    def _pump(self) -> None:
        try:
            for frame in self._raw:
                if not self._put(frame):
                    return
        except (*_BROKEN, AgentError) as exc:
            if not self._closed.is_set():
                _LOG.warning("a log broke off: %r", exc)
        self._put(None)

    def _put(self, frame: bytes | None) -> bool:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._frames.put(frame, timeout=_LOOK_SECONDS)
                return True
        return False


def neutralised(text: str) -> str:
    """Return text without what terminals act upon; line ends and tabs stay."""
    lines = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line if line.isprintable() else _printable(line) for line in lines)


def _printable(line: str) -> str:
    return "".join(
        char
        if char.isprintable() or char in "\t\N{NO-BREAK SPACE}"
        else "\N{REPLACEMENT CHARACTER}"
        for char in line
    )


def _nothing() -> None:
    """Do nothing."""


def _never() -> bool:
    return False
