"""HTTP of runners, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_openapi3.blueprint import APIBlueprint

from funai.contract.envelope import envelope
from funai.contract.status import NodeHealth
from funai.deploy.access import ADMIN
from funai.deploy.wire import to_ms

if TYPE_CHECKING:
    from funai.deploy.runners.service import RunnerService


def create_blueprint(runners: RunnerService) -> APIBlueprint:
    """Return the routes under ``/admin/runners``."""
    blueprint = APIBlueprint("runners", __name__, url_prefix="/admin/runners")

    @blueprint.get("/list", summary="All runners", security=ADMIN)
    def list_runners() -> dict[str, Any]:
        return envelope(
            [
                {
                    "runnerId": runner.runner_id,
                    "lastSeenAtMs": to_ms(runner.last_seen_at),
                    "health": NodeHealth.HEALTHY if runner.fresh else NodeHealth.STALE,
                }
                for runner in runners.list()
            ]
        )

    return blueprint
