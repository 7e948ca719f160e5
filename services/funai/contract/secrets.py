"""Rules for shared secrets, and the one way to compare them."""

from __future__ import annotations

import hashlib
import hmac

MIN_LENGTH = 16
_PLACEHOLDERS = ("CHANGE_ME", "CHANGEME", "CHANGE-ME", "<", "REPLACE_ME")


class SecretError(ValueError):
    """A secret is unset, a placeholder, or too short; the text never holds its value."""


def require_secret(name: str, value: str | None) -> str:
    """Return the secret where a service may start with it.

    :param name: the setting's name, for the error text
    :raises SecretError: naming the setting and what to do
    """
    if value is None or not value.strip():
        msg = f"{name} is not set; set it to a random value, for example of `openssl rand -hex 32`"
        raise SecretError(msg)
    if value.upper().startswith(_PLACEHOLDERS):
        msg = f"{name} is still a placeholder; set it to a random value"
        raise SecretError(msg)
    if len(value) < MIN_LENGTH:
        msg = f"{name} has {len(value)} characters; it must have at least {MIN_LENGTH}"
        raise SecretError(msg)
    if not value.isascii() or not value.isprintable():
        msg = f"{name} must be printable ASCII, since it travels in an HTTP header"
        raise SecretError(msg)
    return value


def matches(shown: str | None, expected: str) -> bool:
    """Compare in constant time, whatever the lengths."""
    if not shown or not expected:
        return False
    return hmac.compare_digest(_digest(shown), _digest(expected))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
