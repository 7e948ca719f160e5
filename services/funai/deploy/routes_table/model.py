"""Routes, and how a gateway's URL becomes an address. Pure but for the resolver it is given."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """An app and the base URL of the gateway that serves it."""

    app_id: str
    gateway_base_url: str


@dataclass(frozen=True)
class Table:
    """One version of all routes."""

    version: int
    targets: tuple[Target, ...]


def resolve(targets: Iterable[Target], lookup: Callable[[str], str | None]) -> list[dict[str, str]]:
    """Return the routes as ``ip:port``; one whose host has no address now is left out.

    :param lookup: returns a host name's IPv4 address, or None
    """
    routes = []
    known: dict[str, str | None] = {}
    for target in targets:
        if target.gateway_base_url not in known:
            known[target.gateway_base_url] = _address(target.gateway_base_url, lookup)
        address = known[target.gateway_base_url]
        if address is not None:
            routes.append({"appId": target.app_id, "address": address})
    return routes


def _address(url: str, lookup: Callable[[str], str | None]) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not host or not port:
        return None
    try:
        address: str | None = str(ipaddress.IPv4Address(host))
    except ValueError:
        address = lookup(host)
    return None if address is None else f"{address}:{port}"
