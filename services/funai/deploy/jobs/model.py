"""The job, its life cycle and the refusals that go with it. Pure: no clock, no database, no Flask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from funai.contract.status import JobStatus
from funai.deploy.errors import ConflictError

if TYPE_CHECKING:
    from datetime import datetime

    from funai.deploy.nodes.model import Node

MAX_ERROR = 1024
MAX_REASON = 1024
MAX_PHASE = 32
MAX_PHASE_MESSAGE = 512
MAX_REASON_CODE = 64

#: Who did something to a job.
ACTOR_API = "api"
ACTOR_REAPER = "deploy"

#: Why a job is as it is, for programs; ``reason`` says the same for people.
QUEUED = "QUEUED"
NO_RUNNER = "NO_RUNNER"
CANCELLED_BY_CALLER = "CANCELLED"
SUPERSEDED = "SUPERSEDED"
SUPERSEDING = "SUPERSEDING"
LEASE_EXPIRED = "LEASE_EXPIRED"
LEASE_EXHAUSTED = "LEASE_EXHAUSTED"
RUNNING_TOO_LONG = "RUNNING_TOO_LONG"
#: Reasons of a PENDING job that the reaper keeps up to date.
QUEUED_TEXT = "waits for a free runner"
NO_RUNNER_TEXT = (
    "no runner has asked for work lately; start funai-runner or see /admin/runners/list"
)

#: Phases in which the app's requests may go to the new container already: such a job is not cancelled
#: to make room, it ends by itself.
PAST_SWITCH = frozenset({"DEPLOY", "VERIFY", "REPORT"})

_NEXT: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}),
}


@dataclass(frozen=True)
class Job:
    """A job's row.

    A runner holds a RUNNING job by a lease that ends at ``lease_expire_at``. Each claim raises the
    app's fence; a message that carries a lower one comes from a runner that lost its lease.
    """

    id: str
    type: str
    app_id: str
    status: JobStatus
    payload: dict[str, Any]
    created_at: datetime | None = None
    updated_at: datetime | None = None
    error_message: str | None = None
    runner_id: str | None = None
    #: Epoch milliseconds by the database's clock.
    lease_expire_at: int | None = None
    deploy_seq: int | None = None
    fence: int | None = None
    attempt: int = 0
    node_id: int | None = None
    #: Begin of the first attempt.
    started_at: datetime | None = None
    #: Begin of the newest attempt, epoch milliseconds.
    run_started_at: int | None = None
    ended_at: datetime | None = None
    phase: str | None = None
    phase_message: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    idempotency_key: str | None = None
    idempotency_hash: str | None = None
    #: The job that is to take this one's place; set while this one runs.
    superseded_by: str | None = None

    @property
    def may_be_superseded(self) -> bool:
        """Whether the job runs, is to make room, and has not begun to change its node."""
        return (
            self.status is JobStatus.RUNNING
            and self.superseded_by is not None
            and self.phase not in PAST_SWITCH
        )

    @property
    def user_id(self) -> str | None:
        """The user in the payload, as text."""
        value = self.payload.get("userId")
        return None if value is None or isinstance(value, bool) else str(value)

    @property
    def rollback_to(self) -> int | None:
        """The revision that this job goes back to, or None."""
        value = self.payload.get("rollbackTo")
        return None if isinstance(value, bool) or not isinstance(value, int) else value

    @property
    def rollback_reason(self) -> str | None:
        """Why somebody wanted to go back, or None."""
        value = self.payload.get("rollbackReason")
        return value if isinstance(value, str) else None

    @property
    def revision(self) -> int | None:
        """The number of the revision that this job makes, or goes back to."""
        return self.deploy_seq if self.rollback_to is None else self.rollback_to


@dataclass(frozen=True)
class JobView:
    """A job with the node it runs on, or will."""

    job: Job
    node: Node | None = None
    #: Seconds, in the answer to a claim only.
    lease_seconds: int | None = None
    #: Attempts that a job has, likewise.
    max_attempts: int | None = None
    #: Whether node and URLs are part of this answer (contract, section 2).
    with_node: bool = True


@dataclass(frozen=True)
class NewJob:
    """A job to be created; checked already."""

    id: str
    type: str
    app_id: str
    payload: dict[str, Any] = field(default_factory=dict)
    supersede: bool = False
    idempotency_key: str | None = None
    idempotency_hash: str | None = None


@dataclass(frozen=True)
class Report:
    """A runner's final word."""

    job_id: str
    runner_id: str
    status: JobStatus
    fence: int | None = None
    error_message: str | None = None
    reason_code: str | None = None
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Extension:
    """A runner's heartbeat."""

    job_id: str
    runner_id: str
    seconds: int
    fence: int | None = None
    phase: str | None = None
    phase_message: str | None = None
    #: What is known of the image that the job has in the registry; empty where it has none.
    pushed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How a job is to end."""

    status: JobStatus
    actor: str
    error_message: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def check_transition(job: Job, to_status: JobStatus) -> bool:
    """Tell whether the change is to be made; False where the job is there already.

    :raises ConflictError: where a job never goes from its status to that one
    """
    if job.status is to_status and to_status.ended:
        return False
    if to_status is JobStatus.RUNNING:
        msg = f"job {job.id} becomes RUNNING only by a runner's claim"
        raise ConflictError(msg)
    if to_status in _NEXT.get(job.status, frozenset()):
        return True
    if job.status.ended:
        msg = f"job {job.id} ended {job.status} and stays so; create a new job"
    else:
        msg = f"job {job.id} is {job.status} and cannot become {to_status}"
    raise ConflictError(msg)


def lost_lease(job: Job, runner_id: str, fence: int | None) -> ConflictError:
    """Return the refusal for a runner that does not hold the job's lease."""
    if job.status.ended:
        why = f" ({job.reason})" if job.reason else ""
        text = f"job {job.id} ended {job.status}{why}; stop working on it"
    elif job.status is JobStatus.PENDING:
        text = f"job {job.id} is PENDING and nobody's; claim it first"
    elif job.runner_id != runner_id:
        text = (
            f"job {job.id} is held by runner {job.runner_id}, not {runner_id}; stop working on it"
        )
    elif fence is not None and fence != job.fence:
        text = f"job {job.id} is at fence {job.fence}, this message has {fence}; stop working on it"
    else:
        text = f"the lease of {runner_id} on job {job.id} ran out; stop working on it"
    return ConflictError(text)


def is_replay(job: Job, report: Report) -> bool:
    """Tell whether the report says again what was reported before."""
    return (
        job.status is report.status
        and job.runner_id == report.runner_id
        and (report.fence is None or report.fence == job.fence)
    )


def superseded(job: Job) -> Ending:
    """Return the end of a job that makes room for a newer one."""
    by_id = job.superseded_by
    return Ending(
        status=JobStatus.CANCELLED,
        actor=ACTOR_API,
        reason_code=SUPERSEDED,
        reason=f"superseded by job {by_id}",
        detail={"supersededBy": by_id},
    )


def active_conflict(job: Job) -> ConflictError:
    """Return the refusal for a second job beside one that has not ended."""
    return ConflictError(
        f"app {job.app_id} has job {job.id}, which is {job.status}; wait for its end, cancel it,"
        ' or create with "onConflict": "supersede"'
    )
