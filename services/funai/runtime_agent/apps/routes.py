"""HTTP of the apps: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, request

from funai.runtime_agent.apps.fields import read_deploy, read_logs, read_prune, read_target
from funai.runtime_agent.errors import InvalidRequestError
from funai.stream_response import StreamResponse

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.runtime_agent.apps.prune import Pruner
    from funai.runtime_agent.apps.service import AppService


def create_blueprint(apps: AppService, pruner: Pruner, ready_seconds: float) -> Blueprint:
    """Return the routes under ``/agent``.

    :param ready_seconds: deadline for readiness where a request names none
    """
    blueprint = Blueprint("apps", __name__, url_prefix="/agent")

    @blueprint.post("/apps/deploy")
    def deploy() -> ResponseReturnValue:
        return apps.deploy(read_deploy(_body(), ready_seconds))

    @blueprint.post("/apps/close")
    def close() -> ResponseReturnValue:
        return apps.close(read_target(_body()))

    @blueprint.post("/apps/stop")
    def stop() -> ResponseReturnValue:
        return apps.stop(read_target(_body()))

    @blueprint.post("/apps/delete")
    def delete() -> ResponseReturnValue:
        return apps.delete(read_target(_body()))

    @blueprint.post("/prune")
    def prune() -> ResponseReturnValue:
        return pruner.prune(read_prune(_body()))

    _add_reading(blueprint, apps)
    return blueprint


def _add_reading(blueprint: Blueprint, apps: AppService) -> None:
    @blueprint.get("/apps/status")
    def status() -> ResponseReturnValue:
        return apps.status(read_target(dict(request.args)))

    @blueprint.get("/apps/fences")
    def fences() -> ResponseReturnValue:
        return apps.fences()

    @blueprint.get("/apps/logs")
    def logs() -> ResponseReturnValue:
        stream = apps.logs(read_logs(dict(request.args)))
        stream.reader_gone = request.environ.get("waitress.client_disconnected", lambda: False)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return StreamResponse(stream, headers=headers, mimetype="text/plain")


def _body() -> object:
    # Callers of an earlier agent do not all name the content type.
    body = request.get_json(force=True, silent=True)
    if body is None:
        msg = "the body is not JSON"
        raise InvalidRequestError(msg, {"field": "body"})
    return body
