"""Hears from the engine when a container of this node ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from docker.errors import NotFound

from funai.runtime_agent.engine.containers import NODE
from funai.runtime_agent.errors import AgentError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from funai.runtime_agent.engine.client import EngineClient

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0


class Deaths:
    """Follows the engine's events.

    Whatever is missed, the reconcile finds at its next look; this only makes that look come at once.

    :param engine: a client of its own, since its one request never ends
    :param stopping: set when the process ends
    """

    def __init__(self, engine: EngineClient, node_name: str, stopping: threading.Event) -> None:
        self._engine = engine
        self._filters = {"type": "container", "event": "die", "label": f"{NODE}={node_name}"}
        self._stopping = stopping

    def follow_forever(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` for each container that ends, and once one may have been missed.

        Returns when the process ends.
        """
        while not self._stopping.is_set():
            try:
                with self._engine.request("follow the engine's events") as client:
                    events = client.events(filters=self._filters)
                    # What ended while nobody followed.
                    tell()
                    for _ in events:
                        tell()
            except (AgentError, NotFound) as error:
                # No condition: the reconcile reports an engine that does not answer.
                _LOG.debug("no events: %s", error)
            self._stopping.wait(_RETRY_SECONDS)
