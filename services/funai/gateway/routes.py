"""What a route is: an app's id, the address that serves it, and its release. Pure, no I/O."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from funai.contract.release import is_release

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: App ids of the platform. Whatever goes into HAProxy's command line must match this: a newline,
#: ``;`` or space in a key or value would be a command of its own.
APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
APP_ID_RULE = "letters, digits, - and _, at most 63, the first a letter or digit"

_ADDRESS = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}):([1-9]\d{0,4})\Z")
_HIGHEST_PORT = 65535


class InvalidRouteError(ValueError):
    """A key or value that must not reach a gateway; the message says which and why."""


@dataclass(frozen=True)
class Route:
    """What a gateway's map holds for an app, in one value so that both change at once."""

    #: ``ipv4:port``
    address: str
    #: What the gateway tells clients in ``X-App-Release``; empty where nobody named it.
    release: str = ""

    @classmethod
    def parse(cls, value: str) -> Route:
        """Take ``ipv4:port`` or ``ipv4:port/release`` apart.

        :raises InvalidRouteError: naming the rule
        """
        address, slash, release = value.partition("/")
        match = _ADDRESS.match(address)
        if match is None or int(match[2]) > _HIGHEST_PORT:
            msg = f"address {value[:80]!r} is not <ipv4>:<port>"
            raise InvalidRouteError(msg)
        if slash and not is_release(release):
            msg = f"address {value[:120]!r} has no valid release behind its slash"
            raise InvalidRouteError(msg)
        return cls(address, release)

    def __str__(self) -> str:
        return f"{self.address}/{self.release}" if self.release else self.address


def check_app_id(app_id: str) -> str:
    """Return the app id where it is one.

    :raises InvalidRouteError: naming the rule
    """
    if not APP_ID.match(app_id):
        msg = f"app id {app_id[:80]!r} is not valid: {APP_ID_RULE}"
        raise InvalidRouteError(msg)
    return app_id


def check_route(value: str, allowed: Sequence[ipaddress.IPv4Network] = ()) -> str:
    """Return the ``ipv4:port[/release]`` where a gateway may send traffic to it.

    :param allowed: networks that an address must lie in; none means any unicast address that is
        neither loopback nor link-local (a cloud's metadata service)
    :raises InvalidRouteError: naming the rule
    """
    route = Route.parse(value)
    address, _, port = route.address.partition(":")
    try:
        host = ipaddress.IPv4Address(address)
    except ValueError as exc:
        msg = f"address {value!r} is not <ipv4>:<port>: {exc}"
        raise InvalidRouteError(msg) from exc
    if not _may_be_routed(host, allowed):
        networks = ", ".join(str(network) for network in allowed) or "a routable unicast network"
        msg = f"address {value!r} lies outside {networks}"
        raise InvalidRouteError(msg)
    return str(Route(f"{host}:{port}", route.release))


def check_address(address: str, allowed: Sequence[ipaddress.IPv4Network] = ()) -> str:
    """Return the ``ipv4:port``, with nothing behind it, where a gateway may send traffic to it.

    :raises InvalidRouteError: naming the rule
    """
    if "/" in address:
        msg = f"address {address[:80]!r} is not <ipv4>:<port>"
        raise InvalidRouteError(msg)
    return check_route(address, allowed)


def _may_be_routed(host: ipaddress.IPv4Address, allowed: Sequence[ipaddress.IPv4Network]) -> bool:
    if allowed:
        return any(host in network for network in allowed)
    return not (
        host.is_loopback
        or host.is_link_local
        or host.is_multicast
        or host.is_unspecified
        or host.is_reserved
    )


def parse_table(lines: Iterable[str]) -> dict[str, str]:
    """Return the routes of a map file's lines; lines that are no valid route are left out."""
    table: dict[str, str] = {}
    for line in lines:
        fields = line.split()
        if len(fields) != 2 or line.startswith("#"):  # noqa: PLR2004 - key and value
            continue
        app_id, value = fields
        try:
            table[check_app_id(app_id)] = str(Route.parse(value))
        except InvalidRouteError:
            continue
    return table


def render_table(table: dict[str, str]) -> str:
    """Return the text of a map file, sorted, so that equal tables are equal files."""
    return "".join(f"{app_id} {table[app_id]}\n" for app_id in sorted(table))
