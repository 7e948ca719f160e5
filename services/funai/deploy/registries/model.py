"""Registries that the platform has an account for, and what they may answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

#: Debian's list of CAs, which holds those of the team as well.
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"


class RegistryError(Exception):
    """A registry did not do what it was asked; the text says what and why."""


class RegistryAwayError(RegistryError):
    """It does nothing for us now: asking for the next image is of no use."""


class RegistryRefusedError(RegistryError):
    """It never will: the account may not, or the registry takes no deletes."""


class RegistryKind(StrEnum):
    """How images are removed."""

    DISTRIBUTION = (
        "distribution"  #: DELETE of a manifest, as the OCI distribution specification has it
    )
    HARBOR = "harbor"  #: Harbor's own API, which also counts the project's quota
    ACR = "acr"  #: the distribution API, where the instance allows deletes


@dataclass(frozen=True)
class Account:
    """An account of one registry."""

    host: str
    username: str
    password: str = field(repr=False)
    kind: RegistryKind = RegistryKind.DISTRIBUTION
    ca_file: str = SYSTEM_CA_FILE
    scheme: str = "https"

    @property
    def refusals(self) -> frozenset[int]:
        """The answers to a delete that no later one would change."""
        # On ACR deletes are a matter of how the account was set up; elsewhere of a password, too.
        is_acr = self.kind is RegistryKind.ACR
        denied = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} if is_acr else set()
        return frozenset({HTTPStatus.METHOD_NOT_ALLOWED, *denied})


def read_accounts(path: Path | None) -> dict[str, Account]:
    """Return the accounts of a file ``{"host": {"username", "password", "kind"?, "ca_file"?}}``.

    :raises RegistryError: where the file cannot be read or an entry breaks its rule
    """
    if path is None or not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        return {host: _account(host, entry) for host, entry in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        msg = (
            f"{path} must hold an object of registries with username, password and kind"
            f" ({', '.join(RegistryKind)}): {type(exc).__name__}"
        )
        raise RegistryError(msg) from exc


def _account(host: str, entry: dict[str, Any]) -> Account:
    return Account(
        host=host,
        username=str(entry["username"]),
        password=str(entry["password"]),
        kind=RegistryKind(entry.get("kind") or RegistryKind.DISTRIBUTION),
        ca_file=str(entry.get("ca_file") or SYSTEM_CA_FILE),
        scheme=str(entry.get("scheme") or "https"),
    )
