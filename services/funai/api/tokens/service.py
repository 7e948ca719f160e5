"""Tokens by which programs act for an account: shown once, kept as a hash."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from funai.api.accounts.repository import AccountRepository
from funai.api.errors import ConflictingError, InvalidInputError, UnknownError
from funai.api.sessions.service import hashed
from funai.api.tokens.repository import TokenRepository

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from funai.api.accounts.model import Account
    from funai.deploy.database import Database

#: So that scanners for leaked secrets know one when they see it.
PREFIX = "funai_"
MAX_TOKENS = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")


@dataclass(frozen=True)
class Token:
    """What is known of a token; not the token."""

    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


class TokenService:
    """Makes, finds and removes tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, account: Account, name: str) -> str:
        """Make a token; return it, for the only time.

        :raises InvalidInputError: where the name breaks its rule
        :raises ConflictingError: where the account has one of that name, or too many
        """
        name = name.strip()
        if not _NAME.fullmatch(name):
            rule = "1 to 63 letters, digits, spaces, '.', '_' and '-', beginning with a letter or digit"
            raise InvalidInputError(field="name", rule=rule)
        token = PREFIX + secrets.token_urlsafe(32)

        def write(tokens: TokenRepository) -> None:
            if len(tokens.of(account.id)) >= MAX_TOKENS:
                msg = f"an account has at most {MAX_TOKENS} tokens; remove one first"
                raise ConflictingError(msg)
            tokens.add(hashed(token), account.id, name)

        try:
            self._database.run(lambda c: write(TokenRepository(c)))
        except IntegrityError as exc:
            msg = f"a token named {name} exists already; choose another name"
            raise ConflictingError(msg) from exc
        return token

    def of(self, account: Account) -> list[Token]:
        """Return an account's tokens by name."""
        return self._database.run(
            lambda c: [Token(*row) for row in TokenRepository(c).of(account.id)]
        )

    def remove(self, account: Account, token_id: int) -> None:
        """Remove a token of an account.

        :raises UnknownError: where it has none of that id
        """
        if not self._database.run(lambda c: TokenRepository(c).remove(account.id, token_id)):
            msg = f"token {token_id} does not exist"
            raise UnknownError(msg)

    def account(self, token: str) -> Account | None:
        """Return whose token this is, if the account is enabled."""
        if not token.startswith(PREFIX):
            return None

        def find(connection: Connection) -> Account | None:
            account_id = TokenRepository(connection).use(hashed(token))
            account = AccountRepository(connection).by_id(account_id) if account_id else None
            return account if account and account.enabled else None

        return self._database.run(find)
