"""Which platform a command looks at: by the shell's variables, else by the Ansible inventory."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli import inventory
from cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cli.inventory import Host

#: As ``./dev env`` prints them.
_URL, _SECRET, _TOKEN = "FUNAI_DEPLOY_URL", "FUNAI_DEPLOY_SECRET", "FUNAI_ADMIN_TOKEN"
_LAB = ip_network("198.18.138.0/24")
_LAB_BRIDGE = Path("/sys/class/net/funai-lab0")
_PLACEHOLDER = "CHANGE_ME"


@dataclass(frozen=True)
class Platform:
    """Where Deploy and the hosts are, and what Deploy wants to be shown."""

    #: Whose Deploy it is, in words.
    source: str
    deploy_url: str
    deploy_secret: str = field(repr=False)
    admin_token: str = field(repr=False)
    #: Only where a command asked for them.
    hosts: tuple[Host, ...] = ()
    inventory: str | None = None


def load(environment: Mapping[str, str], *, with_hosts: bool) -> Platform:
    """Return the platform to look at.

    :param with_hosts: whether its hosts are wanted, which only the inventory knows
    :raises CliError: where it is not told, or is a lab that is not there
    """
    told = _from_environment(environment)
    if told is not None and not with_hosts:
        _check_lab([told.deploy_url])
        return told
    read = inventory.load()
    base = told or _from_inventory(read)
    hosts = read.hosts if with_hosts else ()
    _check_lab([base.deploy_url, *(host.address for host in hosts)])
    return Platform(
        source=base.source,
        deploy_url=base.deploy_url,
        deploy_secret=base.deploy_secret,
        admin_token=base.admin_token,
        hosts=hosts,
        inventory=read.source,
    )


def _from_environment(environment: Mapping[str, str]) -> Platform | None:
    """Return what the shell's variables say; None where they do not name a Deploy."""
    url = environment.get(_URL)
    if not url:
        return None
    missing = [name for name in (_SECRET, _TOKEN) if not environment.get(name)]
    if missing:
        msg = f"{_URL} is set to {url}, but {' and '.join(missing)} is not"
        advice = f'eval "$(./dev env)" sets all of them; or unset {_URL} to use the inventory'
        raise CliError(msg, advice)
    return Platform(
        source=f"FUNAI_* variables ({url})",
        deploy_url=url,
        deploy_secret=environment[_SECRET],
        admin_token=environment[_TOKEN],
    )


def _from_inventory(read: inventory.Inventory) -> Platform:
    missing = [
        name
        for name, value in (
            ("platform_deploy_url", read.deploy_url),
            ("vault_deploy_secret", read.deploy_secret),
            ("vault_admin_token", read.admin_token),
        )
        if not value or value.startswith(_PLACEHOLDER)
    ]
    if missing:
        msg = f"the inventory {read.source} has no value for {', '.join(missing)}"
        raise CliError(msg, "fill in the group's vault.yml, or name another inventory")
    return Platform(
        source=f"inventory {read.source} ({read.deploy_url})",
        deploy_url=read.deploy_url,
        deploy_secret=read.deploy_secret,
        admin_token=read.admin_token,
    )


def _check_lab(places: Iterable[str]) -> None:
    """Refuse addresses of a lab that is not there: packets to it would leave this machine."""
    if _LAB_BRIDGE.exists():
        return
    for place in places:
        name = (urlsplit(place).hostname if "://" in place else place) or ""
        try:
            outside = ip_address(name) not in _LAB
        except ValueError:
            continue
        if not outside:
            msg = f"{name} is an address of the lab, and there is no lab on this machine"
            raise CliError(msg, "./dev up, or name another inventory in ANSIBLE_INVENTORY")
