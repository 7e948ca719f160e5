"""HTTP of apps: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.contract.envelope import envelope
from funai.deploy.access import DEPLOY
from funai.deploy.fields import AppId, Model, UserId
from funai.deploy.jobs.render import app_url
from funai.deploy.revisions.render import brief
from funai.deploy.wire import iso

if TYPE_CHECKING:
    from funai.deploy.apps.model import Purged
    from funai.deploy.apps.service import AppService, Cleaned
    from funai.deploy.apps.standing import Standing
    from funai.deploy.jobs.model import Job
    from funai.deploy.retention.model import Entry


_MAX_APPS = 200


class AppBody(Model):
    """Which app of which user."""

    user_id: UserId = Field(alias="userId")
    app_id: AppId = Field(alias="appId")


class AppsQuery(Model):
    """Which apps."""

    app_ids: list[AppId] = Field(alias="appId", min_length=1, max_length=_MAX_APPS)


class AppPath(Model):
    """Which app."""

    app_id: AppId


def create_blueprint(apps: AppService, public_base_url: str) -> APIBlueprint:
    """Return the routes under ``/deploy/apps``.

    :param public_base_url: of the edge; empty leaves ``publicUrl`` null
    """
    blueprint = APIBlueprint("apps", __name__, url_prefix="/deploy/apps")

    @blueprint.get("", summary="What runs of several apps, and why", security=DEPLOY)
    def standings(query: AppsQuery) -> dict[str, Any]:
        found = apps.standings(query.app_ids)
        return envelope([_standing(each, public_base_url) for each in found])

    @blueprint.get("/<string:app_id>", summary="What runs of an app, and why", security=DEPLOY)
    def standing(path: AppPath) -> dict[str, Any]:
        return envelope(_standing(apps.standing(path.app_id), public_base_url))

    @blueprint.post("/stop", summary="Stop an app", security=DEPLOY)
    def stop(body: AppBody) -> dict[str, Any]:
        node, answer = apps.stop(body.app_id, body.user_id)
        return envelope(
            {
                "appId": body.app_id,
                "userId": _number(body.user_id),
                "nodeId": node.id,
                "agentBaseUrl": node.agent_base_url,
                "runtime": answer,
            }
        )

    @blueprint.post("/resume", summary="Let a paused app take jobs again", security=DEPLOY)
    def resume(body: AppBody) -> dict[str, Any]:
        resumed = apps.resume(body.app_id)
        found = {"appId": body.app_id, "userId": _number(body.user_id), "resumed": resumed}
        return envelope({**found, "paused": False})

    @blueprint.post("/purge", summary="Delete an app's rows", security=DEPLOY)
    def purge(body: AppBody) -> dict[str, Any]:
        return envelope(_purged(body, apps.purge(body.app_id)))

    @blueprint.post(
        "/cleanup", summary="Remove an app: its containers, images and rows", security=DEPLOY
    )
    def clean_up(body: AppBody) -> dict[str, Any]:
        return envelope(_cleaned(body, apps.clean_up(body.app_id, body.user_id)))

    return blueprint


def _standing(found: Standing, public_base_url: str) -> dict[str, Any]:
    run, node, pause = found.run, found.node, found.pause
    path = f"/apps/{run.app_id}"
    return {
        "appId": run.app_id,
        "nodeId": run.node_id,
        "lastJobId": run.last_job_id,
        "lastJobStatus": run.last_job_status,
        "lastError": run.last_error,
        "lastDeployedAt": run.last_deployed_at,
        "lastActiveAt": run.last_active_at,
        "state": found.state,
        "reason": found.reason,
        "paused": pause is not None,
        "pausedAt": iso(pause.since) if pause else None,
        "pauseReason": pause.sentence if pause else None,
        "revision": brief(found.revision) if found.revision else None,
        "node": node.name if node else None,
        "deployUrl": app_url(node.gateway_base_url if node else "", path),
        "publicUrl": app_url(public_base_url, path),
        "job": _job(found.job) if found.job else None,
        "unconfirmedJobId": found.unconfirmed_job_id,
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "phase": job.phase,
        "phaseMessage": job.phase_message,
        "createdAt": iso(job.created_at),
        "startedAt": iso(job.started_at),
    }


def _number(user_id: str) -> int | str:
    return int(user_id) if user_id.isascii() and user_id.isdigit() else user_id


def _purged(body: AppBody, purged: Purged) -> dict[str, Any]:
    return {
        "appId": body.app_id,
        "userId": _number(body.user_id),
        "deletedJobs": purged.jobs,
        "deletedAppRuns": purged.app_runs,
        "deletedPlacements": purged.placements,
    }


def _cleaned(body: AppBody, cleaned: Cleaned) -> dict[str, Any]:
    return {
        "userId": body.user_id,
        "appId": body.app_id,
        "imageTags": list(cleaned.home.images),
        "registry": _registry(cleaned.images),
        "runtime": _runtime(cleaned),
        "purge": _purged(body, cleaned.purged),
    }


def _registry(images: list[Entry] | None) -> dict[str, Any]:
    """Render what became of the images; repositories themselves stay, empty, as registries have it."""
    entries = images or []
    found: dict[str, Any] = {
        "enabled": images is not None,
        "deleted": [entry.name for entry in entries if entry.action == "remove"],
        "failed": [entry.name for entry in entries if entry.action == "keep"],
        "repoDeleted": [],
        "repoFailed": [],
    }
    why = next((entry.why for entry in entries if entry.action == "keep"), None)
    return found if why is None else {**found, "error": why}


def _runtime(cleaned: Cleaned) -> dict[str, Any]:
    node, answer = cleaned.home.node, cleaned.answer
    if node is None or answer is None:
        return {
            "agentBaseUrl": None,
            "response": None,
            "success": True,
            "skipped": True,
            "reason": "the app is not placed on any node",
        }
    found = {
        "agentBaseUrl": node.agent_base_url,
        "response": answer.response or None,
        "success": answer.success,
    }
    if not answer.success:
        found["error"] = answer.error
        found["reason"] = "Deploy repeats the removal until the node has done it"
    return found
