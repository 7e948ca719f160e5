"""Log streams: their text, their bounds, and who may have one."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from funai.runtime_agent.apps.logs import AppLogs, LogStream, neutralised
from funai.runtime_agent.apps.model import LogsRequest, Target
from funai.runtime_agent.apps.routes import create_blueprint
from funai.runtime_agent.errors import TooManyFollowersError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funai.runtime_agent.engine.containers import Containers

FOLLOW = LogsRequest(Target("shop", "7"), tail=100, follow=True)
READ = LogsRequest(Target("shop", "7"), tail=100, follow=False)


class FakeLog:
    """Gives its frames, then waits until it is closed where it is followed."""

    def __init__(self, frames: list[bytes], *, follow: bool) -> None:
        self.frames = frames
        self.follow = follow
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield from self.frames
        if self.follow:
            self.closed.wait(10)

    def close(self) -> None:
        self.closed.set()


class FakeContainers:
    """Opens logs with the same frames."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = list(frames)
        self.opened: list[FakeLog] = []

    def open_log(self, name: str, tail: int, *, follow: bool) -> FakeLog:
        assert (name, tail) == ("rt-shop-1", 100)
        self.opened.append(FakeLog(self.frames, follow=follow))
        return self.opened[-1]


def logs_of(*frames: bytes) -> AppLogs:
    return AppLogs(cast("Containers", FakeContainers(*frames)), threading.Event())


def read(logs: AppLogs, request: LogsRequest = READ, successor: str = "") -> LogStream:
    return logs.read("rt-shop-1", request, lambda: successor)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain äöü 你好\n", "plain äöü 你好\n", id="plain"),
        pytest.param("a\tb\r\nc\rd\n", "a\tb\nc\nd\n", id="line-ends"),
        pytest.param("\x1b[1;31mred\x1b[0m\n", "red\n", id="colours"),
        pytest.param("\x1b]0;title\x07x\x1b]8;;u\x1b\\y\n", "xy\n", id="titles-and-links"),
        pytest.param("bell\x07 nul\x00 esc\x1b7\n", "bell� nul� esc�7\n", id="controls"),
        pytest.param("\u202egnp.exe\n", "�gnp.exe\n", id="right-to-left-override"),
        pytest.param("\x9b31m c1\n", "�31m c1\n", id="c1"),
    ],
)
def test_no_terminal_acts_upon_a_log(text: str, expected: str) -> None:
    assert neutralised(text) == expected


def test_character_that_two_frames_share_is_whole() -> None:
    euro = "€".encode()

    text = b"".join(read(logs_of(b"1 " + euro[:1], euro[1:] + b"\n", b"\xff\n")))

    assert text.decode() == "1 €\n�\n"


def test_fifth_follower_is_refused_until_one_leaves() -> None:
    logs = logs_of()
    streams = [read(logs, FOLLOW) for _ in range(4)]
    with pytest.raises(TooManyFollowersError, match="4 callers"):
        read(logs, FOLLOW)
    read(logs, READ).close()

    streams[0].close()
    streams[0].close()

    streams.append(read(logs, FOLLOW))
    with pytest.raises(TooManyFollowersError):
        read(logs, FOLLOW)
    for stream in streams:
        stream.close()


def test_reader_that_is_gone_before_the_headers_takes_no_place() -> None:
    logs = logs_of()
    service: Any = SimpleNamespace(logs=lambda _request: read(logs, FOLLOW))
    app = Flask("agent")
    app.register_blueprint(create_blueprint(service, service, 25))
    environ = EnvironBuilder(path="/agent/apps/logs?userId=7&appId=shop&follow=true").get_environ()

    def is_gone(_data: bytes) -> None:
        raise BrokenPipeError

    for _ in range(6):
        with pytest.raises(BrokenPipeError):
            app.wsgi_app(environ, lambda *_: is_gone)


def test_failed_opening_takes_no_place() -> None:
    logs = logs_of()
    broken: Any = logs._containers  # noqa: SLF001 - the fake behind it
    broken.open_log = lambda *_, **__: 1 / 0
    for _ in range(6):
        with pytest.raises(ZeroDivisionError):
            read(logs, FOLLOW)


def test_silent_log_ends_when_its_reader_is_gone() -> None:
    stream = read(logs_of(), FOLLOW)
    stream.reader_gone = lambda: True

    assert list(stream) == []
    stream.close()


def test_followed_log_ends_with_a_word_when_another_container_serves() -> None:
    stream = read(logs_of(b"last words\n"), FOLLOW, successor="rt-shop-2")

    text = b"".join(stream).decode()

    assert text == "last words\n-- rt-shop-2 serves the app now; ask again to follow it --\n"
    stream.close()


def test_closed_stream_ends_its_thread() -> None:
    before = threading.active_count()
    stream = read(logs_of(*[b"x" * 1000] * 1000))
    next(iter(stream))

    stream.close()

    for thread in threading.enumerate():
        if thread.name == "app-log":
            thread.join(5)
    assert threading.active_count() <= before
