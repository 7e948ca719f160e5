"""The lease of one claimed job, counted on this host's clock.

Deploy's answer carries a duration, never a moment, so no clock is compared with another host's. The
lease is counted from before the request was sent: whatever the network took is lost to us, never
gained (docs/decisions/0022-leases-and-outcomes.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Gives seconds on a clock that only goes forward.
Clock = Callable[[], float]

#: Part of the lease after which the job is given up: the rest is for killing its child.
ABANDON_PART = 0.8
#: Part of the lease after which it is renewed: leaves room for one lost heartbeat.
RENEW_PART = 1 / 3


def boot_clock() -> float:
    """Return seconds since boot, time asleep included: a suspended host's leases run on."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """The right to work on a job, for ``seconds`` from the last renewal; safe to share."""

    def __init__(self, seconds: float, requested_at: float, clock: Clock = boot_clock) -> None:
        self.seconds = seconds
        self._requested_at = requested_at
        self._clock = clock
        #: Why the lease is lost for good: what Deploy said, or that it was given up; else empty.
        self.refusal = ""
        self._lock = threading.Lock()

    def renew(self, requested_at: float) -> None:
        """Count anew from the moment a heartbeat was sent that Deploy then answered with 200."""
        with self._lock:
            self._requested_at = max(self._requested_at, requested_at)

    def lose(self, why: str) -> None:
        """Note that the lease is lost for good. The first reason stays."""
        with self._lock:
            self.refusal = self.refusal or why

    @property
    def loss(self) -> str:
        """Why the job must be given up now; empty while the lease is held."""
        if self.refusal:
            return self.refusal
        if self.seconds_to_abandon() <= 0:
            return f"no heartbeat was answered within {ABANDON_PART:.0%} of the lease"
        return ""

    def seconds_to_renewal(self) -> float:
        """Return how long the next heartbeat may wait; 0 where it is due."""
        return max(0.0, self._requested_at + self.seconds * RENEW_PART - self._clock())

    def seconds_to_abandon(self) -> float:
        """Return how long the job may go on without another renewal; never below 0."""
        return max(0.0, self._requested_at + self.seconds * ABANDON_PART - self._clock())
