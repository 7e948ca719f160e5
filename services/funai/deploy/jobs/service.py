"""Use cases of the API on jobs: one method each, one transaction each."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from funai.contract.status import JobStatus
from funai.deploy.app_settings.model import with_defaults
from funai.deploy.app_settings.repository import shape_of
from funai.deploy.database import is_duplicate
from funai.deploy.errors import ConflictError, DatabaseAwayError, NotFoundError
from funai.deploy.events import repository as events
from funai.deploy.events.model import Event
from funai.deploy.jobs.ending import end_job
from funai.deploy.jobs.model import (
    ACTOR_API,
    CANCELLED_BY_CALLER,
    QUEUED,
    QUEUED_TEXT,
    SUPERSEDING,
    Ending,
    JobView,
    NewJob,
    active_conflict,
    check_transition,
    superseded,
)
from funai.deploy.jobs.payload import check_payload, refuse_own, request_hash
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.placements.model import Waiting
from funai.deploy.placements.repository import AppRepository

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

    from funai.deploy.events.model import RecordedEvent
    from funai.deploy.jobs.model import Job
    from funai.deploy.parts import Parts


#: Jobs that are kept of each app, its newest; older ones go when a new one comes.
KEPT_JOBS = 500
_FORGET_BATCH = 20


def new_id() -> str:
    """Return a job's id."""
    return str(uuid.uuid4())


