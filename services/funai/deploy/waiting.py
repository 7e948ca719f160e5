"""Waiting for something to happen: woken inside the process, looked for again in the database."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from funai.deploy.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

#: What another process, a lease that ran out or a node's heartbeat may have changed.
RECHECK_SECONDS = 0.25


class Bell:
    """Wakes requests that wait, and keeps their number bounded.

    A waiting request holds a thread. Beyond ``places`` a request is refused at once, so that those
    which wait never starve those which do not.

    :param places: how many may wait at the same time
    :param what: names those that wait, for the refusal
    :param each: whether each waits for something else, so that none can look for another
    """

    def __init__(
        self,
        places: int,
        what: str,
        *,
        each: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._what = what
        self._each = each
        self._clock = clock
        self._changed = threading.Condition()
        self._rings = 0
        self._waiting = 0
        self._next_recheck = 0.0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether all who wait are sent home."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting

    def ring(self) -> None:
        """Let all who wait look again. Call after the commit."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Send all who wait home within the recheck interval; safe in a signal handler."""
        self._closed = True

    def wait_for(self, look: Callable[[], Found | None], seconds: float) -> Found | None:
        """Return what ``look`` finds now or within the time, else None.

        :param look: called without a lock held, now and whenever something may have changed
        :raises UnavailableError: where too many wait already
        """
        ends_at = self._clock() + seconds
        seen = self._rings
        found = look()
        if found is not None or seconds <= 0 or self._closed:
            return found
        self._enter()
        try:
            while found is None and self._sleep(seen, ends_at):
                seen = self._rings
                found = look()
        finally:
            with self._changed:
                self._waiting -= 1
        return found

    def _enter(self) -> None:
        with self._changed:
            if self._waiting >= self._places:
                msg = (
                    f"{self._waiting} {self._what} wait here already; ask without waitSeconds,"
                    " or raise DEPLOY_THREADS"
                )
                raise UnavailableError(msg)
            self._waiting += 1

    def _sleep(self, seen: int, ends_at: float) -> bool:
        """Return True when it is time to look again, False when the wait is over."""
        own_recheck = self._clock() + RECHECK_SECONDS
        with self._changed:
            while not self._closed:
                now = self._clock()
                if now >= ends_at:
                    return False
                if self._rings != seen:
                    return True
                recheck_at = own_recheck if self._each else self._next_recheck
                if now >= recheck_at:
                    # One of those who wait looks for all of them, unless each has to.
                    self._next_recheck = now + RECHECK_SECONDS
                    return True
                self._changed.wait(max(0.001, min(ends_at, recheck_at) - now))
        return False
