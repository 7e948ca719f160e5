"""A probe's time is for the whole exchange, whatever the app does with it."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from funai.runtime_agent.http_probe import Answer, get

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What has an answer has it by then, on a busy machine too.
PATIENT_SECONDS = 4.0
#: An app that is not waited for drips, or says nothing, for longer.
LONG_SECONDS = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def app(at_once: bytes, dripped: bytes = b"", pause: float = 0.5) -> Iterator[str]:
    """Answer one request with some bytes, then with one more each pause, then with silence."""
    ended = threading.Event()

    def answer() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(1000)
            connection.sendall(at_once)
            for byte in dripped:
                if ended.wait(pause):
                    return
                connection.sendall(bytes([byte]))
            ended.wait(LONG_SECONDS)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        ended.set()
        thread.join(5)


def timed(url: str, seconds: float) -> tuple[Answer, float]:
    began = time.monotonic()
    return get(url, seconds), time.monotonic() - began


@pytest.mark.parametrize(
    ("at_once", "dripped"),
    [
        pytest.param(b"", OK, id="status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-Name: " + b"x" * 100, id="header"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", OK, id="after a continue"),
        pytest.param(b"", b"", id="silence"),
    ],
)
def test_answer_that_drips_is_none_in_time(at_once: bytes, dripped: bytes) -> None:
    with app(at_once, dripped) as url:
        answer, seconds = timed(url, 1.0)

    assert (answer.status, answer.error) == (0, "timed out")
    assert seconds < LONG_SECONDS / 2


@pytest.mark.parametrize(
    ("at_once", "dripped", "head", "most_seconds"),
    [
        # More than one, where the first was not read at once.
        pytest.param(OK, b"x" * 100, "x+", LONG_SECONDS, id="drips"),
        pytest.param(OK + b"a page", b"", "a page", LONG_SECONDS, id="stays short"),
        # These are waited for as long as the whole answer.
        pytest.param(OK, b"", "", PATIENT_SECONDS, id="never comes"),
        pytest.param(CHUNKED, b"fff;" + b"x" * 100, "", PATIENT_SECONDS, id="drips its first size"),
        pytest.param(CHUNKED + b"no size\r\n", b"", "", LONG_SECONDS, id="is no body"),
    ],
)
def test_body_is_not_waited_for(
    at_once: bytes, dripped: bytes, head: str, most_seconds: float
) -> None:
    with app(at_once, dripped) as url:
        answer, seconds = timed(url, most_seconds)

    assert (answer.status, answer.error) == (200, "")
    assert re.fullmatch(head, answer.head)
    assert seconds < LONG_SECONDS / 2


def test_answer_without_http_is_told_as_such() -> None:
    with app(b"220 mail.test ESMTP\r\n") as url:
        assert get(url, PATIENT_SECONDS).error.startswith("not an HTTP answer")


def test_whole_answer_takes_no_time() -> None:
    with app(b"HTTP/1.0 503 Busy\r\n\r\nnot yet") as url:
        answer, seconds = timed(url, 2 * LONG_SECONDS)

    assert (answer.status, answer.head, answer.ready) == (503, "not yet", False)
    assert seconds < LONG_SECONDS / 2
