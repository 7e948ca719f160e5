"""Figures of Deploy that tell how long its queue is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

#: As many jobs as Deploy lists at once.
LISTED = 200
_FAMILY = "funai_deploy_active_jobs"


@dataclass(frozen=True)
class Queue:
    """How many jobs wait and run, and the one that waits longest of those listed."""

    waiting: int
    running: int
    oldest: dict[str, Any] | None = None


def read_queue(jobs: list[dict[str, Any]], metrics: str) -> Queue:
    """Return the queue by its newest jobs, which is exact, or where there are more by the figures.

    The figures are up to a few seconds old.

    :param jobs: that have not ended, at most LISTED
    """
    waiting = [job for job in jobs if job["status"] == "PENDING"]
    counts = {
        "PENDING": len(waiting),
        "RUNNING": sum(1 for job in jobs if job["status"] == "RUNNING"),
    }
    if len(jobs) >= LISTED:
        counts = {status: max(count, _figure(metrics, status)) for status, count in counts.items()}
    oldest = min(waiting, key=lambda job: str(job["createdAt"]), default=None)
    return Queue(counts["PENDING"], counts["RUNNING"], oldest)


def _figure(metrics: str, status: str) -> int:
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples if family.name == _FAMILY else ():
            if sample.labels.get("status") == status:
                return int(sample.value)
    return 0
