"""Where it is kept which nodes are still to be cleared of an app. The only SQL of these notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, or_, select, text, update
from sqlalchemy.dialects.mysql import insert

from funai.deploy.placements.model import Leftover
from funai.deploy.schema import NOW, app, leftover

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

#: How long an app's old container stays after a move: gateways switch meanwhile and requests end.
LEFTOVER_SECONDS = 10
#: Of the user, where nobody said whose the app was.
_NOBODY = "0"


class LeftoverRepository:
    """Rows of ``fun_ai_deploy_leftover``, one per app and node, in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, app_id: str, node_id: int, user_id: str | None) -> None:
        """Note that the node is to be cleared of the app, whose row this transaction has locked.

        The app's highest fence now tells a later note from this one.
        """
        fence = self._connection.execute(select(app.c.fence).where(app.c.app_id == app_id)).scalar()
        new = {"user_id": user_id or _NOBODY, "fence": fence, "update_time": NOW}
        self._connection.execute(
            insert(leftover)
            .values(app_id=app_id, node_id=node_id, create_time=NOW, **new)
            .on_duplicate_key_update(**new)
        )

    def forget(self, note: Leftover) -> None:
        """Drop this note, and no later one of the same node."""
        self._connection.execute(delete(leftover).where(_is(note)))

    def forget_on(self, app_id: str, node_id: int) -> None:
        """Drop the note about this node, which the app comes back to."""
        here = and_(leftover.c.app_id == app_id, leftover.c.node_id == node_id)
        # Seldom there, and a delete of nothing would lock the place where another may be put.
        if self._connection.execute(select(leftover.c.fence).where(here)).first() is not None:
            self._connection.execute(delete(leftover).where(here))

    def postpone(self, note: Leftover) -> None:
        """Let the node's other leftovers have their turn first."""
        self._connection.execute(update(leftover).where(_is(note)).values(update_time=NOW))

    def nodes(self) -> list[int]:
        """Return the ids of nodes, known ones or not, that are to be cleared of something."""
        node_id = leftover.c.node_id
        return list(
            self._connection.execute(select(node_id).distinct().order_by(node_id)).scalars()
        )

    def of_node(self, node_id: int, limit: int) -> list[Leftover]:
        """Return what is to be removed from the node, what waits longest first.

        Never an app whose requests go to that node, whatever a note says.
        """
        waited = func.date_sub(NOW, text(f"INTERVAL {LEFTOVER_SECONDS} SECOND"))
        rows = self._connection.execute(
            select(leftover.c.app_id, leftover.c.user_id, leftover.c.fence, app.c.fence)
            .join(app, app.c.app_id == leftover.c.app_id)
            .where(leftover.c.node_id == node_id, leftover.c.update_time < waited)
            .where(or_(app.c.route_node_id.is_(None), app.c.route_node_id != node_id))
            .order_by(leftover.c.update_time, leftover.c.app_id)
            .limit(limit)
        )
        return [Leftover(row[0], node_id, row[1], row[2], row[3]) for row in rows]


def _is(note: Leftover) -> ColumnElement[bool]:
    return and_(
        leftover.c.app_id == note.app_id,
        leftover.c.node_id == note.node_id,
        leftover.c.fence == note.noted_fence,
    )
