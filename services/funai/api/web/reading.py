"""What pages read of Deploy for an account: always through what the account may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from funai.api.apps.model import App
from funai.api.deploy_client import part
from funai.api.errors import DeployRefusedError, UnknownError
from funai.api.web import reasons, timeline, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funai.api.accounts.model import Account
    from funai.api.parts import Parts

_NOT_FOUND = 404
LIVE = frozenset({"PENDING", "RUNNING"})


@dataclass(frozen=True)
class Shown:
    """A job with what a page says of it."""

    job: dict[str, Any]
    app: App
    steps: list[timeline.Step]
    now: datetime

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.job["status"] in LIVE

    @property
    def mark(self) -> words.Mark:
        """How it stands."""
        return words.job_mark(self.job["status"])

    @property
    def reason(self) -> reasons.Reason | None:
        """Why it waits or how it ended."""
        return reasons.reason_of(self.job.get("reasonCode"))

    @property
    def source(self) -> str:
        """What it deploys, in a line."""
        return source_line(self.job.get("payload") or {})


def job_of(parts: Parts, account: Account, job_id: str) -> tuple[dict[str, Any], App]:
    """Return a job and its app.

    :raises UnknownError: where there is none, or it is somebody else's: both sound the same
    """
    unknown = UnknownError(f"job {job_id[:64]} does not exist, or is not yours")
    try:
        job: dict[str, Any] = parts.deploy.get(f"/deploy/jobs/{part(job_id)}")
    except DeployRefusedError as exc:
        raise unknown if exc.status == _NOT_FOUND else exc from exc
    try:
        return job, parts.apps.get(account, job["appId"])
    except UnknownError as exc:
        if account.is_operator:
            # Made by another client of Deploy: nobody's here, and an operator's to look after.
            return job, App(job["appId"], 0, job["appId"])
        raise unknown from exc


def show(parts: Parts, job: dict[str, Any], app: App) -> Shown:
    """Return a job with its steps."""
    events = parts.deploy.get(f"/deploy/jobs/{part(job['id'])}/events")
    return Shown(job, app, timeline.steps_of(job, events), datetime.now(UTC))


def standing_of(parts: Parts, app: App) -> dict[str, Any] | None:
    """Return how an app stands; None where Deploy never heard of it."""
    return parts.deploy.standings([app.app_id]).get(app.app_id)


def newest_jobs(parts: Parts, app: App, limit: int) -> list[dict[str, Any]]:
    """Return an app's newest jobs."""
    found: list[dict[str, Any]] = parts.deploy.get(
        "/deploy/jobs/by-app", appId=app.app_id, limit=limit
    )
    return found


def address_of(parts: Parts, standing: Mapping[str, Any] | None) -> str | None:
    """Return where people open an app; None before its first deploy."""
    if not standing or not (standing.get("revision") or standing.get("unconfirmedJobId")):
        return None
    if standing.get("publicUrl"):
        return str(standing["publicUrl"])
    if parts.settings.public_url:
        return f"{parts.settings.public_url}/apps/{standing['appId']}/"
    return standing.get("deployUrl")


def source_line(payload: Mapping[str, Any]) -> str:
    """Return in a line what a payload deploys; no query of an address, which may hold a permission."""
    if payload.get("image"):
        return str(payload["image"])
    repository = payload.get("repoUrl") or payload.get("repoSshUrl")
    if repository:
        return f"{repository} @ {payload.get('commit') or payload.get('gitRef') or 'HEAD'}"
    return str(payload.get("archiveUrl") or "").partition("?")[0]
