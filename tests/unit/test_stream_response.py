"""``funai.stream_response``, as a WSGI server would call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from werkzeug.test import create_environ

from funai.stream_response import StreamResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_headers_go_out_before_the_first_chunk_is_asked_for() -> None:
    said: list[object] = []

    def chunks() -> Iterator[bytes]:
        said.append("asked")
        yield b"line\n"

    def start_response(status: str, _headers: object, *_: object) -> Callable[[bytes], None]:
        said.append(status)
        return said.append

    body = StreamResponse(chunks())(create_environ(), start_response)

    assert said == ["200 OK", b""]
    assert list(body) == [b"line\n"]


def test_stream_of_a_reader_that_is_gone_is_closed() -> None:
    closed = []
    response = StreamResponse(iter([b"line\n"]))
    response.call_on_close(lambda: closed.append(True))

    def start_response(*_: object) -> Callable[[bytes], None]:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        response(create_environ(), start_response)

    assert closed == [True]
