"""The nodes that apps run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli import times, words
from cli.deploy_api import DeployApi

if TYPE_CHECKING:
    from cli.platform import Platform
    from cli.view import View

_COLUMNS = ("node", "health", "heartbeat", "disk free", "apps", "containers", "weight", "agent")


def nodes(platform: Platform, view: View) -> int:
    """Show all nodes."""
    api = DeployApi(platform)
    with view.waiting("asks Deploy for its nodes"):
        found = [{**node, "apps": api.count_on(node["nodeId"])} for node in api.nodes()]
    if view.as_json:
        at = times.iso(view.now)
        view.document({"version": 1, "at": at, "nodes": [_document(node) for node in found]})
        return 0
    if not found:
        view.note("Deploy knows no node yet; one appears when its agent sends its first heartbeat.")
        return 0
    view.table(_COLUMNS, [_row(node, view) for node in found])
    return 0


def _document(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "nodeId": node["nodeId"],
        "name": node["name"],
        "health": node["health"],
        "enabled": node["enabled"],
        "weight": node["weight"],
        "apps": node["apps"],
        "containers": node["containerCount"],
        "diskFreeRatio": None if node["diskFreePct"] is None else node["diskFreePct"] / 100,
        "diskFreeBytes": node["diskFreeBytes"],
        "lastHeartbeatAt": times.iso(times.from_ms(node["lastHeartbeatAtMs"])),
        "agentUrl": node["agentBaseUrl"],
        "gatewayUrl": node["gatewayBaseUrl"],
    }


def _row(node: dict[str, Any], view: View) -> tuple[str | tuple[str, str], ...]:
    ratio = node["diskFreePct"]
    disk = "-" if ratio is None else f"{times.size(node['diskFreeBytes'])}, {ratio:.0f}%"
    containers = node["containerCount"]
    return (
        node["name"],
        words.health(node["health"]),
        view.when(times.from_ms(node["lastHeartbeatAtMs"])),
        disk,
        str(node["apps"]),
        "-" if containers is None else str(containers),
        str(node["weight"]),
        node["agentBaseUrl"],
    )
