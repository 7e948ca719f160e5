"""Faults that wait on a link for the next message that fits: armed by one thread, met by another."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Armed:
    """A fault for the next ``left`` messages that fit."""

    action: str
    fits: Callable[[str], bool]
    left: int
    seconds: float = 0.0
    #: Told once per message that was hit, so that only what happened is counted.
    on_hit: Callable[[], None] = lambda: None


class Arms:
    """What waits on one link."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Armed] = []

    def put(self, armed: Armed) -> None:
        with self._lock:
            self._waiting.append(armed)

    def take(self, text: str) -> Armed | None:
        """Return the first fault that fits, once."""
        with self._lock:
            for armed in self._waiting:
                if armed.fits(text):
                    armed.left -= 1
                    if armed.left <= 0:
                        self._waiting.remove(armed)
                    break
            else:
                return None
        armed.on_hit()
        return armed

    def withdraw(self) -> int:
        """Forget what nobody met; return how many that were."""
        with self._lock:
            left = sum(armed.left for armed in self._waiting)
            self._waiting.clear()
            return left
