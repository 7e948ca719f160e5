"""Pulls from an engine that is slow, silent or gone, over its UNIX socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import urllib3

from funai.runtime_agent.engine.client import EngineClient
from funai.runtime_agent.engine.images import Images
from funai.runtime_agent.errors import (
    AgentError,
    EngineUnavailableError,
    ImageNotFoundError,
    RegistryUnavailableError,
    StaleFenceError,
)
from tests.unit.runtime_agent.socket_engine import EngineHandler, SocketEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DIGEST = "sha256:" + "a" * 64
REFERENCE = f"reg.test/app@{DIGEST}"
PROGRESS = b'{"status":"Downloading","progressDetail":{"current":1},"id":"c1"}\r\n'
#: For pulls that end by it, and for those that may be held up by nothing but a busy machine.
SHORT_SILENCE, LONG_SILENCE = 1.0, 60.0
#: An engine that gets on is never silent for that long, though its pull takes longer.
SILENCE = 5.0
#: Sooner than any of these engines ends by itself.
SOON_SECONDS = 15


class Engine(SocketEngine):
    """An engine without images; ``pull`` writes what it answers to a pull."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Handler)
        self.pull: Callable[[Handler], None] = Handler.finish_pull
        self.pulls: list[str] = []
        self.is_here = False


class Handler(EngineHandler):
    """The few requests that a pull takes."""

    server: Engine

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        if self.path == "/version":
            self.answer(200, {"ApiVersion": "1.44"})
        elif self.path.endswith("/info"):
            self.answer(200, {"DockerRootDir": "/"})
        elif self.server.is_here:
            self.answer(200, {"Id": "sha256:i", "RepoDigests": [REFERENCE], "RepoTags": []})
        else:
            self.answer(404, {"message": "No such image"})

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it so
        if "/images/create" in self.path:
            self.server.pulls.append(self.path)
            self.server.pull(self)
        else:
            self.answer(201, {})

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def finish_pull(self) -> None:
        self.server.is_here = True
        self.chunk(b"")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path).running() as server:
        yield server


def images(engine: Engine, silence_seconds: float = LONG_SILENCE) -> Images:
    return Images(EngineClient(engine.path, 20), None, 0, silence_seconds)


def hang(answer: Handler) -> None:
    answer.server.ended.wait(2 * SOON_SECONDS)


def hang_after_a_word(answer: Handler) -> None:
    answer.begin()
    answer.chunk(PROGRESS)
    hang(answer)


def break_off(answer: Handler) -> None:
    answer.begin()
    answer.wfile.write(b"ff\r\n" + PROGRESS)
    answer.close_connection = True


def get_on(answer: Handler) -> None:
    answer.begin()
    for _ in range(24):
        answer.server.ended.wait(SILENCE / 20)
        answer.chunk(PROGRESS)
    answer.finish_pull()


def find_nothing(answer: Handler) -> None:
    answer.begin()
    answer.chunk(b'{"errorDetail":{},"error":"manifest unknown"}\r\n')
    answer.chunk(b"")


@pytest.mark.parametrize("silent", [hang, hang_after_a_word])
def test_silent_pull_ends(engine: Engine, silent: Callable[[Handler], None]) -> None:
    engine.pull = silent
    began = time.monotonic()

    with pytest.raises(RegistryUnavailableError, match="no sign of life") as caught:
        images(engine, SHORT_SILENCE).resolve(REFERENCE)

    assert "reg.test/app" in str(caught.value.evidence["registry"])
    assert time.monotonic() - began < SOON_SECONDS
    assert len(engine.pulls) == 1


def test_slow_pull_that_gets_on_may_take_its_time(engine: Engine) -> None:
    engine.pull = get_on

    began = time.monotonic()

    image = images(engine, SILENCE).resolve(REFERENCE)

    assert (image.digest, image.pulled) == (DIGEST, True)
    assert time.monotonic() - began > SILENCE


@pytest.mark.parametrize(
    ("failure", "meaning"),
    [(break_off, EngineUnavailableError), (find_nothing, ImageNotFoundError)],
)
def test_failed_pull_has_a_reason(
    engine: Engine, failure: Callable[[Handler], None], meaning: type[AgentError]
) -> None:
    engine.pull = failure

    with pytest.raises(meaning):
        images(engine).resolve(REFERENCE)


@pytest.mark.parametrize("slow", [hang, hang_after_a_word, get_on])
def test_pull_that_nobody_wants_any_more_is_left(
    engine: Engine, slow: Callable[[Handler], None]
) -> None:
    engine.pull = slow
    began = time.monotonic()

    def check() -> None:
        if engine.pulls:
            msg = "a newer deploy"
            raise StaleFenceError(msg)

    with pytest.raises(StaleFenceError, match="newer"):
        images(engine).resolve(REFERENCE, check)

    assert time.monotonic() - began < SOON_SECONDS


def test_stream_that_breaks_off_is_an_engine_that_is_away(engine: Engine) -> None:
    broken = urllib3.exceptions.ProtocolError("Connection broken")

    with (
        pytest.raises(EngineUnavailableError, match="follow"),
        EngineClient(engine.path, 20).request("follow the engine's events"),
    ):
        raise broken
