"""How the newest jobs of some apps or statuses are found, however many there are of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, union_all

from funai.deploy.schema import job

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Select

    from funai.contract.status import JobStatus

NEWEST_FIRST = (job.c.create_time.desc(), job.c.id.desc())


def newest_ids(
    app_ids: Collection[str], statuses: Collection[JobStatus], limit: int
) -> Select[Any] | None:
    """Select the ids of the newest jobs of each app, or else of each status; None where all count.

    Each part reads an index that ends with the time from its end. One condition over several values
    would have the database sort all jobs of them, or read the times of all jobs for the few that run.
    """
    if not app_ids and not statuses:
        return None
    words = sorted(status.value for status in statuses)
    conditions = [[job.c.status == word] for word in words]
    if app_ids:
        fits = [job.c.status.in_(words)] if words else []
        conditions = [[job.c.app_id == app_id, *fits] for app_id in sorted(set(app_ids))]
    parts = [
        select(job.c.id).where(*each).order_by(*NEWEST_FIRST).limit(limit) for each in conditions
    ]
    newest = union_all(*(select(part.subquery().c.id) for part in parts)).subquery()
    return select(newest.c.id)
