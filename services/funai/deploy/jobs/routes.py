"""HTTP of jobs: parse, call, render. No decisions here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.contract.envelope import envelope
from funai.contract.status import JOB_TYPE, JobStatus
from funai.deploy.access import DEPLOY, RUNNER
from funai.deploy.caller import idempotency_key, is_caller_there
from funai.deploy.errors import InvalidRequestError
from funai.deploy.fields import (
    MAX_SECONDS,
    AppId,
    Flag,
    Model,
    RunnerId,
    Seconds,
    WholeNumber,
    Word,
)
from funai.deploy.jobs import render
from funai.deploy.jobs.model import (
    MAX_PHASE,
    MAX_PHASE_MESSAGE,
    MAX_REASON,
    MAX_REASON_CODE,
    Extension,
    Report,
)
from funai.deploy.revisions.model import pushed_image
from funai.deploy.wire import keep_head

if TYPE_CHECKING:
    from funai.deploy.jobs.leases import LeaseService
    from funai.deploy.jobs.service import JobService

_MAX_LIST = 200
_MAX_APPS = 200
_MAX_WAIT = 30


class CreateBody(Model):
    """A job to create."""

    type: Word
    payload: dict[str, Any]
    on_conflict: Literal["reject", "supersede"] = Field("reject", alias="onConflict")
    #: The same as ``"onConflict": "supersede"``.
    supersede: Flag = False


class JobPath(Model):
    """Which job."""

    job_id: str


class ListQuery(Model):
    """How many jobs."""

    limit: WholeNumber = Field(50, ge=1, le=_MAX_LIST)


class NewestQuery(ListQuery):
    """How many jobs, of which apps and statuses."""

    #: Without it all apps count.
    app_ids: list[AppId] = Field([], alias="appId", max_length=_MAX_APPS)
    #: Words with commas between them; without it all count.
    status: Word | None = None


class AppJobsQuery(ListQuery):
    """How many jobs of which app."""

    app_id: Word = Field(alias="appId")


class CancelBody(Model):
    """Why a job is cancelled."""

    reason: str | None = None


class TransitionBody(Model):
    """Where a job is to go."""

    to_status: Word = Field(alias="toStatus")
    error_message: str | None = Field(None, alias="errorMessage")


class ClaimBody(Model):
    """Who asks for work."""

    runner_id: RunnerId = Field(alias="runnerId")
    lease_seconds: WholeNumber = Field(30, alias="leaseSeconds", ge=1, le=MAX_SECONDS)
    wait_seconds: Seconds = Field(0, alias="waitSeconds", ge=0, le=_MAX_WAIT)
    capacity: WholeNumber | None = Field(None, ge=0)


class HeartbeatBody(Model):
    """Who is still at work, and on what."""

    runner_id: RunnerId = Field(alias="runnerId")
    extend_seconds: WholeNumber = Field(30, alias="extendSeconds", ge=1, le=MAX_SECONDS)
    fence: WholeNumber | None = None
    phase: str | None = None
    phase_message: str | None = Field(None, alias="phaseMessage")
    #: Of the image that was pushed, whatever it is.
    result: Any = None


class ReportBody(Model):
    """How a job ended."""

    runner_id: RunnerId = Field(alias="runnerId")
    status: Word
    fence: WholeNumber | None = None
    error_message: str | None = Field(None, alias="errorMessage")
    reason: str | None = None
    #: Whatever it is: a report that says nonsense beside its status still ends its job.
    result: Any = None


def create_blueprint(jobs: JobService, renderer: render.JobRenderer) -> APIBlueprint:
    """Return the API's routes under ``/deploy/jobs``."""
    blueprint = APIBlueprint("jobs", __name__, url_prefix="/deploy/jobs")

    @blueprint.post("", summary="Create a job", security=DEPLOY)
    def create(body: CreateBody) -> dict[str, Any]:
        supersede = body.supersede or body.on_conflict == "supersede"
        job_type = _job_type(body.type)
        created = jobs.create(job_type, body.payload, key=idempotency_key(), supersede=supersede)
        return envelope(renderer.job(created))

    @blueprint.get("", summary="Newest jobs", security=DEPLOY)
    def newest(query: NewestQuery) -> dict[str, Any]:
        found = jobs.newest(query.limit, query.app_ids, _statuses(query.status))
        return envelope([renderer.job(view) for view in found])

    @blueprint.get("/by-app", summary="Newest jobs of an app", security=DEPLOY)
    def by_app(query: AppJobsQuery) -> dict[str, Any]:
        found = jobs.newest(query.limit, [query.app_id])
        return envelope([renderer.job(view) for view in found])

    @blueprint.get("/<string:job_id>", summary="One job", security=DEPLOY)
    def show(path: JobPath) -> dict[str, Any]:
        return envelope(renderer.job(jobs.get(path.job_id)))

    @blueprint.get("/<string:job_id>/events", summary="What happened to a job", security=DEPLOY)
    def events(path: JobPath) -> dict[str, Any]:
        return envelope([render.event(event) for event in jobs.events(path.job_id)])

    @blueprint.post("/<string:job_id>/cancel", summary="Cancel a job", security=DEPLOY)
    def cancel(path: JobPath, body: CancelBody) -> dict[str, Any]:
        reason = keep_head(body.reason, MAX_REASON) if body.reason else None
        return envelope(renderer.job(jobs.cancel(path.job_id, reason)))

    @blueprint.post("/<string:job_id>/transition", summary="Move a job", security=DEPLOY)
    def transition(path: JobPath, body: TransitionBody) -> dict[str, Any]:
        to_status = _status("toStatus", body.to_status, frozenset(JobStatus))
        return envelope(renderer.job(jobs.transition(path.job_id, to_status, body.error_message)))

    return blueprint


