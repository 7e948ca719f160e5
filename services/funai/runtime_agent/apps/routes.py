"""HTTP of the apps: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, request

from funai.runtime_agent.apps.fields import read_deploy, read_target
from funai.runtime_agent.errors import InvalidRequestError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.runtime_agent.apps.service import AppService


def create_blueprint(apps: AppService, ready_seconds: float) -> Blueprint:
    """Return the routes under ``/agent/apps``.

    :param ready_seconds: deadline for readiness where a request names none
    """
    blueprint = Blueprint("apps", __name__, url_prefix="/agent/apps")

    @blueprint.post("/deploy")
    def deploy() -> ResponseReturnValue:
        return apps.deploy(read_deploy(_body(), ready_seconds))

    @blueprint.post("/stop")
    def stop() -> ResponseReturnValue:
        return apps.stop(read_target(_body()))

    @blueprint.post("/delete")
    def delete() -> ResponseReturnValue:
        return apps.delete(read_target(_body()))

    @blueprint.get("/status")
    def status() -> ResponseReturnValue:
        return apps.status(read_target(dict(request.args)))

    return blueprint


def _body() -> object:
    # Callers of an earlier agent do not all name the content type.
    body = request.get_json(force=True, silent=True)
    if body is None:
        msg = "the body is not JSON"
        raise InvalidRequestError(msg, {"field": "body"})
    return body
