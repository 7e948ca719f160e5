"""Rows that nobody asks for any more: jobs beyond the newest, logs and events of long ago.

Deploy deletes them by itself, a few at a time; a prune deletes what is there at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from funai.deploy.events import repository as events
from funai.deploy.job_logs.repository import delete_old_logs
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.jobs.service import KEPT_JOBS
from funai.deploy.placements.repository import AppRepository
from funai.deploy.retention import repository
from funai.deploy.retention.model import EVENT_DAYS, LOG_DAYS, Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from funai.deploy.database import Database

#: Rows of one transaction: others wait for none of them for long.
_BATCH = 100


def prune_rows(database: Database, *, dry_run: bool, ends_at: float) -> list[Entry]:
    """Delete what is too old or too much; return what that is.

    :param ends_at: on the monotonic clock; what is left then, the next run deletes
    """
    more = database.run(lambda c: repository.apps_with_more_jobs(c, KEPT_JOBS))
    logs = database.run(lambda c: repository.old_logs(c, LOG_DAYS))
    old = database.run(lambda c: repository.old_events(c, EVENT_DAYS))
    if not dry_run:
        for app_id, count in more.items():
            _repeat(database, _forget_jobs(app_id), count, ends_at)
        _repeat(database, _forget_logs, logs, ends_at)
        _repeat(database, _forget_events, old, ends_at)
    found = [
        Entry("jobs", f"of app {app_id}", "remove", f"{count} beyond its newest {KEPT_JOBS}")
        for app_id, count in sorted(more.items())
    ]
    if logs:
        found.append(Entry("logs", "of jobs", "remove", f"{logs} had no line for {LOG_DAYS} days"))
    if old:
        found.append(
            Entry("events", "of jobs", "remove", f"{old} are older than {EVENT_DAYS} days")
        )
    return found


def _repeat(
    database: Database, work: Callable[[Connection], object], count: int, ends_at: float
) -> None:
    for _ in range(0, count, _BATCH):
        if time.monotonic() >= ends_at:
            return
        database.run(work)


def _forget_jobs(app_id: str) -> Callable[[Connection], object]:
    def work(connection: Connection) -> None:
        AppRepository(connection).lock(app_id)
        JobRepository(connection).forget_old(app_id, kept=KEPT_JOBS, limit=_BATCH)

    return work


def _forget_logs(connection: Connection) -> object:
    return delete_old_logs(connection, older_than_days=LOG_DAYS, limit=_BATCH)


def _forget_events(connection: Connection) -> object:
    return events.prune(connection, older_than_days=EVENT_DAYS, limit=_BATCH)