class JobService:
    """Creates, shows, cancels and moves jobs."""

    def __init__(self, parts: Parts, make_id: Callable[[], str] = new_id) -> None:
        self._parts = parts
        self._make_id = make_id

    def create(
        self, job_type: str, payload: dict[str, Any], *, key: str | None, supersede: bool
    ) -> JobView:
        """Create a job, or return the one that was created with the same idempotency key.

        :param supersede: whether it takes the place of the app's job that has not ended
        :raises InvalidRequestError: where the payload breaks a rule
        :raises ConflictError: where the app has an active job, or the key another request
        """
        refuse_own(payload)
        new = NewJob(
            id=self._make_id(),
            type=job_type,
            app_id=check_payload(payload),
            payload=payload,
            supersede=supersede,
            idempotency_key=key,
            idempotency_hash=request_hash(job_type, payload) if key else None,
        )
        return self.add(new, lambda c: with_defaults(payload, shape_of(c, new.app_id)))

    def add(self, new: NewJob, choose: Callable[[Connection], dict[str, Any]]) -> JobView:
        """Create a job whose payload is chosen while its app is locked.

        :param choose: returns the payload; not asked where the idempotency key has its job already
        :raises ConflictError: where the app has an active job, or the key another request
        """

        def work(connection: Connection) -> Job:
            return self._create(connection, new, choose)

        try:
            created = self._parts.database.run(work)
        except DatabaseAwayError:
            if new.idempotency_key is None:
                raise
            # The job may be there, and only the answer to COMMIT was lost: the key tells.
            created = self._parts.database.run(work)
        except DBAPIError as exc:
            if not is_duplicate(exc):
                raise
            # Another request was first with this key or app: now its job can be seen.
            created = self._parts.database.run(work)
        self._parts.work_available.ring()
        return JobView(created, with_node=False)

    def _create(
        self,
        connection: Connection,
        new: NewJob,
        choose: Callable[[Connection], dict[str, Any]],
    ) -> Job:
        jobs, apps = JobRepository(connection), AppRepository(connection)
        row = apps.lock(new.app_id)
        if new.idempotency_key is not None:
            known = jobs.by_key(new.idempotency_key)
            if known is not None:
                return self._same_request(known, new)
        if row.pause is not None:
            raise ConflictError(row.pause.sentence)
        new = replace(new, payload=choose(connection))
        active = jobs.active_of(new.app_id)
        if active and not new.supersede:
            raise active_conflict(active[-1])
        waiting = Waiting(QUEUED, QUEUED_TEXT)
        for found in active:
            waiting = self._supersede(connection, found, new.id) or waiting
        apps.change(new.app_id, deploy_seq=row.deploy_seq + 1)
        jobs.insert(new, row.deploy_seq + 1, waiting.code, waiting.reason)
        events.record(
            connection,
            Event(new.id, new.app_id, ACTOR_API, None, JobStatus.PENDING, reason=waiting.reason),
        )
        jobs.forget_old(new.app_id, kept=KEPT_JOBS, limit=_FORGET_BATCH)
        return self._get(jobs, new.id)

    def _same_request(self, known: Job, new: NewJob) -> Job:
        if known.idempotency_hash == new.idempotency_hash:
            return known
        msg = (
            f"the Idempotency-Key was used for job {known.id} of app {known.app_id} with another"
            " body; use a new key for a new request"
        )
        raise ConflictError(msg)

    def _supersede(self, connection: Connection, active: Job, by_id: str) -> Waiting | None:
        """Cancel a PENDING job; ask a RUNNING one to end, and return that the newer one waits for it."""
        if not JobRepository(connection).ask_to_end(active.id, by_id):
            raise active_conflict(active)
        if active.status is JobStatus.PENDING:
            ending = superseded(replace(active, superseded_by=by_id))
            if not end_job(connection, active, ending, self._parts.notices):
                raise active_conflict(active)
            return None
        events.record(
            connection,
            Event(
                job_id=active.id,
                app_id=active.app_id,
                actor=ACTOR_API,
                from_status=active.status,
                to_status=None,
                phase=active.phase,
                reason=f"asked to end by job {by_id}, which supersedes it",
                detail={"supersededBy": by_id},
            ),
        )
        return Waiting(SUPERSEDING, f"waits for the end of job {active.id}, which it supersedes")

    def get(self, job_id: str) -> JobView:
        """Return the job with its node.

        :raises NotFoundError: where there is no such job
        """
        stale = self._parts.node_stale
        found = self._parts.database.run(lambda c: JobRepository(c).view(job_id, stale))
        if found is None:
            raise unknown_job(job_id)
        return found

    def newest(
        self, limit: int, app_ids: Collection[str] = (), statuses: Collection[JobStatus] = ()
    ) -> list[JobView]:
        """Return the newest jobs, newest first; of some apps or of all, of some statuses or of any."""
        stale = self._parts.node_stale
        return self._parts.database.run(
            lambda c: JobRepository(c).newest(limit, stale, app_ids, statuses)
        )

    def events(self, job_id: str) -> list[RecordedEvent]:
        """Return what happened to the job, oldest first.

        :raises NotFoundError: where there is no such job
        """

        def work(connection: Connection) -> list[RecordedEvent]:
            self._get(JobRepository(connection), job_id)
            return events.of_job(connection, job_id)

        return self._parts.database.run(work)

    def cancel(self, job_id: str, reason: str | None) -> JobView:
        """Cancel the job; again changes nothing.

        :raises NotFoundError: where there is no such job
        :raises ConflictError: where it ended otherwise
        """
        ending = Ending(
            status=JobStatus.CANCELLED,
            actor=ACTOR_API,
            reason_code=CANCELLED_BY_CALLER,
            reason=reason or "cancelled by its caller",
        )
        return self._move(job_id, ending)

    def transition(self, job_id: str, to_status: JobStatus, error: str | None) -> JobView:
        """Move the job to another status, as an operator's or the API's decision.

        :raises NotFoundError: where there is no such job
        :raises ConflictError: where a job never goes there from where it is
        """
        ending = Ending(
            status=to_status,
            actor=ACTOR_API,
            error_message=error,
            reason_code=CANCELLED_BY_CALLER if to_status is JobStatus.CANCELLED else None,
            reason="moved by its caller",
        )
        return self._move(job_id, ending)

    def _move(self, job_id: str, ending: Ending) -> JobView:
        def work(connection: Connection) -> tuple[JobStatus, Job]:
            jobs = JobRepository(connection)
            AppRepository(connection).lock(self._get(jobs, job_id).app_id)
            found = self._get(jobs, job_id)
            is_due = check_transition(found, ending.status)
            if is_due and not end_job(connection, found, ending, self._parts.notices):
                msg = f"job {job_id} changed while it was moved; look at it and try again"
                raise ConflictError(msg)
            return found.status, self._get(jobs, job_id)

        before, after = self._parts.database.run(work)
        if before is not after.status:
            self._parts.metrics.transitions.labels(before, after.status).inc()
            # The app's next job may have waited for this end.
            self._parts.ring_all()
        return JobView(after, with_node=False)

    def _get(self, jobs: JobRepository, job_id: str) -> Job:
        found = jobs.get(job_id)
        if found is None:
            raise unknown_job(job_id)
        return found


def unknown_job(job_id: str) -> NotFoundError:
    """Return the refusal for an id that no job has."""
    return NotFoundError(f"no job has the id {ascii(job_id)[:80]}")
