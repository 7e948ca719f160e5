"""Use cases of operators on placements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.deploy.errors import ConflictError, InvalidRequestError, NotFoundError
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.model import refusal
from funai.deploy.placements.repository import AppRepository, PlacementRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts
    from funai.deploy.placements.model import Placement


class PlacementService:
    """Moves placements; what runs moves with the app's next deploy."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def page(self, node_id: int, offset: int, limit: int) -> tuple[int, list[Placement]]:
        """Return the number of apps on the node, and a page of them by app id.

        :raises NotFoundError: where there is no such node
        """

        def work(connection: Connection) -> tuple[int, list[Placement]]:
            self._node(connection, node_id)
            return PlacementRepository(connection).page(node_id, offset, limit)

        return self._parts.database.run(work)

    def reassign(self, app_id: str, target_id: int) -> None:
        """Place the app on another node.

        :raises NotFoundError: where node or placement are unknown
        :raises ConflictError: where the node takes no app, or the app is being deployed
        """

        def work(connection: Connection) -> None:
            AppRepository(connection).lock(app_id)
            target = self._node(connection, target_id)
            placements = PlacementRepository(connection)
            home = placements.node_of(app_id)
            if home is None:
                msg = f"app {app_id} is not placed on any node; its first deploy places it"
                raise NotFoundError(msg)
            if home == target_id:
                return
            self._check_takes_apps(target)
            self._check_not_running(connection, app_id)
            placements.move(app_id, home, target_id)

        self._parts.database.run(work)
        self._parts.work_available.ring()

    def drain(self, source_id: int, target_id: int, limit: int) -> int:
        """Place up to ``limit`` apps of the source on the target; return how many moved.

        Each app moves in a transaction of its own, so a drain that is cut off can be repeated.
        While some are left, the source takes no new ones.

        :raises NotFoundError: where a node is unknown
        :raises ConflictError: where the target takes no apps
        """
        if source_id == target_id:
            msg = "sourceNodeId and targetNodeId must be two nodes"
            raise InvalidRequestError(msg)

        def begin(connection: Connection) -> list[str]:
            self._node(connection, source_id)
            self._check_takes_apps(self._node(connection, target_id))
            self._nodes(connection).change(source_id, draining=1)
            return PlacementRepository(connection).movable(source_id, limit)

        apps = self._parts.database.run(begin)
        moved = sum(self._move(app_id, source_id, target_id) for app_id in apps)
        self._parts.database.run(lambda connection: self._end_drain(connection, source_id))
        self._parts.work_available.ring()
        return moved

    def _move(self, app_id: str, source_id: int, target_id: int) -> bool:
        def work(connection: Connection) -> bool:
            AppRepository(connection).lock(app_id)
            if JobRepository(connection).running_of(app_id) is not None:
                return False
            return PlacementRepository(connection).move(app_id, source_id, target_id)

        return self._parts.database.run(work)

    def _end_drain(self, connection: Connection, source_id: int) -> None:
        if PlacementRepository(connection).count(source_id) == 0:
            self._nodes(connection).change(source_id, draining=0)

    def _nodes(self, connection: Connection) -> NodeRepository:
        return NodeRepository(connection, self._parts.node_stale)

    def _node(self, connection: Connection, node_id: int) -> Node:
        found = self._nodes(connection).by_id(node_id)
        if found is None:
            msg = f"no runtime node has the id {node_id}; see /admin/runtime-nodes/list"
            raise NotFoundError(msg)
        return found

    def _check_takes_apps(self, target: Node) -> None:
        why_not = refusal(target, new_app=True)
        if why_not is not None:
            msg = f"node {target.name} {why_not}; choose another target"
            raise ConflictError(msg)

    def _check_not_running(self, connection: Connection, app_id: str) -> None:
        running = JobRepository(connection).running_of(app_id)
        if running is not None:
            msg = (
                f"app {app_id} is being deployed by job {running.id};"
                " wait for its end or cancel it, then reassign"
            )
            raise ConflictError(msg)
