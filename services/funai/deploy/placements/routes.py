"""HTTP of placements, for operators: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.contract.envelope import envelope
from funai.deploy.access import ADMIN
from funai.deploy.fields import AppId, Model, WholeNumber

if TYPE_CHECKING:
    from funai.deploy.placements.service import PlacementService

_MAX_PAGE = 2000
_MAX_OFFSET = 2**53


class PlacementsQuery(Model):
    """A page of the apps on a node."""

    node_id: WholeNumber = Field(alias="nodeId")
    offset: WholeNumber = Field(0, ge=0, le=_MAX_OFFSET)
    limit: WholeNumber = Field(200, ge=1, le=_MAX_PAGE)


class ReassignBody(Model):
    """Where an app is to go."""

    app_id: AppId = Field(alias="appId")
    target_node_id: WholeNumber = Field(alias="targetNodeId")


class DrainBody(Model):
    """Which node's apps are to go where."""

    source_node_id: WholeNumber = Field(alias="sourceNodeId")
    target_node_id: WholeNumber = Field(alias="targetNodeId")
    limit: WholeNumber = Field(100, ge=1, le=_MAX_PAGE)


def create_blueprint(placements: PlacementService) -> APIBlueprint:
    """Return the routes on placements under ``/admin/runtime-nodes``."""
    blueprint = APIBlueprint("placements", __name__, url_prefix="/admin/runtime-nodes")

    @blueprint.get("/placements", summary="Apps on a node", security=ADMIN)
    def page(query: PlacementsQuery) -> dict[str, Any]:
        total, items = placements.page(query.node_id, query.offset, query.limit)
        found = [
            {"appId": item.app_id, "nodeId": item.node_id, "lastActiveAt": item.last_active_at}
            for item in items
        ]
        return envelope({"nodeId": query.node_id, "total": total, "items": found})

    @blueprint.post("/reassign", summary="Place an app on another node", security=ADMIN)
    def reassign(body: ReassignBody) -> dict[str, Any]:
        placements.reassign(body.app_id, body.target_node_id)
        return envelope("ok")

    @blueprint.post("/drain", summary="Place a node's apps on another node", security=ADMIN)
    def drain(body: DrainBody) -> dict[str, Any]:
        moved = placements.drain(body.source_node_id, body.target_node_id, body.limit)
        return envelope(
            {
                "moved": moved,
                "sourceNodeId": body.source_node_id,
                "targetNodeId": body.target_node_id,
            }
        )

    return blueprint
