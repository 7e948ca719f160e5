"""Signing in, and the operators' work on accounts. One method, one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from funai.api.accounts import model
from funai.api.accounts.repository import AccountRepository
from funai.api.errors import (
    ConflictingError,
    InvalidInputError,
    SignInRequiredError,
    TooManyError,
    UnknownError,
)
from funai.api.sessions.repository import SessionRepository

if TYPE_CHECKING:
    from funai.api.accounts.model import Account, Role
    from funai.deploy.database import Database

#: Tries within the window, for one name and from one address.
MAX_PER_NAME = 10
MAX_PER_ADDRESS = 50
WINDOW_SECONDS = 900


class AccountService:
    """Accounts.

    :param database: of the API entry
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def sign_in(self, name: str, password: str, address: str) -> Account:
        """Return the account whose name and password these are.

        :param address: where the try comes from
        :raises SignInRequiredError: where they fit no enabled account; it does not say which is wrong
        :raises TooManyError: after too many failures
        """
        name = name.strip().lower()[:64]
        subjects = {f"name {name}": MAX_PER_NAME, f"from {address[:64]}": MAX_PER_ADDRESS}
        self._refuse_flood(subjects)
        found = self._database.run(lambda c: AccountRepository(c).by_name(name))
        # Outside of any transaction: it takes its time.
        fits = model.verify_password(password[: model.MAX_PASSWORD], found[1] if found else None)
        if not found or not fits or not found[0].enabled:
            self._database.run(lambda c: _note(AccountRepository(c), list(subjects)))
            msg = "name or password is wrong, or the account is disabled"
            raise SignInRequiredError(msg)
        account, stored = found
        newer = model.hash_password(password) if model.is_outdated(stored) else None

        def settle(accounts: AccountRepository) -> None:
            accounts.forget_failures(f"name {name}", WINDOW_SECONDS)
            if newer:
                accounts.change(account.id, password_hash=newer)

        self._database.run(lambda c: settle(AccountRepository(c)))
        return account

    def _refuse_flood(self, subjects: dict[str, int]) -> None:
        found = self._database.run(
            lambda c: AccountRepository(c).failures(list(subjects), WINDOW_SECONDS)
        )
        waits = [left for subject, (count, left) in found.items() if count >= subjects[subject]]
        if waits:
            minutes = max(waits) // 60 + 1
            msg = f"too many failed tries to sign in; try again in {minutes} minutes"
            raise TooManyError(msg, max(waits))

    def all(self) -> list[Account]:
        """Return every account by name."""
        return self._database.run(lambda c: AccountRepository(c).all())

    def get(self, account_id: int) -> Account:
        """Return one account.

        :raises UnknownError: where there is none
        """
        found = self._database.run(lambda c: AccountRepository(c).by_id(account_id))
        if found is None:
            msg = f"account {account_id} does not exist"
            raise UnknownError(msg)
        return found

    def create(self, name: str, role: Role, password: str, account_id: int | None = None) -> int:
        """Create an account; return its id, which is the platform's ``userId``.

        :param account_id: for a user that another system numbered already
        :raises InvalidInputError: naming the field
        :raises ConflictingError: where name or id are taken
        """
        name = model.check_name(name)
        if account_id is not None and not 0 < account_id < 2**53:
            raise InvalidInputError(field="id", rule="must be a whole number from 1 on")
        hashed = model.hash_password(model.check_password(password, name))
        try:
            return self._database.run(
                lambda c: AccountRepository(c).add(name, role, hashed, account_id)
            )
        except IntegrityError as exc:
            msg = f"an account with the name {name} or this id exists already; choose another"
            raise ConflictingError(msg) from exc

    def set_password(self, account: Account, password: str) -> None:
        """Set a password; every session of the account ends.

        :raises InvalidInputError: where it breaks a rule
        """
        hashed = model.hash_password(model.check_password(password, account.name))

        def write(accounts: AccountRepository, sessions: SessionRepository) -> None:
            accounts.change(account.id, password_hash=hashed)
            sessions.end_all(account.id)

        self._database.run(lambda c: write(AccountRepository(c), SessionRepository(c)))

    def set_enabled(self, account: Account, *, enabled: bool) -> None:
        """Let an account in or out; out ends its sessions."""

        def write(accounts: AccountRepository, sessions: SessionRepository) -> None:
            accounts.change(account.id, enabled=int(enabled))
            if not enabled:
                sessions.end_all(account.id)

        self._database.run(lambda c: write(AccountRepository(c), SessionRepository(c)))

    def set_language(self, account: Account, language: str) -> None:
        """Keep in which language an account reads.

        :raises InvalidInputError: where there is no such language
        """
        if language not in model.LANGUAGES:
            raise InvalidInputError(
                field="language", rule=f"must be one of {', '.join(model.LANGUAGES)}"
            )
        self._database.run(lambda c: AccountRepository(c).change(account.id, language=language))

    def ensure_first_operator(self, name: str, password: str, *, check: bool) -> bool:
        """Create an operator unless an account of that name exists; tell whether it was to be made.

        :param check: only look
        :raises InvalidInputError: naming the field
        """
        name = model.check_name(name)
        model.check_password(password, name)
        if self._database.run(lambda c: AccountRepository(c).by_name(name)):
            return False
        if not check:
            self.create(name, model.Role.OPERATOR, password)
        return True


def _note(accounts: AccountRepository, subjects: list[str]) -> None:
    for subject in subjects:
        accounts.note_failure(subject, WINDOW_SECONDS)
