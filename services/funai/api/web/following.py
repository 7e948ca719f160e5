"""Answers of Deploy that go on, passed to browsers while they come."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import requests

from funai.api.errors import DeployAwayError
from funai.deploy import streaming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flask import Response

    from funai.api.parts import Parts

#: How long a reader that hung up may go unnoticed.
_WATCH_SECONDS = 0.5


class Followers:
    """Lets so many follow at once that other pages keep half of the threads."""

    def __init__(self, parts: Parts) -> None:
        self._deploy = parts.deploy
        self._places = threading.BoundedSemaphore(max(1, parts.settings.threads // 2))

    def pass_on(
        self, path: str, mimetype: str, headers: Mapping[str, str], **query: str | int
    ) -> Response:
        """Return the answer of Deploy as the answer to the current request.

        :raises DeployAwayError: where too many follow already, or Deploy does not answer
        :raises DeployRefusedError: what Deploy said
        """
        if not self._places.acquire(blocking=False):
            msg = "too many people follow a log at present; the page asks again by itself"
            raise DeployAwayError(msg)
        try:
            answer = self._deploy.stream(path, headers, **query)
        except BaseException:
            self._places.release()
            raise
        done = threading.Event()
        watching = (answer, streaming.reader_gone(), done)
        threading.Thread(target=_watch, args=watching, name=f"follow {path}", daemon=True).start()

        def close() -> None:
            done.set()
            answer.close()
            self._places.release()

        return streaming.stream(_read(answer), mimetype, close)


def _read(answer: requests.Response) -> Iterator[bytes]:
    # Where Deploy goes away the answer just ends: browsers come back with the last id.
    with suppress(requests.RequestException):
        yield from answer.iter_content(None)


def _watch(answer: requests.Response, is_gone: Callable[[], bool], done: threading.Event) -> None:
    """End a silent answer once nobody reads it."""
    while not done.wait(_WATCH_SECONDS):
        if is_gone():
            # It may just have ended by itself.
            with suppress(ValueError, RuntimeError, OSError):
                answer.raw.shutdown()
            return
