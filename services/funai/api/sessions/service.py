"""Sessions of browsers: a random id in a signed cookie, its hash in the database."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from funai.api.accounts.repository import AccountRepository
from funai.api.sessions.repository import SessionRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.api.accounts.model import Account
    from funai.deploy.database import Database

IDLE_SECONDS = 12 * 3600
LONGEST_SECONDS = 7 * 86400
#: A request writes that its session is in use at most so often.
_TOUCH_SECONDS = 60
_ID_BYTES = 32


def hashed(shown: str) -> str:
    """Return what is stored of a random value that somebody shows."""
    return hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest()


class SessionService:
    """Begins, finds and ends sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, account: Account) -> str:
        """Begin a session; return the id that its browser shows."""
        session_id = secrets.token_urlsafe(_ID_BYTES)

        def write(sessions: SessionRepository) -> None:
            sessions.drop_old(IDLE_SECONDS, LONGEST_SECONDS)
            sessions.add(hashed(session_id), account.id)

        self._database.run(lambda c: write(SessionRepository(c)))
        return session_id

    def account(self, session_id: str) -> Account | None:
        """Return whose live session this is, if it is one and the account is enabled."""
        id_hash = hashed(session_id)

        def find(connection: Connection) -> Account | None:
            sessions = SessionRepository(connection)
            found = sessions.account_of(id_hash, IDLE_SECONDS, LONGEST_SECONDS)
            if found is None:
                return None
            account_id, unseen = found
            if unseen >= _TOUCH_SECONDS:
                sessions.touch(id_hash)
            account = AccountRepository(connection).by_id(account_id)
            return account if account and account.enabled else None

        return self._database.run(find)

    def end(self, session_id: str) -> None:
        """End a session."""
        self._database.run(lambda c: SessionRepository(c).end(hashed(session_id)))
