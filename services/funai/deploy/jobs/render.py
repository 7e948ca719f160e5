"""Jobs as they cross the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.contract import ids
from funai.contract.status import JobStatus
from funai.deploy.jobs.payload import DEFAULT_USER_ID
from funai.deploy.nodes.routes import runtime_node
from funai.deploy.wire import iso, iso_from_ms

if TYPE_CHECKING:
    from funai.deploy.events.model import RecordedEvent
    from funai.deploy.jobs.model import Job, JobView


class JobRenderer:
    """Renders jobs.

    :param public_base_url: of the edge; empty leaves ``publicUrl`` null
    """

    def __init__(self, public_base_url: str) -> None:
        self._public_base_url = public_base_url

    def job(self, view: JobView) -> dict[str, Any]:
        """Return the job; node and URLs are null where the contract leaves them out."""
        job = view.job
        node = view.node if view.with_node else None
        path = base_path(job) if view.with_node else None
        return {
            "id": job.id,
            "type": job.type,
            "status": job.status,
            "payload": payload(job),
            "errorMessage": job.error_message,
            "runnerId": job.runner_id,
            "leaseExpireAt": iso_from_ms(job.lease_expire_at),
            "runtimeNode": runtime_node(node),
            "deployUrl": app_url(node.gateway_base_url if node else "", path),
            "publicUrl": app_url(self._public_base_url, path),
            "createdAt": iso(job.created_at),
            "updatedAt": iso(job.updated_at),
            "startedAt": iso(job.started_at),
            "endedAt": iso(job.ended_at),
            "appId": job.app_id,
            "deploySeq": job.deploy_seq,
            "revision": job.revision,
            "fence": job.fence,
            "attempt": job.attempt,
            "leaseSeconds": view.lease_seconds,
            "maxAttempts": view.max_attempts,
            "phase": job.phase,
            "phaseMessage": job.phase_message,
            "reasonCode": job.reason_code,
            "reason": job.reason,
            "cancelRequested": job.status is JobStatus.RUNNING and job.superseded_by is not None,
            "supersededBy": job.superseded_by,
            "idempotencyKey": job.idempotency_key,
        }


def payload(job: Job) -> dict[str, Any]:
    """Return the payload with what runners need beside it, once there is an attempt."""
    if job.attempt == 0:
        return job.payload
    found = {**job.payload, "attempt": job.attempt}
    if found.get("userId") is None:
        found["userId"] = DEFAULT_USER_ID
    if job.run_started_at is not None:
        found["runStartedAt"] = job.run_started_at
    return found


def base_path(job: Job) -> str:
    """Return the app's path; a path that an earlier system let pass is not used."""
    try:
        return ids.base_path(job.payload.get("basePath"), job.app_id)
    except ids.FieldError:
        return f"/apps/{job.app_id}"


def event(recorded: RecordedEvent) -> dict[str, Any]:
    """Return an event."""
    found = recorded.event
    return {
        "seq": recorded.seq,
        "at": iso(recorded.at),
        "actor": found.actor,
        "fromStatus": found.from_status,
        "toStatus": found.to_status,
        "phase": found.phase,
        "reason": found.reason,
        "detail": found.detail,
    }


def app_url(base: str, path: str | None) -> str | None:
    """Return where an app answers below a gateway, or None where either is unknown."""
    return f"{base.rstrip('/')}{path}/" if base and path else None
