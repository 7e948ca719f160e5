"""Ends a job inside a transaction, with all that its end means for its app."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from funai.contract.status import JobStatus
from funai.deploy.events import repository as events
from funai.deploy.events.model import Event
from funai.deploy.jobs.repository import AppRunRepository, JobRepository
from funai.deploy.placements.leftovers import LeftoverRepository
from funai.deploy.placements.repository import AppRepository
from funai.deploy.revisions.recording import follow_job
from funai.deploy.routes_table.repository import bump_version

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Ending, Job
    from funai.deploy.notifications.notices import Notices


def end_job(connection: Connection, found: Job, ending: Ending, notices: Notices) -> bool:
    """End the job if it is still as it was found; tell whether it was. The app's row is locked."""
    if not JobRepository(connection).end(found, ending):
        return False
    events.record(
        connection,
        Event(
            job_id=found.id,
            app_id=found.app_id,
            actor=ending.actor,
            from_status=found.status,
            to_status=ending.status,
            phase=found.phase,
            reason=ending.reason or ending.error_message,
            detail={"reasonCode": ending.reason_code, "attempt": found.attempt, **ending.detail},
        ),
    )
    AppRunRepository(connection).follow(found, ending.status, ending.error_message)
    follow_job(connection, found, ending.status, ending.detail.get("result"))
    notices.job_ended(connection, found, ending)
    if ending.status is JobStatus.SUCCEEDED:
        AppRepository(connection).change(found.app_id, crashes=0)
        AppRepository(connection).settle(found.app_id, found.fence)
    elif found.node_id is not None:
        _close_claims(connection, found, found.node_id)
        _leave_behind(connection, found, found.node_id)
    if ending.status is JobStatus.SUCCEEDED and found.node_id is not None:
        _move_route(connection, replace(found, status=ending.status), found.node_id)
    return True


def _close_claims(connection: Connection, ended: Job, node_id: int) -> None:
    """Let the job's node be told to carry out nothing more of it: a call may still be on its way.

    The end takes a fence of its own, so that the node can tell the job's calls from later ones.
    """
    apps = AppRepository(connection)
    fence = apps.get(ended.app_id).fence + 1
    apps.change(
        ended.app_id,
        fence=fence,
        closing_job_id=ended.id,
        closing_node_id=node_id,
        closing_fence=fence,
    )


def _leave_behind(connection: Connection, ended: Job, node_id: int) -> None:
    """Have the job's node cleared of the app, where its requests go to another one.

    What the job started there serves nobody. The app's next claim on that node drops the note.
    """
    if AppRepository(connection).get(ended.app_id).route_node_id not in {None, node_id}:
        LeftoverRepository(connection).note(ended.app_id, node_id, ended.user_id)


def _move_route(connection: Connection, ended: Job, node_id: int) -> None:
    """Send the app's requests to the node that serves it now; the old node is to be cleared."""
    apps = AppRepository(connection)
    before = apps.get(ended.app_id).route_node_id
    if before == node_id:
        return
    apps.change(ended.app_id, route_node_id=node_id)
    if before is not None:
        LeftoverRepository(connection).note(ended.app_id, before, ended.user_id)
    bump_version(connection)
