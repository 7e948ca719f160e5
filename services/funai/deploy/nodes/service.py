"""Use cases on nodes: one method each, one transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from funai.deploy.database import is_duplicate
from funai.deploy.errors import NotFoundError, UnavailableError
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.routes_table.repository import bump_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from funai.deploy.nodes.model import Beat, Declaration, Node
    from funai.deploy.parts import Parts

_TRIES = 5


class NodeService:
    """Keeps nodes as operators declare them and agents report them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def list(self) -> list[Node]:
        """Return every node, by id."""
        return self._parts.database.run(lambda connection: self._nodes(connection).all())

    def beat(self, beat: Beat) -> Node:
        """Record an agent's heartbeat; an unknown name becomes a node, enabled.

        What an operator decided (``enabled``, ``weight``) stays as it is.
        """

        def work(connection: Connection) -> Node:
            nodes = self._nodes(connection)
            known = self._known(nodes, beat)
            nodes.beat(known.id, beat)
            self._follow_gateway(connection, known, beat.gateway_base_url)
            return self._again(nodes, known.id)

        found = self._retry_insert(work)
        self._parts.ring_all()
        return found

    def declare(self, declared: Declaration) -> Node:
        """Create a node or bring it to what an operator says; what is unset stays."""

        def work(connection: Connection) -> Node:
            nodes = self._nodes(connection)
            known = self._known(nodes, declared)
            values: dict[str, object] = {
                "agent_base_url": declared.agent_base_url,
                "gateway_base_url": declared.gateway_base_url,
            }
            if declared.weight is not None:
                values["weight"] = declared.weight
            if declared.enabled is not None:
                values |= {"enabled": int(declared.enabled), "draining": 0}
            nodes.change(known.id, **values)
            self._follow_gateway(connection, known, declared.gateway_base_url)
            return self._again(nodes, known.id)

        found = self._retry_insert(work)
        self._parts.ring_all()
        return found

    def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Let a node take apps, or not; what runs on it goes on.

        :raises NotFoundError: where there is no such node
        """

        def work(connection: Connection) -> None:
            nodes = self._nodes(connection)
            known = nodes.by_name(name)
            if known is None:
                msg = f"no runtime node is named {name!r}; see /admin/runtime-nodes/list"
                raise NotFoundError(msg)
            nodes.change(known.id, enabled=int(enabled), draining=0)

        self._parts.database.run(work)
        self._parts.ring_all()

    def _nodes(self, connection: Connection) -> NodeRepository:
        return NodeRepository(connection, self._parts.settings.limits.node_stale)

    def _known(self, nodes: NodeRepository, named: Beat | Declaration) -> Node:
        known = nodes.by_name(named.name)
        if known is None:
            nodes.insert(named)
            known = nodes.by_name(named.name)
        if known is None:
            msg = f"node {named.name!r} went while it was written; try again"
            raise UnavailableError(msg)
        return known

    def _again(self, nodes: NodeRepository, node_id: int) -> Node:
        found = nodes.by_id(node_id)
        if found is None:
            msg = f"node {node_id} went while it was written; try again"
            raise UnavailableError(msg)
        return found

    def _follow_gateway(self, connection: Connection, known: Node, url: str) -> None:
        if known.gateway_base_url != url:
            bump_version(connection)

    def _retry_insert(self, work: Callable[[Connection], Node]) -> Node:
        """Run the work again where another transaction took the name or the id first."""
        for _ in range(_TRIES - 1):
            try:
                return self._parts.database.run(work)
            except DBAPIError as exc:
                if not is_duplicate(exc):
                    raise
        return self._parts.database.run(work)
