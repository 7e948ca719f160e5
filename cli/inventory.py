"""Hosts, addresses and secrets as the Ansible inventory has them, resolved by Ansible itself."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CliError
from cli.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible.inventory.host import Host as InventoryHost
    from ansible.parsing.dataloader import DataLoader as Loader

ROOT = Path(__file__).parents[1]
#: Settings that leave a unit out where they are false.
_OPTIONAL = {"database_manage": "mariadb", "platform_console_enabled": "funai-api"}
_CONNECTION = (
    "ansible_host",
    "ansible_user",
    "ansible_port",
    "ansible_password",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    *_OPTIONAL,
)
_PLATFORM = ("platform_deploy_url", "vault_deploy_secret", "vault_admin_token")
_VAULT_ADVICE = (
    "give the vault's password as for ansible-playbook: ANSIBLE_VAULT_PASSWORD_FILE=FILE, or"
    " vault_password_file in ansible.cfg, or start this on a terminal to be asked"
)


@dataclass(frozen=True)
class Host:
    """A host, and how Ansible reaches it."""

    name: str
    #: Those of the platform's groups that it is in.
    groups: tuple[str, ...]
    address: str
    user: str | None = None
    port: int | None = None
    key_file: str | None = None
    password: str | None = field(default=None, repr=False)
    #: Further arguments of ``ssh``, as one text.
    ssh_arguments: str = ""
    #: Units of its groups that this platform has not.
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inventory:
    """What an inventory says of a platform; a setting that it has not is empty."""

    source: str
    hosts: tuple[Host, ...]
    deploy_url: str
    deploy_secret: str = field(repr=False)
    admin_token: str = field(repr=False)


def load() -> Inventory:
    """Read the inventory that Ansible would use here.

    :raises CliError: where Ansible cannot read it
    """
    # Ansible looks for it in the working directory only, once, when it is imported.
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    from ansible.errors import AnsibleError  # noqa: PLC0415 - takes a third of a second

    try:
        return _read(ask=False)
    except AnsibleError as error:
        if "vault" not in str(error).lower():
            raise _unreadable(error) from error
        if not sys.stdin.isatty():
            raise _unreadable(error, _VAULT_ADVICE) from error
    try:
        return _read(ask=True)
    except AnsibleError as error:
        raise _unreadable(error, _VAULT_ADVICE) from error


def _unreadable(error: Exception, advice: str | None = None) -> CliError:
    lines = str(error).strip().splitlines()
    reason = f"Ansible cannot read the inventory: {lines[0] if lines else type(error).__name__}"
    return CliError(reason, advice or "mend it, or name another one in ANSIBLE_INVENTORY")


def _read(*, ask: bool) -> Inventory:
    from ansible.cli import CLI  # noqa: PLC0415 - as above
    from ansible.constants import config as settings  # noqa: PLC0415
    from ansible.inventory.manager import InventoryManager  # noqa: PLC0415
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415
    from ansible.plugins.loader import init_plugin_loader  # noqa: PLC0415
    from ansible.vars.hostvars import HostVars  # noqa: PLC0415
    from ansible.vars.manager import VariableManager  # noqa: PLC0415

    init_plugin_loader()
    loader = DataLoader()
    identities = list(settings.get_config_value("DEFAULT_VAULT_IDENTITY_LIST"))
    loader.set_vault_secrets(
        CLI.setup_vault_secrets(loader, identities, ask_vault_pass=ask, auto_prompt=False)
    )
    sources = list(settings.get_config_value("DEFAULT_HOST_LIST"))
    source = ",".join(_short(path) for path in sources)
    inventory = InventoryManager(loader=loader, sources=sources)
    variables = VariableManager(loader=loader, inventory=inventory)
    # Variables of one host speak of the others.
    HostVars(inventory=inventory, variable_manager=variables, loader=loader)
    found = inventory.get_hosts()
    if not found:
        msg = f"the inventory {source} has no hosts"
        raise CliError(msg, "name the platform's inventory in ANSIBLE_INVENTORY")

    def resolve(host: InventoryHost, names: tuple[str, ...]) -> dict[str, Any]:
        return _resolve(loader, variables.get_vars(host=host), names)

    return _inventory(source, found, resolve)


def _inventory(
    source: str,
    found: list[InventoryHost],
    resolve: Callable[[InventoryHost, tuple[str, ...]], dict[str, Any]],
) -> Inventory:
    first = resolve(found[0], _PLATFORM)
    return Inventory(
        source=source,
        hosts=tuple(_host(host, resolve(host, _CONNECTION)) for host in found),
        deploy_url=_text(first["platform_deploy_url"]) or "",
        deploy_secret=_text(first["vault_deploy_secret"]) or "",
        admin_token=_text(first["vault_admin_token"]) or "",
    )


def _host(host: InventoryHost, values: dict[str, Any]) -> Host:
    groups = {group.name for group in host.get_groups()}
    arguments = (values["ansible_ssh_common_args"], values["ansible_ssh_extra_args"])
    return Host(
        name=str(host.name),
        groups=tuple(group for group in UNITS if group in groups),
        address=_text(values["ansible_host"]) or str(host.name),
        user=_text(values["ansible_user"]),
        port=int(values["ansible_port"]) if values["ansible_port"] else None,
        key_file=_text(values["ansible_ssh_private_key_file"]),
        password=_text(values["ansible_password"]),
        ssh_arguments=" ".join(str(text).strip() for text in arguments if text),
        without=frozenset(unit for name, unit in _OPTIONAL.items() if values[name] is False),
    )


def _resolve(loader: Loader, variables: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    from ansible.template import Templar, trust_as_template  # noqa: PLC0415 - as above

    templar = Templar(loader=loader, variables=variables)
    return {
        name: templar.template(trust_as_template(f"{{{{ {name} | default(none) }}}}"))
        for name in names
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _short(path: object) -> str:
    """Name a file as people do: from here, where it lies below."""
    full = Path(str(path))
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
