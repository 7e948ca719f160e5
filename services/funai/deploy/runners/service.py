"""Use cases on runners."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from funai.deploy.runners import repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.deploy.parts import Parts
    from funai.deploy.runners.model import Runner

_TOUCH_SECONDS = 5.0
_MAX_REMEMBERED = 10_000


class RunnerService:
    """Notes which runners are there.

    A runner's row is written at most every few seconds, however often it asks.
    """

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._clock = clock
        self._touched: dict[str, float] = {}
        self._lock = threading.Lock()

    def touch(self, runner_id: str) -> None:
        """Note that the runner was here now."""
        now = self._clock()
        with self._lock:
            if now - self._touched.get(runner_id, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
                return
            if len(self._touched) >= _MAX_REMEMBERED:
                self._touched.clear()
            self._touched[runner_id] = now
        self._parts.database.run(lambda connection: repository.touch(connection, runner_id))

    def list(self) -> list[Runner]:
        """Return every runner, by id."""
        return self._parts.database.run(repository.all_runners)
