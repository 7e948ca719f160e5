"""Deploying, as the platform's earlier API entry had it: the paths that its clients know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint

from funai.api import access
from funai.api.deploys.service import DeployService, Wish
from funai.api.errors import InvalidInputError
from funai.api.rest import asked
from funai.contract.envelope import envelope

if TYPE_CHECKING:
    from funai.api.parts import Parts

_MAX_JOBS = 200
_MAX_APPS = 1000


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the routes under ``/api/fun-ai/deploy``."""
    blueprint = Blueprint("rest_deploys", __name__, url_prefix="/api/fun-ai/deploy")
    deploys = DeployService(parts)

    @blueprint.post("/job/create")
    @access.signed_in
    def create() -> dict[str, Any]:
        return envelope(deploys.create(access.account(), _wish()))

    @blueprint.get("/job/info")
    @access.signed_in
    def info() -> dict[str, Any]:
        job_id = asked.text("jobId")
        if job_id is None:
            raise InvalidInputError(field="jobId", rule="must be given")
        return envelope(deploys.job(access.account(), job_id))

    @blueprint.get("/job/list")
    @access.signed_in
    def newest() -> dict[str, Any]:
        limit = asked.number("limit", 50, 1, _MAX_JOBS)
        return envelope(deploys.jobs(access.account(), limit, asked.text("status")))

    @blueprint.get("/app/list")
    @access.signed_in
    def apps() -> dict[str, Any]:
        account = access.account()
        found, _ = parts.apps.page(
            account,
            owner_id=deploys.owner_for(account, asked.user_id()),
            offset=asked.number("offset", 0, 0, 2**31),
            limit=asked.number("limit", 200, 1, _MAX_APPS),
        )
        return envelope(deploys.show(account, found))

    return blueprint


def _wish() -> Wish:
    """Read a job to create; what the query names wins over what the body does."""
    body = asked.body()
    app_id = asked.text("appId") or body.get("appId")
    if not isinstance(app_id, str | int) or isinstance(app_id, bool):
        raise InvalidInputError(field="appId", rule="must be given, a string or a whole number")
    return Wish(
        app_id=str(app_id),
        user_id=asked.user_id(body.get("userId")),
        conflict=asked.conflict(body),
        payload=body,
        key=asked.key(),
    )
