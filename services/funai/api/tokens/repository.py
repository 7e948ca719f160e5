"""SQL of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, text, update

from funai.api import schema
from funai.deploy.schema import NOW

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_TOKEN = schema.token
#: A token's use is noted at most so often, in seconds.
_NOTE_SECONDS = 60


class TokenRepository:
    """Reads and writes tokens in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token_hash: str, account_id: int, name: str) -> None:
        """Add a token."""
        values = {"token_hash": token_hash, "account_id": account_id, "name": name}
        self._connection.execute(insert(_TOKEN).values(**values, create_time=NOW))

    def of(self, account_id: int) -> list[tuple[int, str, datetime, datetime | None]]:
        """Return id, name, time of making and of last use of an account's tokens."""
        columns = (_TOKEN.c.id, _TOKEN.c.name, _TOKEN.c.create_time, _TOKEN.c.last_used_at)
        query = select(*columns).where(_TOKEN.c.account_id == account_id).order_by(_TOKEN.c.name)
        rows = self._connection.execute(query)
        return [(row.id, row.name, row.create_time, row.last_used_at) for row in rows]

    def use(self, token_hash: str) -> int | None:
        """Return whose token it is and note that it is in use."""
        query = select(_TOKEN.c.account_id).where(_TOKEN.c.token_hash == token_hash)
        account_id = self._connection.execute(query).scalar()
        if account_id is None:
            return None
        unused = func.timestampdiff(text("SECOND"), _TOKEN.c.last_used_at, NOW) >= _NOTE_SECONDS
        statement = update(_TOKEN).where(
            _TOKEN.c.token_hash == token_hash, or_(_TOKEN.c.last_used_at.is_(None), unused)
        )
        self._connection.execute(statement.values(last_used_at=NOW))
        return int(account_id)

    def remove(self, account_id: int, token_id: int) -> bool:
        """Remove a token; tell whether it was there."""
        statement = delete(_TOKEN).where(_TOKEN.c.account_id == account_id, _TOKEN.c.id == token_id)
        return self._connection.execute(statement).rowcount > 0

    def remove_all(self, account_id: int) -> None:
        """Remove every token of an account."""
        self._connection.execute(delete(_TOKEN).where(_TOKEN.c.account_id == account_id))
