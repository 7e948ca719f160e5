"""Pauses an app whose jobs end their runners, so that it does not take down one after another.

The app's row is locked by the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.contract.status import JobStatus
from funai.deploy.jobs.candidates import Candidate
from funai.deploy.jobs.leases import explain
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.placements.model import Waiting
from funai.deploy.placements.repository import AppRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Job
    from funai.deploy.notifications.notices import Notices

PAUSED = "APP_PAUSED"


def count_crash(connection: Connection, job: Job, limit: int, notices: Notices) -> bool:
    """Count a job that ended without a word of its runner; tell whether that paused its app.

    :param limit: such jobs in a row that pause an app
    """
    apps = AppRepository(connection)
    crashes = apps.get(job.app_id).crashes + 1
    apps.change(job.app_id, crashes=crashes)
    if crashes < limit:
        return False
    is_news = apps.pause(
        job.app_id,
        f"{crashes} jobs of it in a row ended without a word of their runner, the newest was"
        f" {job.id}",
    )
    pause = apps.get(job.app_id).pause
    if pause is None:
        return False
    if is_news:
        notices.app_paused(connection, pause, job.id)
    for other in JobRepository(connection).active_of(job.app_id):
        if other.status is JobStatus.PENDING:
            explain(connection, Candidate.of(other), Waiting(PAUSED, pause.sentence))
    return True
