"""Application factory of the agent's HTTP side."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from typing import TYPE_CHECKING

from flask import Flask, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import HTTPException

from funai.runtime_agent.apps import routes as app_routes
from funai.runtime_agent.errors import AgentError, DiskFullError, UnauthorizedError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from funai.runtime_agent.agent import Agent
    from funai.runtime_agent.config import Settings

TOKEN_HEADER = "X-Runtime-Token"  # noqa: S105 - the header's name
HEALTH_PATH = "/internal/health"
#: An environment of 128 KiB, each byte of it up to six of JSON, and the rest.
LARGEST_BODY_BYTES = 1024 * 1024


def create_app(settings: Settings, agent: Agent) -> Flask:
    """Return the WSGI application over a built agent."""
    app = Flask("funai-runtime-agent", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.register_blueprint(
        app_routes.create_blueprint(agent.apps, agent.pruner, settings.ready_seconds)
    )
    expected = _digest(settings.runtime_token)

    @app.before_request
    def require_token() -> None:
        """Demand the token for every path but health, also for paths that do not exist."""
        if request.path == HEALTH_PATH:
            return
        if not hmac.compare_digest(_digest(request.headers.get(TOKEN_HEADER, "")), expected):
            msg = f"wrong or missing {TOKEN_HEADER}"
            raise UnauthorizedError(msg)

    @app.get(HEALTH_PATH)
    def health() -> ResponseReturnValue:
        return {"ok": True, "node": settings.node_name, "conditions": agent.conditions.as_answer()}

    @app.get("/metrics")
    def metrics() -> ResponseReturnValue:
        return agent.metrics.render(), {"Content-Type": CONTENT_TYPE_LATEST}

    _register_error_handlers(app)
    return app


def _register_error_handlers(app: Flask) -> None:
    @app.errorhandler(AgentError)
    def agent_error(error: AgentError) -> ResponseReturnValue:
        return error.as_answer(), error.status

    @app.errorhandler(sqlite3.OperationalError)
    def state_error(error: sqlite3.OperationalError) -> ResponseReturnValue:
        app.logger.error("the state file cannot be written: %s", error)
        answer = DiskFullError(f"the agent's state file cannot be written: {error}")
        return answer.as_answer(), answer.status

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        reason = error.name.upper().replace(" ", "_")
        return {"detail": error.description, "reason": reason, "evidence": {}}, error.code or 500


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
