"""What retention reads, marks and deletes. The only SQL of this feature."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, literal_column, select, text, update

from funai.deploy.jobs.repository import JobRepository
from funai.deploy.retention.model import REFUSED_SECONDS, Row
from funai.deploy.revisions.model import RevisionState
from funai.deploy.schema import NOW, app, job, job_event, job_log, revision
from funai.deploy.wire import keep_head, to_ms

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from funai.deploy.jobs.model import Job

_MAX_REASON = 512
_AGE: Any = literal_column("TIMESTAMPDIFF(SECOND, create_time, UTC_TIMESTAMP(6))")
_UNCHANGED: Any = literal_column("TIMESTAMPDIFF(SECOND, update_time, UTC_TIMESTAMP(6))")
_NOT_PRUNED = revision.c.state != RevisionState.PRUNED.value
_COLUMNS = (
    revision.c.app_id,
    revision.c.number,
    revision.c.job_id,
    revision.c.state,
    revision.c.built,
    revision.c.purged,
    revision.c.image_repository,
    revision.c.image_tag,
    revision.c.image_digest,
    revision.c.activated_at,
    revision.c.prune_reason,
    _AGE.label("age"),
    _UNCHANGED.label("unchanged"),
)


def rows(connection: Connection, app_id: str | None = None) -> list[Row]:
    """Return the revisions whose image may still be in a registry.

    :param app_id: only of this app, and of the apps that have an image in common with it
    """
    query = select(*_COLUMNS).where(_NOT_PRUNED)
    if app_id is not None:
        query = query.where(revision.c.app_id.in_(_sharing(connection, app_id)))
    active = JobRepository(connection).active()
    unconfirmed = _unconfirmed(connection)
    found = connection.execute(query).mappings()
    return [replace(_row(row, active), serves=row["job_id"] in unconfirmed) for row in found]


def own_tags(connection: Connection, found: Row) -> set[str]:
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
    return {str(tag) for tag in tags if tag}


def tags_in(connection: Connection, image_repository: str) -> set[str]:
    """Return the tags under which the platform pushed images of a repository that are not removed."""
    tags = connection.execute(
        select(revision.c.image_tag)
        .where(revision.c.image_repository == image_repository, revision.c.built == 1, _NOT_PRUNED)
        .distinct()
    ).scalars()
    return {str(tag) for tag in tags if tag}


def mark_pruned(connection: Connection, found: Row, why: str) -> None:
    """Note that the revision's image is gone; of a purged app nothing is left then."""
    of_row = (revision.c.app_id == found.app_id, revision.c.number == found.number)
    connection.execute(
        delete(revision).where(*of_row)
        if found.purged
        else update(revision)
        .where(*of_row)
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
        .where(revision.c.app_id == found.app_id, revision.c.number == found.number, _NOT_PRUNED)
        .values(prune_reason=keep_head(why, _MAX_REASON), update_time=NOW)
    )


def apps_with_more_jobs(connection: Connection, count: int) -> dict[str, int]:
    """Return by app how many jobs it has beyond so many."""
    number = func.count()
    found = connection.execute(
        select(job.c.app_id, number).group_by(job.c.app_id).having(number > count)
    )
    return {row[0]: row[1] - count for row in found if row[0]}


def old_logs(connection: Connection, days: int) -> int:
    """Return how many logs had no line for longer."""
    return _older(connection, job_log, "update_time", days)


def old_events(connection: Connection, days: int) -> int:
    """Return how many events are older."""
    return _older(connection, job_event, "at", days)


def _older(connection: Connection, table: Table, column: str, days: int) -> int:
    too_old = text(f"{column} < UTC_TIMESTAMP(6) - INTERVAL :days DAY")
    query = select(func.count()).select_from(table).where(too_old)
    return int(connection.execute(query, {"days": days}).scalar_one())


def _unconfirmed(connection: Connection) -> set[str]:
    """Return the jobs whose version serves, by their nodes' word, although they did not succeed."""
    job_ids = select(app.c.unconfirmed_job_id).where(app.c.unconfirmed_job_id.is_not(None))
    return set(connection.execute(job_ids).scalars())


def _sharing(connection: Connection, app_id: str) -> list[str]:
    """Return the app and those that have an image in common with it."""
    of_app = select(revision.c.image_digest).where(
        revision.c.app_id == app_id, _NOT_PRUNED, revision.c.image_digest.is_not(None)
    )
    digests = list(connection.execute(of_app.distinct()).scalars())
    others = select(revision.c.app_id).where(revision.c.image_digest.in_(digests), _NOT_PRUNED)
    return [app_id, *connection.execute(others.distinct()).scalars()]


def _row(row: Any, active: list[Job]) -> Row:  # noqa: ANN401 - a row of SQLAlchemy
    repository = row["image_repository"] or ""
    of_app = [found for found in active if found.app_id == row["app_id"]]
    is_refused = bool(row["prune_reason"]) and int(row["unchanged"] or 0) < REFUSED_SECONDS
    return Row(
        app_id=row["app_id"],
        number=row["number"],
        state=RevisionState(row["state"]),
        built=bool(row["built"]),
        purged=bool(row["purged"]),
        repository=repository,
        tag=row["image_tag"] or "",
        digest=row["image_digest"] or "",
        activated_ms=to_ms(row["activated_at"]) or 0,
        age_seconds=int(row["age"] or 0),
        is_target=any(found.rollback_to == row["number"] for found in of_app),
        is_busy=bool(of_app) or any(_names(found, repository) for found in active),
        refusal=row["prune_reason"] if is_refused else "",
    )


def _names(found: Job, repository: str) -> bool:
    """Tell whether the job deploys from the repository, or pushes to it."""
    named = (str(found.payload.get(name) or "") for name in ("image", "imageRepo"))
    # The letters of an image's name are small, those of a payload may not be.
    return any(
        value == repository or value.startswith((f"{repository}:", f"{repository}@"))
        for value in (each.lower() for each in named)
        if value and repository
    )
