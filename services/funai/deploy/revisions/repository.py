"""Where revisions are kept. The only SQL of this feature.

Whatever changes a state holds the lock of the app's row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects.mysql import insert as mysql_insert

from funai.contract.source import SourceKind
from funai.deploy.jobs.payload import dump, load
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.revisions.model import MAX_ACTIVATION, Origin, Revision, RevisionState
from funai.deploy.schema import NOW, revision
from funai.deploy.wire import keep_head

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select

#: Rows of an app; of older ones those go whose image is nobody's to remove any more.
KEPT_ROWS = 500
_FORGET_BATCH = 20
_SEEN = revision.c.purged == 0
_ACTIVE = revision.c.state == RevisionState.ACTIVE.value
_SUPERSEDED = revision.c.state == RevisionState.SUPERSEDED.value
#: Nothing in a registry hangs on these rows.
_WITHOUT_IMAGE = or_(revision.c.built == 0, revision.c.state == RevisionState.PRUNED.value)


def get(connection: Connection, app_id: str, number: int) -> Revision | None:
    """Return the revision, or None; one of a purged app is not there."""
    query = _of(app_id).where(_SEEN, revision.c.number == number)
    return next(iter(_read_all(connection, query)), None)


def has(connection: Connection, app_id: str, number: int) -> bool:
    """Tell whether there is such a row, of a purged app too."""
    query = select(revision.c.number).where(
        revision.c.app_id == app_id, revision.c.number == number
    )
    return connection.execute(query).first() is not None


def active(connection: Connection, app_id: str) -> Revision | None:
    """Return the revision that runs, or None."""
    return next(iter(_read_all(connection, _of(app_id).where(_SEEN, _ACTIVE))), None)


def active_of(connection: Connection, app_ids: Collection[str]) -> dict[str, Revision]:
    """Return the revisions that run, by app id."""
    query = select(revision).where(revision.c.app_id.in_(app_ids), _SEEN, _ACTIVE)
    return {found.app_id: found for found in _read_all(connection, query)}


def previous(connection: Connection, app_id: str) -> Revision | None:
    """Return the revision that ran before the one that runs, or None."""
    return next(iter(_read_all(connection, _superseded(app_id).limit(1))), None)


def kept(connection: Connection, app_id: str, count: int) -> list[Revision]:
    """Return what must stay deployable, newest activation first.

    That is what runs and what ran before it, ``count`` in all, and what jobs that have not ended go
    back to.
    """
    running = active(connection, app_id)
    found = [] if running is None else [running]
    before = max(0, count - len(found))
    found += _read_all(connection, _superseded(app_id).limit(before)) if before else []
    for job in JobRepository(connection).active_of(app_id):
        if job.rollback_to not in {None, *(item.number for item in found)}:
            target = get(connection, app_id, job.rollback_to or 0)
            found += [] if target is None else [target]
    return found


def newest(connection: Connection, app_id: str, limit: int) -> list[Revision]:
    """Return the app's revisions, newest first."""
    query = _of(app_id).where(_SEEN).order_by(revision.c.number.desc()).limit(limit)
    return _read_all(connection, query)


def add(connection: Connection, found: Revision) -> None:
    """Add a revision in its state, made now; an ACTIVE one takes the place of the one before it."""
    is_active = found.state is RevisionState.ACTIVE
    origin = found.origin
    if is_active:
        _supersede(connection, found.app_id, found.number)
    values = {
        "state": found.state.value,
        "job_id": found.job_id,
        "app_release": found.release,
        "source_kind": origin.source_kind.value,
        "repo_url": origin.repo_url,
        "commit_ref": origin.commit_ref,
        "commit_sha": origin.commit_sha,
        "image": origin.image,
        "image_repository": origin.image_repository,
        "image_tag": origin.image_tag,
        "image_digest": origin.image_digest,
        "built": int(origin.built),
        "config_json": dump(found.config),
        "created_by": found.created_by,
        "create_time": NOW,
        "update_time": NOW,
        "activated_at": NOW if is_active else None,
        "activated_job_id": found.activated_job_id,
        "activation": found.activation,
        "purged": 0,
    }
    connection.execute(
        mysql_insert(revision)
        .values(app_id=found.app_id, number=found.number, **values)
        .on_duplicate_key_update(**values)
    )


