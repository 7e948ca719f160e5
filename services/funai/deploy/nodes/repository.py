"""Where nodes are kept. The only SQL of this feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, insert, literal_column, select, text, update

from funai.deploy.nodes.model import DEFAULT_WEIGHT, Node
from funai.deploy.schema import NOW, node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Label, RowMapping, Select

    from funai.deploy.nodes.model import Beat, Declaration

#: Ids stay exact in every JSON reader.
_HIGHEST_ID = 2**53 - 1
PREFIX = "at_node_"
#: Beats in a row that a node which was stale must send before it takes apps again.
BEATS_TO_RETURN = 2


def columns(stale_seconds: int) -> Sequence[Label[Any]]:
    """Return a node's columns with a prefix, for queries that join it to something else."""
    fresh: ColumnElement[Any] = literal_column(
        f"COALESCE({_is_recent(stale_seconds)} AND {node.name}.good_beats >= {BEATS_TO_RETURN}, 0)"
    )
    return [
        *(column.label(PREFIX + column.name) for column in node.c),
        fresh.label(PREFIX + "fresh"),
    ]


def _is_recent(stale_seconds: int) -> str:
    """Return the condition that the last heartbeat is not older than that."""
    age = f"INTERVAL {int(stale_seconds)} SECOND"
    return f"{node.name}.last_heartbeat_at > UTC_TIMESTAMP(6) - {age}"


def read(row: RowMapping) -> Node | None:
    """Return the node of a row that has :func:`columns`; None where the join found none."""
    if row["at_node_id"] is None:
        return None
    return Node(
        id=row["at_node_id"],
        name=row["at_node_name"],
        agent_base_url=row["at_node_agent_base_url"] or "",
        gateway_base_url=row["at_node_gateway_base_url"] or "",
        enabled=bool(row["at_node_enabled"]),
        weight=DEFAULT_WEIGHT if row["at_node_weight"] is None else row["at_node_weight"],
        draining=bool(row["at_node_draining"]),
        fresh=bool(row["at_node_fresh"]),
        last_heartbeat_at=row["at_node_last_heartbeat_at"],
        disk_free_pct=row["at_node_disk_free_pct"],
        disk_free_bytes=row["at_node_disk_free_bytes"],
        container_count=row["at_node_container_count"],
        token_hash=row["at_node_token_hash"],
        told_stale=bool(row["at_node_told_stale"]),
    )


class NodeRepository:
    """Rows of ``fun_ai_deploy_runtime_node`` in one transaction.

    :param stale_seconds: age of the last heartbeat beyond which a node is not fresh
    """

    def __init__(self, connection: Connection, stale_seconds: int) -> None:
        self._connection = connection
        self._stale_seconds = stale_seconds

    def all(self) -> list[Node]:
        """Return every node, by id."""
        return self._read(self._select().order_by(node.c.id))

    def by_id(self, node_id: int) -> Node | None:
        """Return the node, or None."""
        return next(iter(self._read(self._select().where(node.c.id == node_id))), None)

    def by_name(self, name: str) -> Node | None:
        """Return the node, or None."""
        return next(iter(self._read(self._select().where(node.c.name == name))), None)

    def insert(self, declared: Declaration | Beat) -> None:
        """Add a node, enabled, with the next free id.

        :raises DBAPIError: duplicate key, where another transaction was first
        """
        newest = select(func.coalesce(func.max(node.c.id), 0)).where(node.c.id < _HIGHEST_ID)
        next_id = int(self._connection.execute(newest).scalar_one()) + 1
        self._connection.execute(
            insert(node).values(
                id=next_id,
                name=declared.name,
                agent_base_url=declared.agent_base_url,
                gateway_base_url=declared.gateway_base_url,
                enabled=1,
                weight=DEFAULT_WEIGHT,
                draining=0,
                create_time=NOW,
                update_time=NOW,
            )
        )

    def change(self, node_id: int, **values: Any) -> None:  # noqa: ANN401 - columns of all types
        """Set columns of a node."""
        self._connection.execute(
            update(node).where(node.c.id == node_id).values(update_time=NOW, **values)
        )

    def beat(self, node_id: int, beat: Beat) -> None:
        """Record a heartbeat, by the database's clock."""
        is_recent = text(_is_recent(self._stale_seconds))
        good_beats = case(
            (node.c.last_heartbeat_at.is_(None), BEATS_TO_RETURN),
            (is_recent, func.least(node.c.good_beats + 1, BEATS_TO_RETURN)),
            else_=1,
        )
        urls = {
            "agent_base_url": beat.agent_base_url,
            "gateway_base_url": beat.gateway_base_url,
        }
        # MySQL sets columns from left to right: the count looks at the beat before this one.
        self._connection.execute(
            update(node)
            .where(node.c.id == node_id)
            .ordered_values(
                (node.c.good_beats, good_beats),
                (node.c.last_heartbeat_at, NOW),
                (node.c.update_time, NOW),
                *((node.c[name], _kept(node.c[name], url)) for name, url in urls.items()),
                *((node.c[name], value) for name, value in beat.figures().items()),
            )
        )

    def note_told(self, node_id: int, *, stale: bool) -> bool:
        """Note what webhooks are told of the node; tell whether they were told otherwise before."""
        noted = self._connection.execute(
            update(node)
            .where(node.c.id == node_id, node.c.told_stale == int(not stale))
            .values(told_stale=int(stale))
        )
        return noted.rowcount == 1

    def has_token(self, token_hash: str) -> bool:
        """Tell whether some node has that token of its own."""
        found = select(node.c.id).where(node.c.token_hash == token_hash).limit(1)
        return self._connection.execute(found).first() is not None

    def _select(self) -> Select[Any]:
        return select(*columns(self._stale_seconds))

    def _read(self, query: Select[Any]) -> list[Node]:
        rows = self._connection.execute(query).mappings()
        return [found for row in rows if (found := read(row)) is not None]


def _kept(column: Column[Any], url: str) -> ColumnElement[Any]:
    """Return what stands in the column, also what an operator wrote since the beat was checked."""
    return case((func.coalesce(column, "") == "", url), else_=column)


def ping(connection: Connection) -> None:
    """Ask the database for an answer that touches one of Deploy's tables."""
    connection.execute(text(f"SELECT 1 FROM {node.name} LIMIT 1"))  # noqa: S608 - a constant
