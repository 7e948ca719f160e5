"""Application factory of the API entry: the one place where its parts are joined."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, jsonify, redirect, request
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from funai.api import access, docs, preview, proxy
from funai.api.accounts.service import AccountService
from funai.api.apps.service import AppService
from funai.api.deploy_client import DeployClient
from funai.api.errors import ApiError, SignInRequiredError
from funai.api.hooks import routes as hooks
from funai.api.parts import Parts
from funai.api.rest import admin, deploys, v1
from funai.api.sessions.service import IDLE_SECONDS, SessionService
from funai.api.tokens.service import TokenService
from funai.api.web import pages
from funai.api.web.phrases import said_to_caller
from funai.contract.envelope import envelope
from funai.deploy.database import Database, make_engine
from funai.deploy.errors import DeployError, UnavailableError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from sqlalchemy import Engine

    from funai.api.config import Settings

_LOG = logging.getLogger(__name__)
#: Bytes; forms and JSON are small, and pushes of git servers are at most this.
MAX_BODY = 1024 * 1024
_INTERNAL = 500
_QUIET = ("/static/", "/internal/")


class _Cookie(SecureCookieSessionInterface):
    """The session's cookie: secure where the request came by TLS, signed with SHA-256."""

    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        """Tell whether the cookie is for TLS alone."""
        return request.is_secure


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """Build the API entry. Nothing is connected to before the first request.

    :param engine: where connections come from; tests pass their own
    """
    database = Database(engine or make_engine(settings.database, pool_size=settings.threads))
    parts = Parts(
        settings=settings,
        database=database,
        deploy=DeployClient(settings.deploy),
        accounts=AccountService(database),
        sessions=SessionService(database),
        tokens=TokenService(database),
        apps=AppService(database),
    )
    app = Flask("funai.api", static_folder=None)
    app.secret_key = settings.keys.session
    app.session_interface = _Cookie()
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY,
        SESSION_COOKIE_NAME="funai_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=IDLE_SECONDS,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.wsgi_app = proxy.FromEdge(app.wsgi_app)  # type: ignore[method-assign]
    # Before the gatekeeper's rule, so that a refusal is timed and logged too.
    app.before_request(_begin)
    access.Gatekeeper(app, parts)
    _register_routes(app, parts)
    _register_errors(app)
    app.after_request(_note)
    return app


def _register_routes(app: Flask, parts: Parts) -> None:
    app.register_blueprint(preview.create_blueprint(parts))
    for routes in (deploys, v1, admin, hooks):
        app.register_blueprint(routes.create_blueprint(parts))
    app.register_blueprint(docs.create_blueprint(parts.settings.docs_dir))
    pages.register(app, parts)


def _begin() -> None:
    g.began_at = time.monotonic()


def _note(response: Response) -> Response:
    milliseconds = round((time.monotonic() - g.get("began_at", time.monotonic())) * 1000, 1)
    response.headers["Server-Timing"] = f"app;dur={milliseconds}"
    if not request.path.startswith(_QUIET):
        found = access.account_or_none()
        fields: dict[str, Any] = {
            "method": request.method,
            "path": request.path[:200],
            "status": response.status_code,
            "milliseconds": milliseconds,
            "caller": request.remote_addr,
            "account": found.name if found else None,
        }
        _LOG.info("request", extra={"fields": fields})
    return response


def _register_errors(app: Flask) -> None:
    @app.errorhandler(ApiError)
    def refuse(error: ApiError) -> ResponseReturnValue:
        is_page = not _is_for_program()
        if isinstance(error, SignInRequiredError) and is_page and request.method == "GET":
            return redirect(pages.sign_in_url(request.full_path.rstrip("?")))
        return _answer(error.status, str(error), error.retry_after)

    @app.errorhandler(DeployError)
    def unavailable(error: DeployError) -> ResponseReturnValue:
        wait = error.retry_after if isinstance(error, UnavailableError) else None
        return _answer(error.http_status, str(error), wait)

    @app.errorhandler(DBAPIError)
    def database_failed(error: DBAPIError) -> ResponseReturnValue:
        _LOG.error("database error", exc_info=error)
        return _answer(_INTERNAL, "the database refused a statement; see the log of funai-api")

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        return _answer(error.code or _INTERNAL, f"{error.name}. {error.description}")

    @app.errorhandler(500)
    def unexpected(_error: HTTPException) -> ResponseReturnValue:
        return _answer(_INTERNAL, "the API entry failed unexpectedly; see the log of funai-api")


def _is_for_program() -> bool:
    return request.path.startswith(("/api/", "/internal/", "/hooks/"))


def _answer(status: int, message: str, retry_after: int | None = None) -> ResponseReturnValue:
    if _is_for_program():
        response = jsonify(envelope(code=status, message=said_to_caller(message)))
    else:
        response = pages.error_page(status, message)
    response.status_code = status
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
