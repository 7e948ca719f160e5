"""The administration of nodes, as the admin page calls it: every call goes on to Deploy as it came.

So do the answers, but for the page of ours, which asks for refusals in its reader's language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from funai.api import access
from funai.api.web.phrases import said_to_caller
from funai.contract.envelope import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

    from funai.api.parts import Parts

_NODES = "/admin/runtime-nodes"
#: Our paths and Deploy's. The page's runners and health are known below either prefix.
_PATHS = {
    **{
        f"/deploy-nodes/{name}": f"{_NODES}/{name}"
        for name in ("list", "upsert", "set-enabled", "placements", "reassign", "drain")
    },
    "/deploy-nodes/runners/list": "/admin/runners/list",
    "/deploy-nodes/health": "/internal/health",
    "/runners/list": "/admin/runners/list",
    "/health": "/internal/health",
}


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the routes under ``/api/fun-ai/admin``."""
    blueprint = Blueprint("rest_admin", __name__, url_prefix="/api/fun-ai/admin")
    for ours, theirs in _PATHS.items():
        blueprint.add_url_rule(
            ours,
            endpoint=ours.strip("/").replace("/", "_"),
            view_func=_forwarding(parts, theirs),
            methods=["GET", "POST"],
        )
    return blueprint


def _forwarding(parts: Parts, path: str) -> Callable[[], Response]:
    @access.admins
    def forward() -> Response:
        found = parts.deploy.forward(
            request.method, path, query=request.query_string, body=request.get_data(cache=False)
        )
        answer = found.envelope
        if answer["code"] != SUCCESS:
            answer = {**answer, "message": said_to_caller(answer["message"])}
        response = jsonify(answer)
        response.status_code = found.status
        if found.retry_after is not None:
            response.headers["Retry-After"] = found.retry_after
        return response

    return forward
