"""What the services of Deploy share, joined once by ``app``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from funai.deploy.errors import UnavailableError

if TYPE_CHECKING:
    import threading

    from funai.deploy.config import Settings
    from funai.deploy.database import Database
    from funai.deploy.metrics import Metrics
    from funai.deploy.nodes.absence import Absence
    from funai.deploy.nodes.hearing import Hearing
    from funai.deploy.notifications.notices import Notices
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
    #: When Deploy was away, and whether that still excuses what was not heard.
    absence: Absence
    #: Which nodes were asked for their fences since then.
    hearing: Hearing
    #: Writes down what webhooks are to be told, in the transaction that does it.
    notices: Notices

    @property
    def node_stale(self) -> int:
        """Age in seconds of a heartbeat beyond which its node is not fresh now."""
        return self.settings.limits.node_stale + self.absence.allowance

    def take_log_place(self, instead: str) -> None:
        """Take one of ``log_places``; who took it releases it.

        :param instead: what a caller may do where none is free
        :raises UnavailableError: where none is free
        """
        if not self.log_places.acquire(blocking=False):
            msg = (
                f"{self.settings.log_followers} followers read logs here already; {instead}, or raise"
                " DEPLOY_LOG_FOLLOWERS and DEPLOY_THREADS"
            )
            raise UnavailableError(msg)

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
