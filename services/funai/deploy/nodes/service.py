"""Use cases on nodes: one method each, one transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from funai.deploy.database import is_duplicate
from funai.deploy.errors import NotFoundError, UnavailableError
from funai.deploy.nodes.model import check_same_urls
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.nodes.token import check_token, hash_of, new_token
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

    def beat(self, beat: Beat, token: str) -> Node:
        """Record an agent's heartbeat; an unknown name becomes a node, enabled.

        What an operator decided (``enabled``, ``weight``, the URLs) stays as it is.

        :param token: what the agent showed
        :raises UnauthorizedError: where that is not the token of this node
        :raises ConflictError: where the node is registered with other URLs
        """
        settings = self._parts.settings
        shared = settings.secrets.node if settings.shared_node_token else None

        def work(connection: Connection) -> Node:
            nodes = self._nodes(connection)
            before = nodes.by_name(beat.name)
            check_token(beat.name, before, token, shared)
            if before is not None:
                check_same_urls(before, beat)
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

    def make_token(self, name: str) -> str:
        """Give the node a token of its own in place of any before; it is shown only now.

        :raises NotFoundError: where there is no such node
        """
        token = new_token()

        def work(connection: Connection) -> None:
            nodes = self._nodes(connection)
            nodes.change(_require(nodes, name).id, token_hash=hash_of(token))

        self._parts.database.run(work)
        return token

    def knows_token(self, shown: str) -> bool:
        """Tell whether some node has that token of its own."""
        return self._parts.database.run(lambda c: self._nodes(c).has_token(hash_of(shown)))

    def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Let a node take apps, or not; what runs on it goes on.

        :raises NotFoundError: where there is no such node
        """

        def work(connection: Connection) -> None:
            nodes = self._nodes(connection)
            nodes.change(_require(nodes, name).id, enabled=int(enabled), draining=0)

        self._parts.database.run(work)
        self._parts.ring_all()

    def _nodes(self, connection: Connection) -> NodeRepository:
        return NodeRepository(connection, self._parts.node_stale)

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


def _require(nodes: NodeRepository, name: str) -> Node:
    known = nodes.by_name(name)
    if known is None:
        msg = f"no runtime node is named {name!r}; see /admin/runtime-nodes/list"
        raise NotFoundError(msg)
    return known
