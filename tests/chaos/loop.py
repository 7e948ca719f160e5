"""One event loop in a thread of its own, for the links."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines for the harness's other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run to the end and return what came of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def call(self, what: Callable[[], object]) -> None:
        """Have something called in the loop, soon."""
        self._loop.call_soon_threadsafe(what)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
