"""The platform under test, as its inventory describes it.

``ansible-inventory`` shows variables unresolved, so Ansible itself resolves the few
that the checks need: connection, credentials and the communication matrix.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testinfra.utils.ansible_runner import AnsibleRunner

ROOT = Path(__file__).parents[2]
#: The lab's own hosts and those that ``./dev up --runtimes N`` added.
LAB_INVENTORIES = (ROOT / "inventory" / "lab.ini", ROOT / ".lab" / "hosts.ini")
LAB_BRIDGE = Path("/sys/class/net/funai-lab0")
RESOLVE_SECONDS = 120

#: Groups of the platform itself; ``forge`` is the embedded stand-in for registry and git.
GROUPS = ("api", "workspace", "deploy", "runner", "runtime", "forge")

_CONNECTION = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_become",
    "ansible_become_user",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
)
_CREDENTIALS = (
    "vault_deploy_secret",
    "vault_admin_token",
    "vault_node_token",
    "vault_runner_token",
    "vault_runtime_token",
    "vault_gateway_token",
    "vault_db_password",
    "vault_db_observer_password",
    "vault_registry_pull_password",
    "vault_first_operator_password",
)
_SETTINGS = (
    "communication_flows",
    "platform_ca_certificate",
    "platform_console_url",
    "operator_addresses",
    "acceptance_image",
    "acceptance_next_image",
    "acceptance_container_port",
    "acceptance_sample_repository",
    "acceptance_sample_commit",
    "acceptance_preview_user",
)


class PlatformError(Exception):
    """The platform cannot be tested as it is; the text says why."""


@dataclass(frozen=True)
class Flow:
    """One row of the communication matrix."""

    name: str
    sources: tuple[str, ...]
    target: str
    port: int
    protocol: str
    proof: str
    paths: tuple[str, ...]

    def allows(self, source: str, target: str, port: int) -> bool:
        """Return whether this flow lets the group ``source`` open that connection."""
        from_there = "anyone" in self.sources or source in self.sources
        return from_there and self.target in {"all", target} and self.port == port


@dataclass(frozen=True)
class Platform:
    """Hosts, credentials and expectations, all from the inventory."""

    inventory: str
    #: Address by host name, by group; in the inventory's order.
    hosts: dict[str, dict[str, str]]
    flows: tuple[Flow, ...]
    settings: dict[str, Any] = field(repr=False)
    is_lab: bool
    #: Ansible's connection variables by host name.
    connections: dict[str, dict[str, Any]] = field(repr=False)

    def address(self, group: str) -> str:
        """Return the address of the group's first host."""
        return next(iter(self.hosts[group].values()))

    @property
    def deploy_url(self) -> str:
        """Root of Deploy's API."""
        return f"http://{self.address('deploy')}:7002"

    @property
    def edge_url(self) -> str:
        """Root of the public entry."""
        return f"http://{self.address('api')}"

    def ssh_command(self, name: str) -> list[str]:
        """Return the command that opens a shell on the host as Ansible would."""
        values = self.connections[name]
        options = ["-o", "BatchMode=yes"]
        if key := values["ansible_ssh_private_key_file"]:
            options += ["-i", key]
        if port := values["ansible_port"]:
            options += ["-p", str(port)]
        for extra in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
            options += shlex.split(values[extra] or "")
        user = values["ansible_user"]
        address = values["ansible_host"] or name
        return ["ssh", *options, f"{user}@{address}" if user else address]

    def credential(self, name: str) -> str:
        """Return a credential; never put it into an assert message.

        :raises PlatformError: where the inventory has none of that name
        """
        value = self.settings.get(f"vault_{name}")
        if not value:
            msg = f"the inventory {self.inventory} defines no vault_{name}"
            raise PlatformError(msg)
        return str(value)


def chosen_inventory() -> str:
    """Return the inventory to test: ``ANSIBLE_INVENTORY``, else the lab's, never production's."""
    lab = ",".join(str(path) for path in LAB_INVENTORIES if path.exists())
    return os.environ.get("ANSIBLE_INVENTORY") or lab


def load_platform() -> Platform:
    """Read the inventory and have testinfra's ``ansible://`` use the resolved connection.

    :raises PlatformError: where the inventory is the lab's and there is no lab
    """
    inventory = chosen_inventory()
    os.environ["ANSIBLE_INVENTORY"] = inventory
    # testinfra reads this file too, and both look into the working directory only.
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    runner = AnsibleRunner.get_runner(None)
    groups = {group: list(_members(runner.inventory, group)) for group in (*GROUPS, "lab")}
    is_lab = bool(groups.pop("lab"))
    if is_lab and not LAB_BRIDGE.exists():
        # Without the bridge the lab's addresses would leave this machine.
        msg = f"{inventory} is the lab's, but this machine has no {LAB_BRIDGE.name}: ./dev up"
        raise PlatformError(msg)
    resolved = _resolve(inventory)
    hostvars = runner.inventory["_meta"].setdefault("hostvars", {})
    for name, values in resolved.items():
        connection = {key: values[key] for key in _CONNECTION if values[key] is not None}
        hostvars.setdefault(name, {}).update(connection)
    first = resolved[groups["deploy"][0]]
    return Platform(
        inventory=inventory,
        hosts={
            group: {name: resolved[name]["ansible_host"] or name for name in names}
            for group, names in groups.items()
            if names
        },
        flows=tuple(_read_flow(row) for row in first["communication_flows"] or ()),
        settings=first,
        is_lab=is_lab,
        connections={
            name: {key: row[key] for key in _CONNECTION} for name, row in resolved.items()
        },
    )


def _members(inventory: dict[str, Any], group: str) -> list[str]:
    found = list(inventory.get(group, {}).get("hosts", []))
    for child in inventory.get(group, {}).get("children", []):
        found += [name for name in _members(inventory, child) if name not in found]
    return found


def _read_flow(row: dict[str, Any]) -> Flow:
    sources = row["from"] if isinstance(row["from"], list) else [row["from"]]
    return Flow(
        name=row["name"],
        sources=tuple(sources),
        target=row["to"],
        port=int(row["port"]),
        protocol=row["protocol"],
        proof=row["proof"],
        paths=tuple(row["paths"]),
    )


def _resolve(inventory: str) -> dict[str, dict[str, Any]]:
    """Return the variables that the checks need, by host, as Ansible itself resolves them."""
    names = (*_CONNECTION, *_CREDENTIALS, *_SETTINGS)
    pairs = ", ".join(f"'{name}': {name} | default(none)" for name in names)
    arguments = json.dumps({"msg": "{{ {" + pairs + "} }}"})
    with tempfile.TemporaryDirectory() as folder:
        command = ["ansible", "all", "--tree", folder, "-m", "debug"]
        # The command line holds names only; the values land in a folder of mode 0700.
        done = subprocess.run(
            [*command, "-a", arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=RESOLVE_SECONDS,
            check=False,
        )
        answers = {path.name: json.loads(path.read_text()) for path in Path(folder).iterdir()}
    broken = [name for name, answer in answers.items() if not isinstance(answer.get("msg"), dict)]
    if done.returncode or broken or not answers:
        msg = f"Ansible could not resolve {inventory}: {(done.stdout + done.stderr)[-2000:]}"
        raise PlatformError(msg)
    return {name: answer["msg"] for name, answer in answers.items()}
