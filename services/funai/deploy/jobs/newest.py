"""How the newest jobs of some statuses are found, however many there are of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, union_all

from funai.deploy.schema import job

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Select

    from funai.contract.status import JobStatus

NEWEST_FIRST = (job.c.create_time.desc(), job.c.id.desc())


def newest_ids(statuses: Collection[JobStatus], limit: int) -> Select[Any]:
    """Select the ids of the newest jobs of each status.

    Each part reads the index of status and time from its end. One condition over several statuses would
    have the database sort all jobs of them, or read the times of all jobs for the few that run.
    """
    parts = [
        select(job.c.id).where(job.c.status == status.value).order_by(*NEWEST_FIRST).limit(limit)
        for status in statuses
    ]
    newest = union_all(*(select(part.subquery().c.id) for part in parts)).subquery()
    return select(newest.c.id)
