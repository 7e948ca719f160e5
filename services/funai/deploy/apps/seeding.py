"""Learns from nodes which fences they have seen: a database that was restored knows of fewer.

Claims after a restore would otherwise get fences that nodes refuse, or that an old call still shows.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

from funai.contract import ids
from funai.deploy.apps.serving import note_serving
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.leftovers import LeftoverRepository
from funai.deploy.placements.repository import AppRepository, PlacementRepository
from funai.deploy.routes_table.repository import bump_version

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.apps.agent import AgentClient
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts
    from funai.deploy.placements.model import AppRow

_LOG = logging.getLogger(__name__)
_SECONDS = 10.0
#: Apps that are compared with one query.
_CHUNK = 200
_NOT_FOUND = 404
_HIGHEST = 2**53


@dataclass(frozen=True)
class Told:
    """What a node said of an app."""

    fence: int
    serving: dict[str, Any] | None


class Seeder:
    """Asks each node once after Deploy's start, and again after each absence of its database."""

    def __init__(self, parts: Parts, agent: AgentClient) -> None:
        self._parts = parts
        self._agent = agent
        #: What each node said last, by app: the fence, and what serves.
        self._told: dict[int, dict[str, Told]] = {}
        #: Nodes that knew more of an app than the database, by app.
        self._ahead: dict[str, set[int]] = {}

    def learn(self, node: Node) -> bool:
        """Ask the node, unless that was done since the database was away.

        :return: whether it has answered, be it that it knows no such request
        """
        if node.id in self._told and self._parts.hearing.is_done(node.id):
            return True
        is_known = self._ask(node)
        if is_known:
            try:
                self._take_in(node)
            except Exception:
                del self._told[node.id]  # It is to be asked again.
                raise
        self._parts.hearing.note(node.id)
        if self._parts.hearing.is_over:
            self._ahead.clear()
            for told in self._told.values():
                told.clear()
        return is_known

    def _take_in(self, node: Node) -> None:
        names = list(self._told[node.id])
        for first in range(0, len(names), _CHUNK):
            self._raise(node, names[first : first + _CHUNK])
        if self._ahead:
            self._follow_all(node)

    def _ask(self, node: Node) -> bool:
        answer = self._agent.fences(node, seconds=_SECONDS)
        self._told.pop(node.id, None)
        if answer.success or answer.status == _NOT_FOUND:
            self._told[node.id] = _read(answer.response.get("fences"))
        return node.id in self._told

    def _follow_all(self, newest: Node) -> None:
        """Compare what all nodes say now, of the apps of which one knew more than the database."""
        stale = self._parts.node_stale
        for node in self._parts.database.run(lambda c: NodeRepository(c, stale).all()):
            if node.id != newest.id and node.id in self._told:
                self._ask(node)
        for app_id in self._ahead:
            self._parts.database.run(partial(self._follow, app_id=app_id))

    def _raise(self, node: Node, app_ids: list[str]) -> None:
        known = self._parts.database.run(lambda c: AppRepository(c).all_of(app_ids))
        for app_id in app_ids:
            fence, row = self._told[node.id][app_id].fence, known.get(app_id)
            if row is None or row.fence < fence:
                self._parts.database.run(partial(_raise_fence, app_id=app_id, fence=fence))
                self._ahead.setdefault(app_id, set()).add(node.id)
                fields = {"appId": app_id, "fence": fence, "node": node.name}
                _LOG.warning(
                    "a node knows later claims than the database", extra={"fields": fields}
                )

    def _follow(self, connection: Connection, app_id: str) -> None:
        """Send the app's requests to the node of its newest known claim, where theirs serves nothing.

        The dump's node may have been left since; but what was deployed to it after the restore stays.
        """
        apps = AppRepository(connection)
        row = apps.lock(app_id)
        serving = [
            (told[app_id].fence, node_id)
            for node_id, told in self._told.items()
            if app_id in told and told[app_id].serving is not None
        ]
        if not serving or self._is_served(connection, row):
            return
        node = NodeRepository(connection, self._parts.node_stale).by_id(max(serving)[1])
        if node is None:
            return
        if row.route_node_id != node.id:
            PlacementRepository(connection).put(app_id, node.id)
            apps.change(app_id, route_node_id=node.id)
            LeftoverRepository(connection).forget_on(app_id, node.id)
            bump_version(connection)
        is_ahead = node.id in self._ahead[app_id]
        found = self._told[node.id][app_id].serving
        note_serving(connection, node, app_id, found, is_ahead=is_ahead)

    def _is_served(self, connection: Connection, row: AppRow) -> bool:
        """Tell whether the app's own node serves it, or may, or is about to."""
        if JobRepository(connection).running_of(row.app_id) is not None:
            return True
        if row.route_node_id is None:
            return False
        told = self._told.get(row.route_node_id)
        if told is None:
            return True
        own = told.get(row.app_id)
        # Where it is ahead itself, it still is to be said what serves.
        is_ahead = row.route_node_id in self._ahead[row.app_id]
        return own is not None and own.serving is not None and not is_ahead


def _raise_fence(connection: Connection, app_id: str, fence: int) -> None:
    AppRepository(connection).raise_fence(app_id, fence)


def is_fence(value: object) -> TypeGuard[int]:
    """Tell whether an agent's value may be a fence."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _HIGHEST


def _read(answer: object) -> dict[str, Told]:
    """Return what of an answer is of use, by app."""
    found = {}
    for each in answer if isinstance(answer, list) else []:
        if not isinstance(each, dict) or not is_fence(each.get("highestFence")):
            continue
        try:
            app_id = ids.app_id(each.get("appId"))
        except ids.FieldError:
            continue
        serving = each.get("serving")
        found[app_id] = Told(each["highestFence"], serving if isinstance(serving, dict) else None)
    return found
