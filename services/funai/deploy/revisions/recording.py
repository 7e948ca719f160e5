"""Keeps an app's revisions in step with its jobs, inside the transaction that ends a job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from funai.contract.status import JobStatus
from funai.deploy.events import repository as events
from funai.deploy.revisions import repository
from funai.deploy.revisions.model import (
    Origin,
    Revision,
    RevisionState,
    activation_text,
    config_of,
    release_or_made,
)
from funai.deploy.wire import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Job

_MAX_USER = 64


def follow_job(connection: Connection, ended: Job, status: JobStatus, result: object) -> None:
    """Record what the job's end means for the app's revisions. The app's row is locked.

    :param result: of the runner's report, whatever it is
    """
    reported = result if isinstance(result, dict) else {}
    if status is JobStatus.SUCCEEDED:
        _succeed(connection, ended, Origin.read(reported, ended.payload))
    else:
        _keep_image(connection, ended, (reported, events.pushed_by(connection, ended.id)))


def keep_late(connection: Connection, ended: Job, pushed: dict[str, Any]) -> None:
    """Record the image of a job that ended before its runner could name it. The app's row is locked."""
    is_unknown = not repository.has(connection, ended.app_id, ended.deploy_seq or 0)
    if ended.status is not JobStatus.SUCCEEDED and is_unknown:
        _keep_image(connection, ended, (pushed,))


def _keep_image(connection: Connection, ended: Job, said: Iterable[dict[str, Any]]) -> None:
    """Add a row for an image in the registry, so that it is found once it is to be removed.

    :param said: what was said of it, the best first
    """
    origins = (Origin.read(each, ended.payload) for each in said)
    found = next((origin for origin in origins if origin.is_in_registry), None)
    if found is not None:
        _add(connection, ended, found, RevisionState.FAILED)


def _succeed(connection: Connection, ended: Job, origin: Origin) -> None:
    target = None
    if ended.rollback_to is not None:
        target = repository.get(connection, ended.app_id, ended.rollback_to)
    if target is None:
        _add(connection, ended, origin, RevisionState.ACTIVE)
        return
    before = repository.active(connection, ended.app_id)
    left = before.number if before else target.number
    why = activation_text(ended.id, target.number, left, ended.rollback_reason)
    target = replace(target, release=origin.release or target.release)
    repository.activate(connection, target, job_id=ended.id, why=why)


def _add(connection: Connection, ended: Job, origin: Origin, state: RevisionState) -> None:
    # A job of an earlier system has no number; its app gets a revision with its next job.
    if ended.deploy_seq is None or ended.rollback_to is not None:
        return
    repository.add(connection, _made_by(ended, origin, state))
    repository.forget_old(connection, ended.app_id)


def _made_by(ended: Job, origin: Origin, state: RevisionState) -> Revision:
    number, is_active = ended.deploy_seq or 0, state is RevisionState.ACTIVE
    return Revision(
        app_id=ended.app_id,
        number=number,
        state=state,
        job_id=ended.id,
        release=release_or_made(origin, number),
        origin=origin,
        config=config_of(ended.payload),
        created_by=None if ended.user_id is None else clean(ended.user_id)[:_MAX_USER],
        activated_job_id=ended.id if is_active else None,
        activation=activation_text(ended.id, number, None, None) if is_active else None,
    )
