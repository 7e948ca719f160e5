"""Where runners are kept. The only SQL of this feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, literal_column, select, text
from sqlalchemy.dialects.mysql import insert

from funai.deploy.runners.model import FORGET_DAYS, STALE_SECONDS, Runner
from funai.deploy.schema import NOW, runner

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FRESH = f"last_seen_at > UTC_TIMESTAMP(6) - INTERVAL {STALE_SECONDS} SECOND"


def touch(connection: Connection, runner_id: str) -> None:
    """Note that the runner was here now."""
    connection.execute(
        insert(runner)
        .values(runner_id=runner_id, last_seen_at=NOW)
        .on_duplicate_key_update(last_seen_at=NOW)
    )


def all_runners(connection: Connection) -> list[Runner]:
    """Return every runner, by id."""
    rows = connection.execute(
        select(runner, literal_column(_FRESH).label("fresh")).order_by(runner.c.runner_id)
    )
    return [Runner(row.runner_id, row.last_seen_at, bool(row.fresh)) for row in rows]


def any_fresh(connection: Connection) -> bool:
    """Tell whether any runner was here lately."""
    return (
        connection.execute(select(runner.c.runner_id).where(text(_FRESH)).limit(1)).first()
        is not None
    )


def forget_old(connection: Connection) -> None:
    """Drop runners that were not seen for long."""
    connection.execute(
        delete(runner).where(text(f"last_seen_at < UTC_TIMESTAMP(6) - INTERVAL {FORGET_DAYS} DAY"))
    )
