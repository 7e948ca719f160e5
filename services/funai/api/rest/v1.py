"""The API for programs: an account's apps and what is deployed of them.

Thin over Deploy: whose an app is, is checked here; every rule and every sentence about it is Deploy's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify

from funai.api import access
from funai.api.deploy_client import part
from funai.api.deploys.service import DeployService, Wish
from funai.api.errors import InvalidInputError
from funai.api.hooks.service import HookService
from funai.api.rest import asked, describe
from funai.contract.envelope import envelope

if TYPE_CHECKING:
    from flask import Response

    from funai.api.parts import Parts

PREFIX = "/api/v1"
_MAX_LIST = 200
_MAX_LINES = 1000


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the routes under ``/api/v1``."""
    blueprint = Blueprint("rest_v1", __name__, url_prefix=PREFIX)
    deploys = DeployService(parts)
    _add_account(blueprint)
    _add_apps(blueprint, parts, deploys)
    _add_deploys(blueprint, parts, deploys)
    _add_revisions(blueprint, parts, deploys)
    _add_settings(blueprint, parts)
    _add_hook(blueprint, parts)
    return blueprint


def _add_account(blueprint: Blueprint) -> None:
    @blueprint.get("/me")
    @access.signed_in
    def me() -> dict[str, Any]:
        """Whose token this is."""
        found = access.account()
        return envelope({"userId": found.id, "name": found.name, "role": found.role})

    @blueprint.get("/openapi.json")
    @access.public
    def document() -> Response:
        """Describe this API."""
        return jsonify(describe.document(PREFIX))


def _add_apps(blueprint: Blueprint, parts: Parts, deploys: DeployService) -> None:
    @blueprint.get("/apps")
    @access.signed_in
    def apps() -> dict[str, Any]:
        """List apps by id: {total, items}."""
        account = access.account()
        found, total = parts.apps.page(
            account,
            owner_id=deploys.owner_for(account, asked.user_id()),
            search=asked.text("search") or "",
            offset=asked.number("offset", 0, 0, 2**31),
            limit=asked.number("limit", 50, 1, _MAX_LIST),
        )
        return envelope({"total": total, "items": deploys.show(account, found)})

    @blueprint.post("/apps")
    @access.signed_in
    def create_app() -> dict[str, Any]:
        """Create an app: appId, name."""
        account, body = access.account(), asked.body()
        owner = deploys.owner_for(account, asked.user_id(body.get("userId"))) or account.id
        app_id, name = str(body.get("appId", "")), str(body.get("name") or "")
        return envelope(deploys.show(account, [deploys.register(account, owner, app_id, name)])[0])

    @blueprint.get("/apps/<app_id>")
    @access.signed_in
    def app(app_id: str) -> dict[str, Any]:
        """Show an app: what runs of it, and why."""
        account = access.account()
        return envelope(deploys.show(account, [parts.apps.get(account, app_id)])[0])

    @blueprint.delete("/apps/<app_id>")
    @access.signed_in
    def delete_app(app_id: str) -> dict[str, Any]:
        """Remove an app with its container, images, history and settings."""
        deploys.remove(access.account(), app_id)
        return envelope({"appId": app_id})

    @blueprint.post("/apps/<app_id>/stop")
    @access.signed_in
    def stop(app_id: str) -> dict[str, Any]:
        """Stop an app until it is deployed again."""
        deploys.stop(access.account(), app_id)
        return envelope({"appId": app_id})

    @blueprint.post("/apps/<app_id>/resume")
    @access.signed_in
    def resume(app_id: str) -> dict[str, Any]:
        """Let a paused app take jobs again."""
        return envelope({"appId": app_id, "resumed": deploys.resume(access.account(), app_id)})


