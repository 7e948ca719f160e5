"""Lets replaced containers finish their requests, then removes them, but for the warm one."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from funai.runtime_agent.apps.model import Phase
from funai.runtime_agent.apps.retention import prune_images
from funai.runtime_agent.errors import AgentError

if TYPE_CHECKING:
    from funai.runtime_agent.apps.model import Operation
    from funai.runtime_agent.apps.parts import Parts

_LOG = logging.getLogger(__name__)
# A request that was mapped just before the switch is a session only when it has connected.
_SHORTEST_SECONDS = 0.5
_PAUSE_SECONDS = 0.25
_RETRY_SECONDS = 5.0


class Drains:
    """One background thread per deploy whose old containers still serve.

    :param drain_seconds: how long open requests may take at most
    """

    def __init__(self, parts: Parts, drain_seconds: float) -> None:
        self._parts = parts
        self._drain_seconds = drain_seconds
        self._lock = threading.Lock()
        self._running: set[int] = set()

    def begin(self, operation: Operation) -> None:
        """Drain in the background; a drain that runs already is left alone."""
        with self._lock:
            if operation.id in self._running:
                return
            self._running.add(operation.id)
        name = f"drain-{operation.app_id}"
        threading.Thread(target=self._run, args=(operation,), name=name, daemon=True).start()

    def _run(self, operation: Operation) -> None:
        try:
            while not self._finish(operation):
                if self._parts.stopping.wait(_RETRY_SECONDS):
                    return
        finally:
            with self._lock:
                self._running.discard(operation.id)

    def _finish(self, operation: Operation) -> bool:
        """Return whether everything is done; False where the engine or gateway must be waited for."""
        parts = self._parts
        try:
            if operation.phase is Phase.SWITCHED:
                if not self._wait_idle(operation):
                    return True
                for name in parts.apps.drained(operation):
                    parts.containers.stop(name)
                    parts.containers.remove(name)
                parts.apps.advance(operation, Phase.DRAINED)
            prune_images(parts, operation.app_id)
            parts.apps.advance(operation, Phase.DONE)
            parts.apps.prune_journal()
        except AgentError as error:
            _LOG.warning("drain of %s waits: %s", operation.app_id, error.detail)
            return False
        return True

    def _wait_idle(self, operation: Operation) -> bool:
        """Wait until no request is on the old containers; False where the process ends."""
        addresses = [address for _, address in operation.replaced if address]
        began = time.monotonic()
        pause = _SHORTEST_SECONDS
        while addresses:
            if self._parts.stopping.wait(pause):
                return False
            if time.monotonic() - began > self._drain_seconds:
                _LOG.warning("drain of %s: requests still open, going on", operation.app_id)
                return True
            pause = _PAUSE_SECONDS
            addresses = [address for address in addresses if self._has_sessions(address)]
        return True

    def _has_sessions(self, address: str) -> bool:
        try:
            return self._parts.gateway.has_sessions(address)
        except AgentError:
            # No gateway, no sessions to see: the deadline decides.
            return True
