"""Application factory of Deploy: the one place where its parts are joined."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, cast

from flask import Response, g, jsonify, request
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from funai.contract.envelope import envelope
from funai.deploy import access, system
from funai.deploy.app_settings import routes as app_settings_routes
from funai.deploy.app_settings.keyring import Keyring
from funai.deploy.app_settings.service import AppSettingsService
from funai.deploy.apps import logs as app_logs
from funai.deploy.apps import routes as app_routes
from funai.deploy.apps.agent import AgentClient
from funai.deploy.apps.closing import Closer
from funai.deploy.apps.leftovers import LeftoverSweeper
from funai.deploy.apps.service import AppService
from funai.deploy.body import JsonRequest
from funai.deploy.database import Database, error_number, make_engine
from funai.deploy.errors import (
    DeployError,
    InvalidRequestError,
    UnauthorizedError,
    UnavailableError,
)
from funai.deploy.job_logs import routes as job_log_routes
from funai.deploy.job_logs.service import JobLogService
from funai.deploy.jobs import routes as job_routes
from funai.deploy.jobs.leases import LeaseService
from funai.deploy.jobs.render import JobRenderer
from funai.deploy.jobs.service import JobService
from funai.deploy.metrics import Metrics
from funai.deploy.nodes import routes as node_routes
from funai.deploy.nodes.absence import MARK_ROUNDS, Absence
from funai.deploy.nodes.hearing import Hearing
from funai.deploy.nodes.service import NodeService
from funai.deploy.notifications import routes as webhook_routes
from funai.deploy.notifications.notices import Notices
from funai.deploy.notifications.sender import Sender
from funai.deploy.notifications.service import WebhookService
from funai.deploy.notifications.webhooks import read_webhooks
from funai.deploy.parts import Parts
from funai.deploy.placements import routes as placement_routes
from funai.deploy.placements.service import PlacementService
from funai.deploy.reaper import Reaper
from funai.deploy.registries.model import read_accounts
from funai.deploy.retention.service import RetentionService
from funai.deploy.revisions import routes as revision_routes
from funai.deploy.revisions.service import RevisionService
from funai.deploy.routes_table import routes as route_table_routes
from funai.deploy.routes_table.service import RouteTableService
from funai.deploy.runners import routes as runner_routes
from funai.deploy.runners.service import RunnerService
from funai.deploy.waiting import Bell

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from pydantic import ValidationError
    from sqlalchemy import Engine

    from funai.deploy.config import Settings

_LOG = logging.getLogger(__name__)
_INFO = Info(
    title="Deploy",
    version="1",
    description="Control plane of the deploy platform. Every answer is `{code, message, data}`.",
)
_OK = 200
_INTERNAL = 500
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Not logged where they went well: they come every few seconds and say nothing new.
_QUIET = frozenset(
    {"/internal/health", "/internal/ready", "/internal/routes", "/metrics", "/deploy/jobs/claim"}
)
_RUNNER_BLUEPRINTS = frozenset({"leases", "job_log_intake"})


@dataclass(frozen=True)
class Deploy:
    """The application and what runs beside it."""

    app: OpenAPI
    reaper: Reaper
    sender: Sender
    closer: Closer
    sweeper: LeftoverSweeper
    parts: Parts


def create_app(settings: Settings, engine: Engine | None = None) -> Deploy:
    """Build Deploy. Nothing is connected to and no thread started before the first request.

    :param engine: where connections come from; tests pass their own
    """
    limits, webhooks = settings.limits, read_webhooks(settings.webhooks.file)
    absence = Absence(limits.node_stale, usual=limits.reaper * MARK_ROUNDS)
    parts = Parts(
        settings=settings,
        database=Database(engine or make_engine(settings.database, pool_size=limits.threads)),
        metrics=Metrics(),
        work_available=Bell(limits.waiting_claims, "claims"),
        routes_changed=Bell(limits.waiting_gateways, "readers of the routes"),
        log_added=Bell(settings.log_followers, "followers of logs", each=True),
        absence=absence,
        hearing=Hearing(absence),
        log_places=threading.BoundedSemaphore(settings.log_followers),
        notices=Notices(webhooks, settings.public_base_url),
    )
    app = OpenAPI(
        "funai.deploy",
        info=_INFO,
        security_schemes=access.SCHEMES,
        validation_error_status=400,
        validation_error_callback=_refuse_fields,
    )
    app.request_class = JsonRequest
    app.json.sort_keys = False  # type: ignore[attr-defined]
    agent = AgentClient(settings.secrets.runtime)
    kept = settings.retention
    retention = RetentionService(
        parts.database, read_accounts(kept.registries_file), kept.kept_revisions
    )
    apps = AppService(parts, agent, retention)
    _register_routes(app, parts, apps)
    app.register_api(webhook_routes.create_blueprint(WebhookService(parts, webhooks)))
    app.register_api(app_logs.create_blueprint(app_logs.AppLogService(parts, agent)))
    _register_guards(app, parts)
    _register_errors(app)
    return Deploy(
        app=app,
        reaper=Reaper(parts),
        sender=Sender(parts, webhooks),
        closer=Closer(parts, agent),
        sweeper=LeftoverSweeper(parts, agent),
        parts=parts,
    )


def _register_routes(app: OpenAPI, parts: Parts, apps: AppService) -> None:
    renderer = JobRenderer(parts.settings.public_base_url)
    runners, nodes, jobs = RunnerService(parts), NodeService(parts), JobService(parts)
    job_logs = JobLogService(parts)
    keyring = Keyring(parts.settings.secrets.settings_keys)
    app_settings = AppSettingsService(parts.database, keyring)
    for blueprint in (
        job_log_routes.create_intake_blueprint(job_logs),
        job_log_routes.create_blueprint(job_logs),
        system.create_blueprint(parts),
        job_routes.create_lease_blueprint(LeaseService(parts, runners), renderer),
        job_routes.create_blueprint(jobs, renderer),
        app_routes.create_blueprint(apps, parts.settings.public_base_url),
        app_settings_routes.create_blueprint(app_settings),
        app_settings_routes.create_intake_blueprint(app_settings),
        revision_routes.create_blueprint(RevisionService(parts, jobs), renderer),
        node_routes.create_heartbeat_blueprint(nodes),
        node_routes.create_admin_blueprint(nodes),
        placement_routes.create_blueprint(PlacementService(parts)),
        runner_routes.create_blueprint(runners),
        route_table_routes.create_blueprint(RouteTableService(parts)),
    ):
        app.register_api(blueprint)


def _register_guards(app: OpenAPI, parts: Parts) -> None:
    gatekeeper = access.Gatekeeper(
        parts.settings.secrets, parts.settings.runners, NodeService(parts).knows_token
    )

    @app.before_request
    def admit() -> None:
        g.began_at = time.monotonic()
        cast("JsonRequest", request).bound()
        gatekeeper.check()

    @app.after_request
    def note(response: Response) -> Response:
        seconds = time.monotonic() - g.get("began_at", time.monotonic())
        route = request.url_rule.rule if request.url_rule else "unknown"
        # Callers may make up methods; each new one would be kept as a series.
        method = request.method if request.method in _METHODS else "other"
        parts.metrics.requests.labels(method, route, response.status_code).inc()
        parts.metrics.seconds.labels(method, route).observe(seconds)
        if response.status_code != _OK or request.path not in _QUIET:
            fields = {
                "method": request.method,
                "path": request.path[:200],
                "status": response.status_code,
                "milliseconds": round(seconds * 1000, 1),
                "caller": request.remote_addr,
            }
            _LOG.info("request", extra={"fields": fields})
        return response


def _register_errors(app: OpenAPI) -> None:
    @app.errorhandler(DeployError)
    def refuse(error: DeployError) -> ResponseReturnValue:
        return _answer(error)

    @app.errorhandler(DBAPIError)
    def database_failed(error: DBAPIError) -> ResponseReturnValue:
        number = error_number(error)
        _LOG.error("database error", exc_info=error, extra={"fields": {"error": number}})
        return _failure(f"the database refused Deploy's statement (error {number}); see its log")

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        code = error.code or _INTERNAL
        text = f"{request.method} {request.path[:200]}: {error.name}. {error.description}"
        headers = [(k, v) for k, v in error.get_headers() if k.lower() != "content-type"]
        return jsonify(envelope(code=code, message=text)), code, headers

    @app.errorhandler(500)
    def unexpected(_error: HTTPException) -> ResponseReturnValue:
        return _failure("Deploy failed unexpectedly; see its log")


def _failure(message: str) -> ResponseReturnValue:
    return jsonify(envelope(code=_INTERNAL, message=message)), _INTERNAL


def _answer(error: DeployError) -> ResponseReturnValue:
    """Render a refusal. Runners read the HTTP status first and would lose the reason behind it."""
    status = error.http_status
    for_runner = request.blueprint in _RUNNER_BLUEPRINTS
    if for_runner and status < _INTERNAL and not isinstance(error, UnauthorizedError):
        status = _OK
    response = jsonify(envelope(code=error.code, message=str(error)))
    response.status_code = status
    if isinstance(error, UnavailableError):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, UnauthorizedError) and for_runner:
        response.headers["WWW-Authenticate"] = 'Basic realm="deploy"'
    return response


def _refuse_fields(error: ValidationError) -> NoReturn:
    """Name the fields that break a rule, at most five."""
    complaints = []
    for found in error.errors(include_url=False, include_input=False)[:5]:
        name = ".".join(str(part) for part in found["loc"])
        text = found["msg"].removeprefix("Value error, ")
        complaints.append(text if text.startswith(name) or not name else f"{name}: {text}")
    raise InvalidRequestError("; ".join(complaints))
