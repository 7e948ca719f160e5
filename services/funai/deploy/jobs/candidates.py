"""Which jobs a runner may be given, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, or_, select, true

from funai.contract.status import JobStatus
from funai.deploy.schema import NOW_MS, app, job, placement

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from funai.deploy.jobs.model import Job
    from funai.deploy.placements.model import Room

IS_PENDING = job.c.status == JobStatus.PENDING.value
IS_RUNNING = job.c.status == JobStatus.RUNNING.value
#: A RUNNING job whose runner was not heard of in time.
LEASE_OVER = or_(job.c.lease_expire_at.is_(None), job.c.lease_expire_at <= NOW_MS)


@dataclass(frozen=True)
class Candidate:
    """A job that may be claimed, and where its app is placed."""

    job_id: str
    app_id: str
    status: str
    placed_on: int | None
    reason: str | None

    @classmethod
    def of(cls, found: Job) -> Candidate:
        """Return a job as one whose placement nobody asks for."""
        return cls(found.id, found.app_id, found.status, None, found.reason)


def candidates(
    connection: Connection, max_attempts: int, limit: int, offset: int, room: Room | None = None
) -> list[Candidate]:
    """Return jobs that may be claimed, oldest first, without locking any.

    A job whose lease ran out keeps its place in the order, so it does not starve; one that is to
    make room for a newer one is not handed out again. A PENDING one waits for its app's RUNNING one,
    and all jobs of an app that is paused wait.

    :param room: only jobs of apps that some node takes; None: of all apps
    """
    expired = and_(
        IS_RUNNING, LEASE_OVER, job.c.attempt < max_attempts, job.c.superseded_by.is_(None)
    )
    other = job.alias()
    blocked = exists().where(
        other.c.app_id == job.c.app_id, other.c.status == JobStatus.RUNNING.value
    )
    rows = connection.execute(
        select(job.c.id, job.c.app_id, job.c.status, job.c.reason, placement.c.node_id)
        .outerjoin(placement, placement.c.app_id == job.c.app_id)
        .outerjoin(app, app.c.app_id == job.c.app_id)
        .where(or_(and_(IS_PENDING, ~blocked), expired), app.c.paused_at.is_(None))
        .where(true() if room is None else _has_room(room))
        .order_by(job.c.create_time, job.c.id)
        .limit(limit)
        .offset(offset)
    )
    return [Candidate(row.id, row.app_id, row.status, row.node_id, row.reason) for row in rows]


def _has_room(room: Room) -> ColumnElement[bool]:
    """Select the apps that stay where they are, and, where some node takes them, the new ones."""
    at_home = placement.c.node_id.in_(room.at_home)
    if not room.for_new:
        return at_home
    return or_(at_home, placement.c.node_id.is_(None), placement.c.node_id.not_in(room.known))
