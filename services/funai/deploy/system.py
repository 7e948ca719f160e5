"""Health, readiness and figures of Deploy itself. These routes ask for no proof and hold no data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from funai.contract.envelope import envelope
from funai.deploy.nodes.repository import ping
from funai.deploy.wire import iso

if TYPE_CHECKING:
    from funai.deploy.parts import Parts

SERVICE = "deploy"


def create_blueprint(parts: Parts) -> APIBlueprint:
    """Return the routes on Deploy itself."""
    blueprint = APIBlueprint("system", __name__)

    @blueprint.get("/internal/health", summary="The process answers")
    def health() -> dict[str, Any]:
        now = datetime.now(UTC).replace(tzinfo=None)
        return envelope({"service": SERVICE, "timestamp": iso(now)})

    @blueprint.get("/internal/ready", summary="The process and its database answer")
    def ready() -> dict[str, Any]:
        parts.database.run(ping)
        return envelope({"service": SERVICE, "ready": True})

    @blueprint.get("/metrics", summary="Figures for Prometheus")
    def metrics() -> Response:
        parts.metrics.waiting.labels("claims").set(parts.work_available.waiting)
        parts.metrics.waiting.labels("gateways").set(parts.routes_changed.waiting)
        return Response(parts.metrics.render(), mimetype="text/plain; version=0.0.4")

    return blueprint