def _add_deploys(blueprint: Blueprint, parts: Parts, deploys: DeployService) -> None:
    @blueprint.post("/apps/<app_id>/deploys")
    @access.signed_in
    def create(app_id: str) -> dict[str, Any]:
        """Deploy an app: payload as in the contract; without a source, from where it came last."""
        body = asked.body()
        wish = Wish(app_id, conflict=asked.conflict(body), payload=body, key=asked.key())
        return envelope(deploys.create(access.account(), wish))

    @blueprint.get("/apps/<app_id>/deploys")
    @access.signed_in
    def of_app(app_id: str) -> dict[str, Any]:
        """List an app's jobs, newest first."""
        limit = asked.number("limit", 50, 1, _MAX_LIST)
        return envelope(deploys.jobs_of(access.account(), app_id, limit))

    @blueprint.get("/deploys")
    @access.signed_in
    def newest() -> dict[str, Any]:
        """List jobs, newest first; status: words with commas between them."""
        limit = asked.number("limit", 50, 1, _MAX_LIST)
        return envelope(deploys.jobs(access.account(), limit, asked.text("status")))

    @blueprint.get("/deploys/<job_id>")
    @access.signed_in
    def show(job_id: str) -> dict[str, Any]:
        """Show a job."""
        return envelope(deploys.job(access.account(), job_id))

    @blueprint.post("/deploys/<job_id>/cancel")
    @access.signed_in
    def cancel(job_id: str) -> dict[str, Any]:
        """Cancel a job: reason."""
        reason = asked.body().get("reason")
        return envelope(deploys.cancel(access.account(), job_id, str(reason) if reason else None))

    @blueprint.get("/deploys/<job_id>/log")
    @access.signed_in
    def log(job_id: str) -> dict[str, Any]:
        """Read lines of a job's log, from offset on; next says where to go on."""
        job = deploys.job(access.account(), job_id)
        offset = asked.number("offset", 0, 0, 2**53)
        limit = asked.number("limit", _MAX_LINES, 1, _MAX_LINES)
        path = f"/deploy/jobs/{part(job['id'])}/logs"
        return envelope(parts.deploy.get(path, offset=offset, limit=limit))

    @blueprint.get("/deploys/<job_id>/events")
    @access.signed_in
    def events(job_id: str) -> dict[str, Any]:
        """List what happened to a job, oldest first."""
        job = deploys.job(access.account(), job_id)
        return envelope(parts.deploy.get(f"/deploy/jobs/{part(job['id'])}/events"))


def _add_revisions(blueprint: Blueprint, parts: Parts, deploys: DeployService) -> None:
    @blueprint.get("/apps/<app_id>/revisions")
    @access.signed_in
    def revisions(app_id: str) -> dict[str, Any]:
        """List an app's revisions, newest first."""
        app = parts.apps.get(access.account(), app_id)
        limit = asked.number("limit", 50, 1, _MAX_LIST)
        return envelope(parts.deploy.get(f"/deploy/apps/{part(app.app_id)}/revisions", limit=limit))

    @blueprint.post("/apps/<app_id>/rollback")
    @access.signed_in
    def roll_back(app_id: str) -> dict[str, Any]:
        """Go back to a revision, or to the one before: revision, reason."""
        body = asked.body()
        wish = Wish(app_id, conflict=asked.conflict(body), payload=body, key=asked.key())
        return envelope(deploys.roll_back(access.account(), app_id, wish))


def _add_settings(blueprint: Blueprint, parts: Parts) -> None:
    @blueprint.get("/apps/<app_id>/settings")
    @access.signed_in
    def settings(app_id: str) -> dict[str, Any]:
        """Show an app's settings; values of secrets are null."""
        app = parts.apps.get(access.account(), app_id)
        return envelope(parts.deploy.get(f"/deploy/apps/{part(app.app_id)}/settings"))

    @blueprint.put("/apps/<app_id>/settings")
    @access.signed_in
    def change_settings(app_id: str) -> dict[str, Any]:
        """Change an app's settings: the members that are there."""
        app = parts.apps.get(access.account(), app_id)
        path = f"/deploy/apps/{part(app.app_id)}/settings"
        return envelope(parts.deploy.put(path, asked.body()))


def _add_hook(blueprint: Blueprint, parts: Parts) -> None:
    hooks = HookService(parts)

    @blueprint.put("/apps/<app_id>/hook")
    @access.signed_in
    def enable_hook(app_id: str) -> dict[str, Any]:
        """Let pushes to a branch deploy the app: branch. Shows the new secret, once."""
        branch = asked.body().get("branch")
        if not isinstance(branch, str):
            raise InvalidInputError(field="branch", rule="must be the name of a branch")
        app = parts.apps.get(access.account(), app_id)
        secret = hooks.enable(app, branch)
        path = f"/hooks/git/{app.app_id}"
        url = f"{parts.settings.console_url}{path}"
        return envelope({"appId": app.app_id, "branch": branch, "url": url, "secret": secret})

    @blueprint.delete("/apps/<app_id>/hook")
    @access.signed_in
    def disable_hook(app_id: str) -> dict[str, Any]:
        """Let no push deploy the app any more."""
        hooks.disable(parts.apps.get(access.account(), app_id))
        return envelope({"appId": app_id})