def activate(connection: Connection, found: Revision, *, job_id: str, why: str) -> None:
    """Make the revision the one that runs, in place of the one that ran."""
    _supersede(connection, found.app_id, found.number)
    connection.execute(
        update(revision)
        .where(revision.c.app_id == found.app_id, revision.c.number == found.number)
        .values(
            state=RevisionState.ACTIVE.value,
            app_release=found.release,
            activated_at=NOW,
            activated_job_id=job_id,
            activation=keep_head(why, MAX_ACTIVATION),
            stopped_at=None,
            prune_reason=None,
            update_time=NOW,
        )
    )


def mark_stopped(connection: Connection, app_id: str) -> None:
    """Note that the app was stopped while this revision ran."""
    connection.execute(
        update(revision)
        .where(revision.c.app_id == app_id, _SEEN, _ACTIVE)
        .values(stopped_at=NOW, update_time=NOW)
    )


def forget_old(connection: Connection, app_id: str) -> None:
    """Delete rows beyond the newest :data:`KEPT_ROWS` that no image hangs on; a few at a time."""
    old = connection.execute(
        select(revision.c.number)
        .where(revision.c.app_id == app_id)
        .order_by(revision.c.number.desc())
        .offset(KEPT_ROWS)
        .limit(1)
    ).scalar()
    if old is None:
        return
    gone = and_(revision.c.number <= old, _WITHOUT_IMAGE, ~_ACTIVE)
    connection.execute(
        delete(revision)
        .where(revision.c.app_id == app_id, gone)
        .with_dialect_options(mysql_limit=_FORGET_BATCH)
    )


def purge(connection: Connection, app_id: str) -> None:
    """Forget the app's revisions; those whose image is still to be removed are hidden until then."""
    of_app: ColumnElement[bool] = revision.c.app_id == app_id
    connection.execute(delete(revision).where(of_app, _WITHOUT_IMAGE))
    connection.execute(update(revision).where(of_app, _SEEN).values(purged=1, update_time=NOW))
    connection.execute(
        update(revision).where(of_app, _ACTIVE).values(state=RevisionState.SUPERSEDED.value)
    )


def read(row: RowMapping) -> Revision:
    """Return the revision of a row."""
    return Revision(
        app_id=row["app_id"],
        number=row["number"],
        state=RevisionState(row["state"]),
        job_id=row["job_id"],
        release=row["app_release"],
        origin=Origin(
            source_kind=SourceKind(row["source_kind"] or SourceKind.IMAGE),
            repo_url=row["repo_url"],
            commit_ref=row["commit_ref"],
            commit_sha=row["commit_sha"],
            image=row["image"],
            image_repository=row["image_repository"],
            image_tag=row["image_tag"],
            image_digest=row["image_digest"],
            built=bool(row["built"]),
        ),
        config=load(row["config_json"]),
        created_by=row["created_by"],
        created_at=row["create_time"],
        activated_at=row["activated_at"],
        activated_job_id=row["activated_job_id"],
        activation=row["activation"],
        stopped_at=row["stopped_at"],
        purged=bool(row["purged"]),
        prune_reason=row["prune_reason"],
    )


def _supersede(connection: Connection, app_id: str, by: int) -> None:
    connection.execute(
        update(revision)
        .where(revision.c.app_id == app_id, _ACTIVE, revision.c.number != by)
        .values(state=RevisionState.SUPERSEDED.value, update_time=NOW)
    )


def _of(app_id: str) -> Select[Any]:
    return select(revision).where(revision.c.app_id == app_id)


def _superseded(app_id: str) -> Select[Any]:
    newest_first = (revision.c.activated_at.desc(), revision.c.number.desc())
    return _of(app_id).where(_SEEN, _SUPERSEDED).order_by(*newest_first)


def _read_all(connection: Connection, query: Select[Any]) -> list[Revision]:
    return [read(row) for row in connection.execute(query).mappings()]