def create_lease_blueprint(leases: LeaseService, renderer: render.JobRenderer) -> APIBlueprint:
    """Return the runners' routes under ``/deploy/jobs``."""
    blueprint = APIBlueprint("leases", __name__, url_prefix="/deploy/jobs")

    @blueprint.post("/claim", summary="Claim the next job", security=RUNNER)
    def claim(body: ClaimBody) -> dict[str, Any]:
        claimed = leases.claim(
            body.runner_id, body.lease_seconds, body.wait_seconds, is_caller_there
        )
        return envelope(None if claimed is None else renderer.job(claimed))

    @blueprint.post("/<string:job_id>/heartbeat", summary="Extend a lease", security=RUNNER)
    def heartbeat(path: JobPath, body: HeartbeatBody) -> dict[str, Any]:
        beat = Extension(
            job_id=path.job_id,
            runner_id=body.runner_id,
            seconds=body.extend_seconds,
            fence=body.fence,
            phase=keep_head(body.phase, MAX_PHASE) if body.phase else None,
            phase_message=_bounded(body.phase_message, MAX_PHASE_MESSAGE),
            pushed=pushed_image(body.result),
        )
        return envelope(renderer.job(leases.heartbeat(beat)))

    @blueprint.post("/<string:job_id>/report", summary="Report a job's end", security=RUNNER)
    def report(path: JobPath, body: ReportBody) -> dict[str, Any]:
        word = Report(
            job_id=path.job_id,
            runner_id=body.runner_id,
            status=_status("status", body.status, _REPORTABLE),
            fence=body.fence,
            error_message=body.error_message,
            reason_code=_bounded(body.reason, MAX_REASON_CODE),
            result=body.result if isinstance(body.result, dict) else {},
        )
        return envelope(renderer.job(leases.report(word)))

    return blueprint


_REPORTABLE = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED})


def _job_type(value: str) -> str:
    if value != JOB_TYPE:
        msg = f"type {ascii(value)[:80]} is unknown; the one type is {JOB_TYPE}"
        raise InvalidRequestError(msg)
    return value


def _status(field: str, value: str, allowed: frozenset[JobStatus]) -> JobStatus:
    if value not in allowed:
        msg = f"{field} {ascii(value)[:80]} must be one of {', '.join(sorted(allowed))}"
        raise InvalidRequestError(msg)
    return JobStatus(value)


def _statuses(value: str | None) -> frozenset[JobStatus]:
    words = [] if value is None else [word.strip() for word in value.split(",")]
    return frozenset(_status("status", word, frozenset(JobStatus)) for word in words)


def _bounded(value: str | None, length: int) -> str | None:
    return None if value is None else keep_head(value, length)
