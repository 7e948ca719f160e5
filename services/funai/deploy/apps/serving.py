"""Writes down what a node says that serves of an app, where that is no success that Deploy knows."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from funai.contract.status import JobStatus
from funai.deploy.events import repository as events
from funai.deploy.events.model import Event
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.placements.repository import AppRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Job
    from funai.deploy.nodes.model import Node

_LOG = logging.getLogger(__name__)
_JOB_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def note_serving(
    connection: Connection, node: Node, app_id: str, serving: object, *, is_ahead: bool = False
) -> None:
    """Note the job whose version serves, where it did not succeed. The app's row is locked.

    A node that the app's requests do not go to has no say.

    :param serving: of an agent's answer, whatever it is
    :param is_ahead: whether the node knows later claims than the database, which so was restored
    """
    served = serving.get("jobId") if isinstance(serving, dict) else None
    if not isinstance(served, str) or not _JOB_ID.fullmatch(served):
        served = None
    job = JobRepository(connection).get(served) if served else None
    apps = AppRepository(connection)
    row = apps.get(app_id)
    if row.route_node_id not in {None, node.id}:
        return  # Its requests go elsewhere.
    if job is None:
        # What a restore left unknown stays so.
        is_unconfirmed = is_ahead or served == row.unconfirmed_job_id
    else:
        is_unconfirmed = _ended_without_success(job, app_id)
    unconfirmed = served if is_unconfirmed else None
    if unconfirmed == row.unconfirmed_job_id:
        return
    apps.change(app_id, unconfirmed_job_id=unconfirmed)
    if unconfirmed is not None:
        _LOG.warning("an app serves what did not succeed", extra={"fields": {"jobId": served}})
    if job is not None and unconfirmed is not None:
        _tell(connection, job, node)


def _ended_without_success(job: Job, app_id: str) -> bool:
    return job.app_id == app_id and job.status in {JobStatus.FAILED, JobStatus.CANCELLED}


def _tell(connection: Connection, job: Job, node: Node) -> None:
    reason = (
        f"its version serves on node {node.name} all the same: the switch was made before the job"
        f" ended {job.status}; deploy again or roll back where that is not wanted"
    )
    events.record(
        connection,
        Event(
            job_id=job.id,
            app_id=job.app_id,
            actor=f"node:{node.name}",
            from_status=job.status,
            to_status=None,
            reason=reason,
        ),
    )
