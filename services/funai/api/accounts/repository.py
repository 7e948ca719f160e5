"""SQL of accounts and of failed tries to sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects.mysql import insert as mysql_insert

from funai.api import schema
from funai.api.accounts.model import Account, Role
from funai.deploy.schema import NOW

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_ACCOUNT = schema.account
_FAILURE = schema.sign_in_failure


class AccountRepository:
    """Reads and writes accounts in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Account]:
        """Return every account by name."""
        rows = self._connection.execute(select(_ACCOUNT).order_by(_ACCOUNT.c.name))
        return [_account(row) for row in rows]

    def by_id(self, account_id: int) -> Account | None:
        """Return an account."""
        query = select(_ACCOUNT).where(_ACCOUNT.c.id == account_id)
        row = self._connection.execute(query).first()
        return _account(row) if row else None

    def by_name(self, name: str) -> tuple[Account, str] | None:
        """Return an account and its password's hash."""
        row = self._connection.execute(select(_ACCOUNT).where(_ACCOUNT.c.name == name)).first()
        return (_account(row), row.password_hash) if row else None

    def add(self, name: str, role: Role, password_hash: str, account_id: int | None = None) -> int:
        """Add an account; return its id."""
        values = {"name": name, "role": role.value, "password_hash": password_hash, "enabled": 1}
        if account_id is not None:
            values["id"] = account_id
        statement = insert(_ACCOUNT).values(**values, create_time=NOW, update_time=NOW)
        found = self._connection.execute(statement).inserted_primary_key
        return int(found[0]) if found else 0

    def change(self, account_id: int, **values: str | int | None) -> None:
        """Set columns of an account."""
        statement = update(_ACCOUNT).where(_ACCOUNT.c.id == account_id)
        self._connection.execute(statement.values(**values, update_time=NOW))

    def failures(self, subjects: list[str], window: int) -> dict[str, tuple[int, int]]:
        """Return, of each subject with failures within ``window`` seconds, count and seconds left."""
        age = func.timestampdiff(text("SECOND"), _FAILURE.c.first_at, NOW)
        query = select(_FAILURE.c.subject, _FAILURE.c.failures, age.label("age")).where(
            _FAILURE.c.subject.in_(subjects), age < window
        )
        rows = self._connection.execute(query)
        return {row.subject: (row.failures, window - int(row.age)) for row in rows}

    def note_failure(self, subject: str, window: int) -> None:
        """Count a try as failed; the count begins anew after ``window`` seconds.

        The subject is locked until the transaction ends, so that who reads the count then reads its own.
        """
        fresh = func.timestampdiff(text("SECOND"), _FAILURE.c.first_at, NOW) < window
        statement = mysql_insert(_FAILURE).values(subject=subject, failures=1, first_at=NOW)
        self._connection.execute(
            statement.on_duplicate_key_update(
                [
                    ("failures", func.if_(fresh, _FAILURE.c.failures + 1, 1)),
                    ("first_at", func.if_(fresh, _FAILURE.c.first_at, NOW)),
                ]
            )
        )

    def take_back_failure(self, subject: str) -> None:
        """Count one failed try less."""
        statement = update(_FAILURE).where(_FAILURE.c.subject == subject, _FAILURE.c.failures > 0)
        self._connection.execute(statement.values(failures=_FAILURE.c.failures - 1))

    def forget_failures(self, subject: str, window: int) -> None:
        """Drop a subject's failures, and everybody's that are older than ``window`` seconds."""
        old = func.timestampdiff(text("SECOND"), _FAILURE.c.first_at, NOW) >= window
        self._connection.execute(delete(_FAILURE).where((_FAILURE.c.subject == subject) | old))


def _account(row: Row[tuple[object, ...]]) -> Account:
    return Account(row.id, row.name, Role(row.role), bool(row.enabled), row.language)
