"""SQL of sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, text, update

from funai.api import schema
from funai.deploy.schema import NOW

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

_SESSION = schema.session


class SessionRepository:
    """Reads and writes sessions in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, id_hash: str, account_id: int) -> None:
        """Begin a session."""
        values = {"id_hash": id_hash, "account_id": account_id}
        statement = insert(_SESSION).values(**values, create_time=NOW, last_seen_at=NOW)
        self._connection.execute(statement)

    def account_of(self, id_hash: str, idle: int, longest: int) -> tuple[int, int] | None:
        """Return the account of a live session and the seconds since it was last noted.

        :param idle: seconds without a request after which it is over
        :param longest: seconds after which it is over anyway
        """
        unseen = _seconds_since(_SESSION.c.last_seen_at)
        query = select(_SESSION.c.account_id, unseen.label("unseen")).where(
            _SESSION.c.id_hash == id_hash,
            unseen < idle,
            _seconds_since(_SESSION.c.create_time) < longest,
        )
        row = self._connection.execute(query).first()
        return (row.account_id, int(row.unseen)) if row else None

    def touch(self, id_hash: str) -> None:
        """Note that a session is in use."""
        statement = update(_SESSION).where(_SESSION.c.id_hash == id_hash)
        self._connection.execute(statement.values(last_seen_at=NOW))

    def end(self, id_hash: str) -> None:
        """End a session."""
        self._connection.execute(delete(_SESSION).where(_SESSION.c.id_hash == id_hash))

    def end_all(self, account_id: int) -> None:
        """End an account's sessions."""
        self._connection.execute(delete(_SESSION).where(_SESSION.c.account_id == account_id))

    def drop_old(self, idle: int, longest: int) -> None:
        """Remove what is over."""
        old = or_(
            _seconds_since(_SESSION.c.last_seen_at) >= idle,
            _seconds_since(_SESSION.c.create_time) >= longest,
        )
        self._connection.execute(delete(_SESSION).where(old))


def _seconds_since(column: ColumnElement[object]) -> ColumnElement[int]:
    return func.timestampdiff(text("SECOND"), column, NOW)
