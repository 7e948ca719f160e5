"""Threads that a service cannot do without: an error that nobody expected must not end one.

Without it the process would look alive and do nothing: no claims, no leases that run out, no routes.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0


def keep_running(
    name: str,
    work: Callable[[], None],
    stop: threading.Event,
    pause_seconds: float = _PAUSE_SECONDS,
) -> threading.Thread:
    """Run ``work`` in a daemon thread of that name until it returns; begin again where it raises.

    What it raised goes to the log.

    :param stop: ends the pause before it begins again, and the thread
    """

    def run() -> None:
        while not stop.is_set():
            try:
                work()
            except Exception:  # noqa: BLE001 - see the module; it is logged
                _LOG.exception("%s failed and begins again", name)
            else:
                return
            stop.wait(pause_seconds)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
