"""Use cases on revisions: list, go back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from funai.contract.status import JOB_TYPE, JobStatus
from funai.deploy.apps import repository as apps
from funai.deploy.errors import NotFoundError
from funai.deploy.jobs.model import NewJob
from funai.deploy.jobs.payload import request_hash
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.jobs.service import new_id
from funai.deploy.placements.repository import AppRepository
from funai.deploy.revisions import repository
from funai.deploy.revisions.model import check_deployable, nothing_before

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.jobs.model import JobView
    from funai.deploy.jobs.service import JobService
    from funai.deploy.parts import Parts
    from funai.deploy.revisions.model import Revision

#: Sets the idempotency key of a rollback apart from one of a create.
_REQUEST = "ROLLBACK"


@dataclass(frozen=True)
class Wish:
    """Which app is to go back, and where to."""

    app_id: str
    #: None: to what ran before.
    number: int | None = None
    reason: str | None = None
    #: Whether the job takes the place of the app's job that has not ended.
    supersede: bool = False

    @property
    def hash(self) -> str:
        """What two rollbacks with one idempotency key must share."""
        return request_hash(_REQUEST, {"appId": self.app_id, "revision": self.number})


class RevisionService:
    """Shows revisions and makes the jobs that go back to one."""

    def __init__(self, parts: Parts, jobs: JobService) -> None:
        self._parts = parts
        self._jobs = jobs

    def newest(self, app_id: str, limit: int) -> list[Revision]:
        """Return the app's revisions, newest first; none for an app that nobody knows."""
        return self._parts.database.run(lambda c: repository.newest(c, app_id, limit))

    def roll_back(self, wish: Wish, *, key: str | None) -> JobView:
        """Create the job that goes back, or return the one that this idempotency key made.

        :raises NotFoundError: where the app or the named revision is unknown
        :raises ConflictError: where there is nothing to go back to, the revision cannot be deployed,
            the app has an active job, or the key another request
        """
        new = NewJob(
            id=new_id(),
            type=JOB_TYPE,
            app_id=wish.app_id,
            supersede=wish.supersede,
            idempotency_key=key,
            idempotency_hash=wish.hash if key else None,
        )
        return self._jobs.add(new, lambda connection: self._payload(connection, wish))

    def _payload(self, connection: Connection, wish: Wish) -> dict[str, Any]:
        target = self._target(connection, wish)
        check_deployable(target)
        return target.rollback_payload(wish.reason)

    def _target(self, connection: Connection, wish: Wish) -> Revision:
        if wish.number is not None:
            return self._named(connection, wish.app_id, wish.number)
        running = repository.active(connection, wish.app_id)
        jobs = JobRepository(connection).active_of(wish.app_id)
        if wish.supersede and running and any(job.status is JobStatus.RUNNING for job in jobs):
            # That job may have switched the app already: what ran before it is what is ACTIVE.
            return running
        if running and AppRepository(connection).get(wish.app_id).unconfirmed_job_id is not None:
            # What serves did not succeed: what ran before it is what is ACTIVE.
            return running
        found = repository.previous(connection, wish.app_id)
        if found is not None:
            return found
        if running is None and not jobs and apps.get_run(connection, wish.app_id) is None:
            msg = f"nothing is known of app {wish.app_id}; it was never deployed, or it was purged"
            raise NotFoundError(msg)
        raise nothing_before(wish.app_id, running)

    def _named(self, connection: Connection, app_id: str, number: int) -> Revision:
        found = repository.get(connection, app_id, number)
        if found is None:
            msg = (
                f"app {app_id} has no revision {number}; see GET /deploy/apps/{app_id}/revisions."
                " Numbers of jobs that failed before their image was pushed have none"
            )
            raise NotFoundError(msg)
        return found
