"""Following the engine's events, whatever the engine does."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from docker.errors import NotFound

from funai.runtime_agent.engine import deaths
from funai.runtime_agent.engine.deaths import Deaths
from funai.runtime_agent.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funai.runtime_agent.engine.client import EngineClient


class Engine:
    """Answers each request for events with the next of its streams."""

    def __init__(self, streams: list[list[object] | Exception], stopping: threading.Event) -> None:
        self._streams, self._stopping = streams, stopping
        self.filters: list[dict[str, str]] = []

    @contextmanager
    def request(self, _what: str) -> Iterator[Engine]:
        yield self

    def events(self, filters: dict[str, str]) -> list[object]:
        self.filters.append(filters)
        stream = self._streams.pop(0)
        if not self._streams:
            self._stopping.set()
        if isinstance(stream, Exception):
            raise stream
        return stream


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(EngineUnavailableError("gone"), id="engine is away"),
        pytest.param(NotFound("no such page"), id="engine has no events"),
        pytest.param([], id="stream ends"),
    ],
)
def test_deaths_are_told_again_after_trouble(trouble: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deaths, "_RETRY_SECONDS", 0.0)
    stopping, told = threading.Event(), []
    engine = Engine([[{"status": "die"}], trouble, [{"status": "die"}] * 2], stopping)

    Deaths(cast("EngineClient", engine), "node-1", stopping).follow_forever(lambda: told.append(1))

    # Three deaths, and once for each stream that opened: what ended before it was not told.
    opened = 2 + isinstance(trouble, list)
    assert len(told) == 3 + opened
    assert engine.filters[0] == {
        "type": "container",
        "event": "die",
        "label": "io.funai.node=node-1",
    }
