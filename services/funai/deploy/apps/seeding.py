"""Learns from nodes which fences they have seen: a database that was restored knows of fewer.

Claims after a restore would otherwise get fences that nodes refuse, or that an old call still shows.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from funai.contract import ids
from funai.deploy.apps.serving import note_serving
from funai.deploy.placements.repository import AppRepository, PlacementRepository
from funai.deploy.routes_table.repository import bump_version

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.apps.agent import AgentClient
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts

_LOG = logging.getLogger(__name__)
_SECONDS = 10.0
#: Apps that are compared with one query.
_CHUNK = 200
_NOT_FOUND = 404
_HIGHEST = 2**53


class Seeder:
    """Asks each node once after Deploy's start, and again after each absence of its database."""

    def __init__(self, parts: Parts, agent: AgentClient) -> None:
        self._parts = parts
        self._agent = agent
        #: Node -> absences that there had been when it was asked.
        self._asked: dict[int, int] = {}

    def learn(self, node: Node) -> None:
        """Ask the node, unless it was asked since the database was away."""
        count = self._parts.absence.count
        if self._asked.get(node.id) == count:
            return
        answer = self._agent.fences(node, seconds=_SECONDS)
        if not answer.success and answer.status != _NOT_FOUND:
            return
        found = _read(answer.response.get("fences"))
        for first in range(0, len(found), _CHUNK):
            self._raise(node, found[first : first + _CHUNK])
        self._asked[node.id] = count

    def _raise(self, node: Node, told: list[dict[str, Any]]) -> None:
        names = [each["appId"] for each in told]
        known = self._parts.database.run(lambda c: AppRepository(c).all_of(names))
        for each in told:
            row = known.get(each["appId"])
            if row is None or row.fence < each["highestFence"]:
                self._parts.database.run(partial(_take, node=node, told=each))


def _take(connection: Connection, node: Node, told: dict[str, Any]) -> None:
    app_id, fence = told["appId"], told["highestFence"]
    if not AppRepository(connection).raise_fence(app_id, fence):
        return
    serving = told.get("serving")
    note_serving(connection, node, app_id, serving, is_ahead=True)
    if isinstance(serving, dict):
        # The newest claim that anybody knows of was on this node, whatever the dump says.
        PlacementRepository(connection).put(app_id, node.id)
        AppRepository(connection).change(app_id, route_node_id=node.id)
        bump_version(connection)
    fields = {"appId": app_id, "fence": fence, "node": node.name}
    _LOG.warning("a node knows later claims than the database", extra={"fields": fields})


def _read(told: object) -> list[dict[str, Any]]:
    """Return what of an answer is of use."""
    found = []
    for each in told if isinstance(told, list) else []:
        if not isinstance(each, dict) or not isinstance(each.get("appId"), str):
            continue
        fence = each.get("highestFence")
        if not isinstance(fence, int) or not 0 < fence < _HIGHEST:
            continue
        try:
            ids.app_id(each["appId"])
        except ids.FieldError:
            continue
        found.append(each)
    return found
