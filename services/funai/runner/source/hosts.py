"""Which hosts a runner fetches from. A payload must not reach what only this host can reach."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DENIED_SETTING = "RUNNER_FETCH_DENIED_ADDRESSES"
DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
#: Services of clouds that hand credentials to whoever asks from inside; not all are link-local.
METADATA = frozenset({"169.254.169.254", "100.100.100.200", "fd00:ec2::254"})
_SCP = re.compile(r"[^/@:]+@([^/:]+):")


@dataclass(frozen=True)
class Place:
    """A host that was looked up and may be asked."""

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...] = ()


def place_of(url: str) -> Place:
    """Return where a checked address points, not looked up yet."""
    scp = _SCP.match(url)
    if scp:
        return Place("ssh", scp[1], DEFAULT_PORTS["ssh"])
    parts = urlsplit(url)
    return Place(
        parts.scheme, (parts.hostname or "").lower(), parts.port or DEFAULT_PORTS[parts.scheme]
    )


def require_allowed(place: Place, allowed: Sequence[str], setting: str) -> None:
    """Refuse a host that is not on a list that is not empty.

    :raises StepError: ``SOURCE_HOST_REFUSED``
    """
    if allowed and place.host not in allowed:
        sentence = (
            f"This runner does not fetch from {place.host}: {setting} does not name it. Use one of"
            f" {', '.join(allowed)}, or have the platform's operators add the host."
        )
        raise StepError(reason="SOURCE_HOST_REFUSED", sentence=sentence)


def look_up(
    place: Place,
    allowed: Sequence[str],
    setting: str,
    denied: Sequence[str] = (),
    resolve: Callable[[str, int], Sequence[str]] | None = None,
) -> Place:
    """Return the place with its addresses, all of which may be asked.

    :param allowed: hosts that are meant whatever their addresses are; empty for any other host
    :param denied: networks that are not asked, beside this host's own
    :raises StepError: ``SOURCE_HOST_REFUSED`` or ``SOURCE_UNREACHABLE``
    """
    require_allowed(place, allowed, setting)
    try:
        addresses = (resolve or _addresses)(place.host, place.port)
    except OSError as exc:
        sentence = (
            f"The host {place.host} is not known here: {exc.strerror or exc}. Correct the address,"
            " or look after the runner's name resolution."
        )
        raise StepError(reason="SOURCE_UNREACHABLE", sentence=sentence) from exc
    if not allowed and any(_is_inner(address, denied) for address in addresses):
        sentence = (
            f"{place.host} is an address of the runner itself, its neighbours or the platform's hosts,"
            f" which jobs may not ask. Use the host's public name; a host that is meant belongs into"
            f" {setting}, or its address is taken out of {DENIED_SETTING}."
        )
        raise StepError(reason="SOURCE_HOST_REFUSED", sentence=sentence)
    return Place(place.scheme, place.host, place.port, tuple(addresses))


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_inner(text: str, denied: Sequence[str]) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or str(address) in METADATA
        or any(address in ipaddress.ip_network(network) for network in denied)
    )
