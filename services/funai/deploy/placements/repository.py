"""Where placements are kept. The only SQL of this feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, true, update
from sqlalchemy.dialects.mysql import insert as mysql_insert

from funai.deploy.placements.model import AppRow, Pause, Placement
from funai.deploy.schema import NOW, NOW_MS, app, job, placement

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Row


class PlacementRepository:
    """Rows of ``fun_ai_deploy_runtime_placement`` in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def node_of(self, app_id: str) -> int | None:
        """Return the id of the node that the app is placed on, or None."""
        return self._connection.execute(
            select(placement.c.node_id).where(placement.c.app_id == app_id)
        ).scalar()

    def load(self) -> dict[int, int]:
        """Return how many apps are placed on each node, by node id."""
        rows = self._connection.execute(
            select(placement.c.node_id, func.count()).group_by(placement.c.node_id)
        )
        return {row[0]: row[1] for row in rows}

    def put(self, app_id: str, node_id: int) -> None:
        """Place the app, wherever it was, and note that it was active now."""
        self._connection.execute(
            mysql_insert(placement)
            .values(
                app_id=app_id,
                node_id=node_id,
                last_active_at=NOW_MS,
                create_time=NOW,
                update_time=NOW,
            )
            .on_duplicate_key_update(node_id=node_id, last_active_at=NOW_MS, update_time=NOW)
        )

    def move(self, app_id: str, source_id: int, target_id: int) -> bool:
        """Place the app on the target if it is still on the source; tell whether it was."""
        moved = self._connection.execute(
            update(placement)
            .where(placement.c.app_id == app_id, placement.c.node_id == source_id)
            .values(node_id=target_id, update_time=NOW)
        )
        return moved.rowcount == 1

    def delete(self, app_id: str) -> int:
        """Forget where the app runs; return how many rows went."""
        return self._connection.execute(
            delete(placement).where(placement.c.app_id == app_id)
        ).rowcount

    def page(self, node_id: int, offset: int, limit: int) -> tuple[int, list[Placement]]:
        """Return the number of apps on the node, and a page of them by app id."""
        on_node = placement.c.node_id == node_id
        total = self._connection.execute(
            select(func.count()).select_from(placement).where(on_node)
        ).scalar_one()
        rows = self._connection.execute(
            select(placement)
            .where(on_node)
            .order_by(placement.c.app_id)
            .offset(offset)
            .limit(limit)
        )
        items = [Placement(row.app_id, row.node_id, row.last_active_at) for row in rows]
        return int(total), items

    def movable(self, node_id: int, limit: int) -> list[str]:
        """Return apps on the node that are not being deployed now, by app id."""
        running = select(job.c.id).where(
            job.c.app_id == placement.c.app_id, job.c.status == "RUNNING"
        )
        rows = self._connection.execute(
            select(placement.c.app_id)
            .where(placement.c.node_id == node_id, ~running.exists())
            .order_by(placement.c.app_id)
            .limit(limit)
        )
        return [row.app_id for row in rows]

    def count(self, node_id: int) -> int:
        """Return the number of apps on the node."""
        return int(
            self._connection.execute(
                select(func.count()).select_from(placement).where(placement.c.node_id == node_id)
            ).scalar_one()
        )


class AppRepository:
    """Rows of ``fun_ai_deploy_app``: an app's lock, order, fence and route."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, app_id: str) -> AppRow:
        """Lock the app's row, made where it is missing. The first lock that a transaction takes."""
        found = self._locked(app_id)
        if found is None:
            self._connection.execute(
                mysql_insert(app)
                .values(app_id=app_id, deploy_seq=0, fence=0, create_time=NOW, update_time=NOW)
                .on_duplicate_key_update(update_time=NOW)
            )
            # Another transaction may have made and used it in between.
            found = self._locked(app_id)
        return found or AppRow(app_id)

    def change(self, app_id: str, **values: int | str | None) -> None:
        """Set columns of the row, which this transaction has locked."""
        self._connection.execute(
            update(app).where(app.c.app_id == app_id).values(update_time=NOW, **values)
        )

    def raise_fence(self, app_id: str, fence: int) -> bool:
        """Let no claim get a fence up to this one; tell whether one might have. Locks the row."""
        if self.lock(app_id).fence >= fence:
            return False
        self.change(app_id, fence=fence)
        return True

    def settle(self, app_id: str, fence: int | None = None) -> None:
        """Note that nothing unconfirmed serves, as the node knows of this fence; None: of any."""
        self.change(app_id, unconfirmed_job_id=None)
        self._forget_closing(app_id, true() if fence is None else app.c.closing_fence <= fence)

    def postpone_closing(self, app_id: str, fence: int) -> None:
        """Let the node be told of other ends first."""
        self._connection.execute(
            update(app)
            .where(app.c.app_id == app_id, app.c.closing_fence == fence)
            .values(update_time=NOW)
        )

    def forget_closing(self, app_id: str, fence: int) -> bool:
        """Drop the note that the node is to be told of this end, and no later one; tell whether it was there."""
        return self._forget_closing(app_id, app.c.closing_fence == fence)

    def _forget_closing(self, app_id: str, which: ColumnElement[bool]) -> bool:
        forgotten = self._connection.execute(
            update(app)
            .where(app.c.app_id == app_id, which)
            .values(closing_job_id=None, closing_node_id=None, closing_fence=None, update_time=NOW)
        )
        return forgotten.rowcount == 1

    def pause(self, app_id: str, reason: str) -> bool:
        """Pause the app from now on; one that is paused stays as it is. Tell whether it was not."""
        paused = self._connection.execute(
            update(app)
            .where(app.c.app_id == app_id, app.c.paused_at.is_(None))
            .values(paused_at=NOW, pause_reason=reason, update_time=NOW)
        )
        return paused.rowcount == 1

    def resume(self, app_id: str) -> bool:
        """End the app's pause and its count; tell whether it was paused."""
        ended = self._connection.execute(
            update(app)
            .where(app.c.app_id == app_id, app.c.paused_at.is_not(None))
            .values(paused_at=None, pause_reason=None, crashes=0, update_time=NOW)
        )
        return ended.rowcount == 1

    def node_of(self, app_id: str) -> int | None:
        """Return the id of the node that the app's requests go to, else of the one it is placed on.

        They differ from a move until the first deploy after it, or for good where none succeeds.
        """
        routed = self.get(app_id).route_node_id
        return PlacementRepository(self._connection).node_of(app_id) if routed is None else routed

    def get(self, app_id: str) -> AppRow:
        """Return the app's row without locking it; zeros where there is none."""
        row = self._connection.execute(select(app).where(app.c.app_id == app_id)).first()
        return AppRow(app_id) if row is None else _app_row(row)

    def all_of(self, app_ids: Collection[str]) -> dict[str, AppRow]:
        """Return the rows that there are, without locking them, by app id."""
        rows = self._connection.execute(select(app).where(app.c.app_id.in_(app_ids)))
        return {row.app_id: _app_row(row) for row in rows}

    def _locked(self, app_id: str) -> AppRow | None:
        row = self._connection.execute(
            select(app).where(app.c.app_id == app_id).with_for_update()
        ).first()
        return None if row is None else _app_row(row)


def _app_row(row: Row[Any]) -> AppRow:
    return AppRow(
        app_id=row.app_id,
        deploy_seq=row.deploy_seq,
        fence=row.fence,
        route_node_id=row.route_node_id,
        crashes=row.crashes,
        pause=None
        if row.paused_at is None
        else Pause(row.app_id, row.paused_at, row.pause_reason or "by an operator"),
        unconfirmed_job_id=row.unconfirmed_job_id,
    )
