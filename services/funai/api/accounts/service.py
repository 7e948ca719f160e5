"""Signing in, and the operators' work on accounts. One method, one transaction."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from funai.api.accounts import model
from funai.api.accounts.repository import AccountRepository
from funai.api.errors import (
    BusyError,
    ConflictingError,
    InvalidInputError,
    SignInRequiredError,
    TooManyError,
    UnknownError,
)
from funai.api.sessions.repository import SessionRepository
from funai.api.tokens.repository import TokenRepository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from funai.api.accounts.model import Account, Role
    from funai.deploy.database import Database

#: Tries within the window, for one name and from one address.
MAX_PER_NAME = 10
MAX_PER_ADDRESS = 50
WINDOW_SECONDS = 900
#: Passwords that are hashed or verified at once. Each takes 64 MiB and a core, and the service has
#: ``api_entry_memory_max_mib`` for everything: one for each of its threads would be its end.
AT_ONCE = 2
#: How long a password waits for its turn.
TURN_SECONDS = 5.0


class AccountService:
    """Accounts.

    :param database: of the API entry
    :param turn_seconds: how long a password waits to be hashed or verified
    """

    def __init__(self, database: Database, turn_seconds: float = TURN_SECONDS) -> None:
        self._database = database
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._turn_seconds = turn_seconds

    def sign_in(self, name: str, password: str, address: str) -> Account:
        """Return the account whose name and password these are.

        :param address: where the try comes from
        :raises SignInRequiredError: where they fit no enabled account; it does not say which is wrong
        :raises TooManyError: after too many failures
        :raises BusyError: where too many sign in at once; this try was not counted
        """
        name, password = name.strip().lower()[:64], password[: model.MAX_PASSWORD]
        subjects = _subjects(name, address)
        # Who has had its tries waits for no turn, and takes nobody's.
        self._database.run(lambda c: _refuse_flood(AccountRepository(c), subjects, 1))
        with self._turn():
            # Counted as failed until it has succeeded: tries that run at once, and one that does not live to
            # see its end, count like any other.
            found = self._database.run(lambda c: _begin(AccountRepository(c), name, subjects))
            # Outside of any transaction: it takes its time.
            fits = model.verify_password(password, found[1] if found else None)
            if not found or not fits or not found[0].enabled:
                msg = "name or password is wrong, or the account is disabled"
                raise SignInRequiredError(msg)
            account, stored = found
            newer = model.hash_password(password) if model.is_outdated(stored) else None
            self._database.run(lambda c: _settle(AccountRepository(c), account, subjects, newer))
            return account

    def _hash(self, password: str) -> str:
        with self._turn():
            return model.hash_password(password)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold one of the few places in which passwords are hashed and verified.

        :raises BusyError: where none became free in time
        """
        if not self._turns.acquire(timeout=self._turn_seconds):
            msg = (
                "too many passwords are being checked at once, so yours was not, and nothing was changed;"
                " try again in a few seconds"
            )
            raise BusyError(msg)
        try:
            yield
        finally:
            self._turns.release()

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

    def named(self, text: str) -> Account:
        """Return the account that somebody names, by its name or its id.

        :raises InvalidInputError: where there is none
        """
        wanted = text.strip().lower()[:64]
        number = int(wanted) if wanted.isascii() and wanted.isdigit() else 0

        def read(accounts: AccountRepository) -> Account | None:
            found = accounts.by_name(wanted)
            return found[0] if found else accounts.by_id(number)

        account = self._database.run(lambda c: read(AccountRepository(c)))
        if account is None:
            rule = "no account has this name or id; look under Accounts, or make one there first"
            raise InvalidInputError(field="owner", rule=rule)
        return account

    def create(self, name: str, role: Role, password: str, account_id: int | None = None) -> int:
        """Create an account; return its id, which is the platform's ``userId``.

        :param account_id: for a user that another system numbered already
        :raises InvalidInputError: naming the field
        :raises ConflictingError: where name or id are taken
        """
        name = model.check_name(name)
        if account_id is not None and not 0 < account_id < 2**53:
            raise InvalidInputError(field="id", rule="must be a whole number from 1 on")
        hashed = self._hash(model.check_password(password, name))
        try:
            return self._database.run(
                lambda c: AccountRepository(c).add(name, role, hashed, account_id)
            )
        except IntegrityError as exc:
            msg = f"an account with the name {name} or this id exists already; choose another"
            raise ConflictingError(msg) from exc

    def set_password(self, account: Account, password: str) -> None:
        """Set the password that somebody chose; every session of the account ends, its tokens stay.

        :raises InvalidInputError: where it breaks a rule
        :raises BusyError: where too many passwords are hashed at once
        """
        hashed = self._hash(model.check_password(password, account.name))
        self._database.run(lambda c: _keep_password(c, account, hashed))

    def reset_password(self, account: Account, password: str) -> None:
        """Set a password that an operator chose; every session of the account ends, its tokens are removed.

        An operator does that where somebody else may be in: who made a token would be in still.

        :raises InvalidInputError: where it breaks a rule
        :raises BusyError: where too many passwords are hashed at once
        """
        hashed = self._hash(model.check_password(password, account.name))

        def write(connection: Connection) -> None:
            _keep_password(connection, account, hashed)
            TokenRepository(connection).remove_all(account.id)

        self._database.run(write)

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


def _keep_password(connection: Connection, account: Account, hashed: str) -> None:
    AccountRepository(connection).change(account.id, password_hash=hashed)
    SessionRepository(connection).end_all(account.id)


def _subjects(name: str, address: str) -> dict[str, int]:
    """Return what failed tries are counted by, and how many each may have."""
    return {f"name {name}": MAX_PER_NAME, f"from {address[:64]}": MAX_PER_ADDRESS}


def _begin(
    accounts: AccountRepository, name: str, subjects: dict[str, int]
) -> tuple[Account, str] | None:
    """Count a try as failed and return the account that it names; one too many leaves no trace."""
    for subject in subjects:
        accounts.note_failure(subject, WINDOW_SECONDS)
    _refuse_flood(accounts, subjects)
    return accounts.by_name(name)


def _refuse_flood(accounts: AccountRepository, subjects: dict[str, int], more: int = 0) -> None:
    """Raise where a subject has had its tries.

    :param more: tries that are not counted yet
    :raises TooManyError: saying how long to wait
    """
    found = accounts.failures(list(subjects), WINDOW_SECONDS)
    waits = [left for subject, (count, left) in found.items() if count + more > subjects[subject]]
    if waits:
        minutes = max(waits) // 60 + 1
        msg = f"too many failed tries to sign in; try again in {minutes} minutes"
        raise TooManyError(msg, max(waits))


def _settle(
    accounts: AccountRepository, account: Account, subjects: dict[str, int], newer: str | None
) -> None:
    """Forget the failures of who has signed in; those of others at the same address stay."""
    of_name, of_address = subjects
    accounts.forget_failures(of_name, WINDOW_SECONDS)
    accounts.take_back_failure(of_address)
    if newer:
        accounts.change(account.id, password_hash=newer)
