"""What retention reads and marks. The only SQL of this feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal_column, or_, select, update

from funai.deploy.jobs.repository import JobRepository
from funai.deploy.jobs.repository import read as read_job
from funai.deploy.retention.model import Row
from funai.deploy.revisions.model import RevisionState
from funai.deploy.schema import NOW, job, revision
from funai.deploy.wire import keep_head, to_ms

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Job

_MAX_REASON = 512
_AGE: Any = literal_column("TIMESTAMPDIFF(SECOND, create_time, UTC_TIMESTAMP(6))")


def rows(connection: Connection, app_id: str | None = None) -> list[Row]:
    """Return the revisions whose image may still be in a registry; of one app or of all."""
    query = select(*revision.c, _AGE.label("age")).where(
        revision.c.state != RevisionState.PRUNED.value
    )
    if app_id is not None:
        query = query.where(revision.c.app_id == app_id)
    busy = {found.app_id: found for found in _active_jobs(connection)}
    return [_row(row, busy.get(row["app_id"])) for row in connection.execute(query).mappings()]


def same_image(connection: Connection, found: Row) -> list[str]:
    """Return the tags under which the platform itself pushed the image."""
    tags = connection.execute(
        select(revision.c.image_tag)
        .where(
            revision.c.image_digest == found.digest,
            revision.c.image_repository == found.repository,
            revision.c.built == 1,
        )
        .distinct()
    ).scalars()
    return [str(tag) for tag in tags if tag]


def is_busy(connection: Connection, app_id: str) -> bool:
    """Tell whether the app has a job that has not ended."""
    return JobRepository(connection).active_of(app_id) is not None


def mark_pruned(connection: Connection, found: Row, why: str) -> None:
    """Note that the revision's image is gone."""
    connection.execute(
        update(revision)
        .where(revision.c.app_id == found.app_id, revision.c.number == found.number)
        .values(
            state=RevisionState.PRUNED.value,
            prune_reason=keep_head(why, _MAX_REASON),
            update_time=NOW,
        )
    )


def note_refusal(connection: Connection, found: Row, why: str) -> None:
    """Note why the image stays although it is to go."""
    connection.execute(
        update(revision)
        .where(revision.c.app_id == found.app_id, revision.c.number == found.number)
        .values(prune_reason=keep_head(why, _MAX_REASON), update_time=NOW)
    )


def refused_lately(connection: Connection, found: Row, seconds: int) -> str:
    """Return why a registry refused this image for good not long ago, or nothing."""
    since: Any = literal_column(f"update_time > UTC_TIMESTAMP(6) - INTERVAL {int(seconds)} SECOND")
    why = connection.execute(
        select(revision.c.prune_reason).where(
            revision.c.app_id == found.app_id,
            revision.c.number == found.number,
            revision.c.prune_reason.is_not(None),
            since,
        )
    ).scalar()
    return str(why or "")


def _active_jobs(connection: Connection) -> list[Job]:
    active = or_(job.c.status == "PENDING", job.c.status == "RUNNING")
    return [read_job(row) for row in connection.execute(select(job).where(active)).mappings()]


def _row(row: Any, active: Job | None) -> Row:  # noqa: ANN401 - a row of SQLAlchemy
    return Row(
        app_id=row["app_id"],
        number=row["number"],
        state=RevisionState(row["state"]),
        built=bool(row["built"]),
        purged=bool(row["purged"]),
        repository=row["image_repository"] or "",
        tag=row["image_tag"] or "",
        digest=row["image_digest"] or "",
        activated_ms=to_ms(row["activated_at"]) or 0,
        age_seconds=int(row["age"] or 0),
        is_target=active is not None and active.rollback_to == row["number"],
        is_busy=active is not None,
    )
