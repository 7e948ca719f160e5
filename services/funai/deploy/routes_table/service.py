"""Hands the route table to gateways."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from funai.deploy.routes_table import repository
from funai.deploy.routes_table.model import resolve

if TYPE_CHECKING:
    from funai.deploy.parts import Parts


class RouteTableService:
    """Answers gateways that follow the routes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def newer(self, known_version: int, wait_seconds: float) -> dict[str, Any] | None:
        """Return the table once its version is not the known one; None after the wait.

        A version that went back, as after a restore of the database, is news too.

        :raises UnavailableError: where too many gateways wait already
        """

        def look() -> bool | None:
            found = self._parts.database.run(repository.version)
            return True if found != known_version else None

        if self._parts.routes_changed.wait_for(look, wait_seconds) is None:
            return None
        table = self._parts.database.run(repository.read_table)
        return {"version": table.version, "routes": resolve(table.targets, lookup)}


def lookup(host: str) -> str | None:
    """Return the IPv4 address of a host's name, or None."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return None
    return str(found[0][4][0]) if found else None
