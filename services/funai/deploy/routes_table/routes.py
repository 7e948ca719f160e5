"""HTTP of the route table, for gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.contract.envelope import envelope
from funai.deploy.access import GATEWAY
from funai.deploy.fields import Model, Seconds, WholeNumber

if TYPE_CHECKING:
    from funai.deploy.routes_table.service import RouteTableService

_MAX_WAIT = 30


class RoutesQuery(Model):
    """What the gateway knows already, and how long it waits for news."""

    since_version: WholeNumber = Field(0, alias="sinceVersion", ge=-1)
    wait_seconds: Seconds = Field(0, alias="waitSeconds", ge=0, le=_MAX_WAIT)


def create_blueprint(routes: RouteTableService) -> APIBlueprint:
    """Return the route that gateways follow."""
    blueprint = APIBlueprint("route_table", __name__, url_prefix="/internal")

    @blueprint.get("/routes", summary="Routes newer than a version", security=GATEWAY)
    def read(query: RoutesQuery) -> dict[str, Any]:
        return envelope(routes.newer(query.since_version, query.wait_seconds))

    return blueprint
