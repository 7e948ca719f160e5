"""What the agent depends on and how it is: logged once per change, shown by health."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Conditions:
    """The last known state of each dependency.

    :param clock: seconds since the epoch
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}

    def report(self, name: str, error: str = "") -> None:
        """Record that a dependency works, or why it does not; log where that changed."""
        with self._lock:
            before = self._known.get(name)
            now = round(self._clock(), 3)
            changed = before is None or bool(before["error"]) != bool(error)
            since = now if changed or before is None else before["since"]
            self._known[name] = {
                "ok": not error,
                "error": error[:500],
                "since": since,
                "lastSeen": now,
            }
        if changed and error:
            _LOG.warning("%s: %s", name, error)
        elif changed:
            _LOG.info("%s works", name)

    def forget(self, name: str) -> None:
        """Drop a dependency that is no more."""
        with self._lock:
            self._known.pop(name, None)

    def as_answer(self) -> dict[str, dict[str, Any]]:
        """Return every dependency's state."""
        with self._lock:
            return {name: dict(known) for name, known in sorted(self._known.items())}
