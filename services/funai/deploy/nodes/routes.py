"""HTTP of nodes: the agents' heartbeat and the operators' list. Parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.contract.envelope import envelope
from funai.contract.headers import NODE_TOKEN
from funai.deploy.access import ADMIN, NODE
from funai.deploy.fields import Flag, Model, WholeNumber, Word
from funai.deploy.nodes.model import MAX_WEIGHT, Beat, Declaration, check_name, check_url
from funai.deploy.wire import iso, to_ms

if TYPE_CHECKING:
    from funai.deploy.nodes.model import Node
    from funai.deploy.nodes.service import NodeService

_MAX_BYTES = 2**62


class HeartbeatBody(Model):
    """What an agent says of its node; a figure that is zero may be left out."""

    node_name: Word = Field(alias="nodeName")
    agent_base_url: Word = Field(alias="agentBaseUrl")
    gateway_base_url: Word = Field(alias="gatewayBaseUrl")
    disk_free_pct: float | None = Field(None, alias="diskFreePct", ge=0, le=100)
    disk_free_bytes: WholeNumber | None = Field(None, alias="diskFreeBytes", ge=0, le=_MAX_BYTES)
    container_count: WholeNumber | None = Field(None, alias="containerCount", ge=0, le=1_000_000)


class UpsertBody(Model):
    """A node as an operator declares it; what is left out stays."""

    name: Word
    agent_base_url: Word = Field(alias="agentBaseUrl")
    gateway_base_url: Word = Field(alias="gatewayBaseUrl")
    enabled: Flag | None = None
    weight: WholeNumber | None = Field(None, ge=0, le=MAX_WEIGHT)


class SetEnabledQuery(Model):
    """Which node, and whether it takes apps."""

    name: Word
    enabled: Flag


class TokenQuery(Model):
    """Which node gets a token of its own."""

    name: Word


def runtime_node(node: Node | None) -> dict[str, Any] | None:
    """Render a node inside a job; its id is an object."""
    if node is None:
        return None
    return {
        "id": {"value": node.id},
        "name": node.name,
        "agentBaseUrl": node.agent_base_url,
        "gatewayBaseUrl": node.gateway_base_url,
        "enabled": node.enabled,
        "weight": node.weight,
        "lastHeartbeatAt": iso(node.last_heartbeat_at),
        "diskFreePct": node.disk_free_pct,
        "diskFreeBytes": node.disk_free_bytes,
        "containerCount": node.container_count,
    }


def summary(node: Node) -> dict[str, Any]:
    """Render a node for operators."""
    return {
        "nodeId": node.id,
        "name": node.name,
        "agentBaseUrl": node.agent_base_url,
        "gatewayBaseUrl": node.gateway_base_url,
        "enabled": node.enabled,
        "weight": node.weight,
        "lastHeartbeatAt": iso(node.last_heartbeat_at),
        "lastHeartbeatAtMs": to_ms(node.last_heartbeat_at),
        "health": node.health,
        "ownToken": node.token_hash is not None,
        "diskFreePct": node.disk_free_pct,
        "diskFreeBytes": node.disk_free_bytes,
        "containerCount": node.container_count,
    }


def create_heartbeat_blueprint(nodes: NodeService) -> APIBlueprint:
    """Return the route that agents call."""
    blueprint = APIBlueprint("heartbeats", __name__, url_prefix="/internal/runtime-nodes")

    @blueprint.post("/heartbeat", summary="An agent's heartbeat", security=NODE)
    def heartbeat(body: HeartbeatBody) -> dict[str, Any]:
        beat = Beat(
            name=check_name(body.node_name),
            agent_base_url=check_url("agentBaseUrl", body.agent_base_url),
            gateway_base_url=check_url("gatewayBaseUrl", body.gateway_base_url),
            disk_free_pct=body.disk_free_pct,
            disk_free_bytes=body.disk_free_bytes,
            container_count=body.container_count,
        )
        return envelope(runtime_node(nodes.beat(beat, request.headers.get(NODE_TOKEN, ""))))

    return blueprint


def create_admin_blueprint(nodes: NodeService) -> APIBlueprint:
    """Return the operators' routes on nodes."""
    blueprint = APIBlueprint("nodes", __name__, url_prefix="/admin/runtime-nodes")

    @blueprint.get("/list", summary="All nodes", security=ADMIN)
    def list_nodes() -> dict[str, Any]:
        return envelope([summary(node) for node in nodes.list()])

    @blueprint.post("/upsert", summary="Create or change a node", security=ADMIN)
    def upsert(body: UpsertBody) -> dict[str, Any]:
        declared = Declaration(
            name=check_name(body.name),
            agent_base_url=check_url("agentBaseUrl", body.agent_base_url),
            gateway_base_url=check_url("gatewayBaseUrl", body.gateway_base_url),
            enabled=body.enabled,
            weight=body.weight,
        )
        return envelope(summary(nodes.declare(declared)))

    @blueprint.post("/set-enabled", summary="Let a node take apps, or not", security=ADMIN)
    def set_enabled(query: SetEnabledQuery) -> dict[str, Any]:
        nodes.set_enabled(check_name(query.name), enabled=query.enabled)
        return envelope("enabled" if query.enabled else "disabled")

    @blueprint.post("/token", summary="Give a node a token of its own", security=ADMIN)
    def token(query: TokenQuery) -> dict[str, Any]:
        name = check_name(query.name)
        return envelope({"name": name, "nodeToken": nodes.make_token(name)})

    return blueprint
