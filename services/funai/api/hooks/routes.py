"""Where git servers tell of pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from funai.api import access
from funai.api.hooks.model import HookError
from funai.api.hooks.service import HookService
from funai.contract.envelope import envelope

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.api.parts import Parts


def create_blueprint(parts: Parts) -> Blueprint:
    """Return the routes under ``/hooks``."""
    blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")
    hooks = HookService(parts)

    @blueprint.post("/git/<app_id>")
    @access.hook
    def receive(app_id: str) -> ResponseReturnValue:
        outcome = hooks.receive(app_id, request.headers, request.get_data(cache=False))
        job = outcome.job
        shown = {"id": job["id"], "status": job["status"]} if job else None
        return envelope({"job": shown}, message=outcome.sentence)

    @blueprint.errorhandler(HookError)
    def refuse(error: HookError) -> ResponseReturnValue:
        return jsonify(envelope(code=error.http_status, message=str(error))), error.http_status

    return blueprint
