"""What the services of Deploy share, joined once by ``app``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from funai.deploy.config import Settings
    from funai.deploy.database import Database
    from funai.deploy.metrics import Metrics
    from funai.deploy.waiting import Bell


@dataclass(frozen=True)
class Parts:
    """The shared parts; all safe for use by many threads."""

    settings: Settings
    database: Database
    metrics: Metrics
    #: Rings when a job may have become claimable.
    work_available: Bell
    #: Rings when a route may have changed.
    routes_changed: Bell
    #: Rings when a log has new lines, or its job ended.
    log_added: Bell
    #: One for each answer that passes on a log while it comes, a job's or an app's.
    log_places: threading.BoundedSemaphore

    def ring_all(self) -> None:
        """Let claims and gateways that wait look again."""
        self.work_available.ring()
        self.routes_changed.ring()
        self.log_added.ring()

    def close(self) -> None:
        """Send home those who wait; safe in a signal handler."""
        self.work_available.close()
        self.routes_changed.close()
        self.log_added.close()
