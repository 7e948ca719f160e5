"""Figures for Prometheus. None carries an id that users choose, so their number stays bounded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "funai_deploy_requests",
            "Requests by method, route and HTTP status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "funai_deploy_request_seconds",
            "Time to answer, waits of long polls included.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.transitions = Counter(
            "funai_deploy_job_transitions",
            "Changes of a job's status.",
            ("from_status", "to_status"),
            registry=self._registry,
        )
        self.active_jobs = Gauge(
            "funai_deploy_active_jobs",
            "Jobs that have not ended.",
            ("status",),
            registry=self._registry,
        )
        self.nodes = Gauge(
            "funai_deploy_nodes", "Runtime nodes by health.", ("health",), registry=self._registry
        )
        self.waiting = Gauge(
            "funai_deploy_waiting", "Requests that wait.", ("what",), registry=self._registry
        )
        self.database_up = Gauge(
            "funai_deploy_database_up",
            "1 where the database answered the last round of the reaper.",
            registry=self._registry,
        )
        self.reaped = Counter(
            "funai_deploy_reaped", "Jobs that the reaper ended.", ("why",), registry=self._registry
        )
        self.webhook_tries = Counter(
            "funai_deploy_webhook_tries",
            "Tries to deliver a notice to a webhook.",
            ("outcome",),
            registry=self._registry,
        )
        self.webhook_lost = Counter(
            "funai_deploy_webhook_lost",
            "Deliveries that went undelivered, beyond the bounds of rows or days.",
            registry=self._registry,
        )

    def render(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
