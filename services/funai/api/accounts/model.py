"""Accounts: names, roles, passwords. Pure but for the hashing, which takes its time on purpose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from funai.api.errors import InvalidInputError

MIN_PASSWORD = 10
MAX_PASSWORD = 256
LANGUAGES = ("en", "zh")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
#: argon2id with the library's figures (RFC 9106, low memory), but one thread: 64 MiB and a core for some 0.1 s
#: a try. Who calls this keeps few of them going at once.
_HASHER = PasswordHasher(parallelism=1)
#: Of nobody: a try for an unknown name takes as long as one for a known name.
_NOBODY = _HASHER.hash("nobody has this password")


class Role(StrEnum):
    """What an account may do."""

    USER = "user"  #: its own apps
    OPERATOR = "operator"  #: every app, nodes and runners, accounts


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in."""

    id: int
    name: str
    role: Role
    enabled: bool
    language: str | None = None

    @property
    def is_operator(self) -> bool:
        """Whether it may see and do everything."""
        return self.role is Role.OPERATOR


def check_name(value: str) -> str:
    """Return an account's name.

    :raises InvalidInputError: where it breaks the rule
    """
    name = value.strip().lower()
    if not _NAME.fullmatch(name):
        rule = "1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
        raise InvalidInputError(field="name", rule=rule)
    return name


def check_password(value: str, name: str) -> str:
    """Return a new password.

    :raises InvalidInputError: where it is too short, too long or the account's name
    """
    if not MIN_PASSWORD <= len(value) <= MAX_PASSWORD:
        rule = f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters, got {len(value)}"
        raise InvalidInputError(field="password", rule=rule)
    if name in value.lower() and len(value) < len(name) + MIN_PASSWORD // 2:
        raise InvalidInputError(
            field="password", rule="is little more than the account's name; choose another"
        )
    return value


def check_role(value: str) -> Role:
    """Return a role.

    :raises InvalidInputError: where there is no such role
    """
    try:
        return Role(value)
    except ValueError as exc:
        raise InvalidInputError(field="role", rule="must be user or operator") from exc


def hash_password(password: str) -> str:
    """Return what is stored of a password."""
    return _HASHER.hash(password)


def verify_password(password: str, stored: str | None) -> bool:
    """Compare; as slow for an account that does not exist (``stored`` None)."""
    try:
        _HASHER.verify(stored or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Tell whether a hash was made with other figures than today's; it still verifies, with its own."""
    return _HASHER.check_needs_rehash(stored)
