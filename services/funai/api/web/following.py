"""Answers of Deploy that go on, passed to browsers while they come."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import requests

from funai.api.errors import DeployAwayError
from funai.deploy import streaming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flask import Flask, Response

    from funai.api.parts import Parts

_NAME = "funai_followers"


class Followers:
    """Lets so many follow at once that other pages keep half of the threads."""

    def __init__(self, parts: Parts) -> None:
        self._deploy = parts.deploy
        self._places = threading.BoundedSemaphore(max(1, parts.settings.threads // 2))
        self._closed = threading.Event()

    def close(self) -> None:
        """End every answer: this process is about to end."""
        self._closed.set()

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
        is_gone = streaming.reader_gone()
        streaming.end_when(
            answer, lambda: self._closed.is_set() or is_gone(), done, f"follow {path}"
        )

        def close() -> None:
            done.set()
            answer.close()
            self._places.release()

        return streaming.stream(_read(answer), mimetype, close)


def _read(answer: requests.Response) -> Iterator[bytes]:
    # Where Deploy goes away the answer just ends: browsers come back with the last id.
    with suppress(requests.RequestException):
        yield from answer.iter_content(None)


def install(app: Flask, parts: Parts) -> Followers:
    """Give the application its followers."""
    found = app.extensions[_NAME] = Followers(parts)
    return found


def of(app: Flask) -> Followers:
    """Return the application's followers."""
    found: Followers = app.extensions[_NAME]
    return found
