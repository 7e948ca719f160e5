"""Where the lab keeps things, and which hosts it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Keys, secrets and logs of the one lab on this machine; never in git.
STATE = ROOT / ".lab"
LOGS = STATE / "logs"
SECRETS = STATE / "secrets"
BUILD = ROOT / "build"
INVENTORY = ROOT / "inventory" / "lab.ini"
EXTRA_HOSTS = STATE / "hosts.ini"
BIN = ROOT / ".venv" / "bin"

NETWORK = "funai-lab"
BRIDGE = "funai-lab0"
SUBNET = "198.18.138.0/24"
#: The controller's own address on the lab's bridge, which hosts know as the operator.
OPERATOR = "198.18.138.1"
PREFIX = "funai-lab-"
#: On every container, volume and network of the lab; nothing without it is ever removed.
LABEL = "io.funai.lab=true"
EDGE_PORT = 8080
EDGE_TLS_PORT = 8443
CONSOLE_PORT = 8081
CONSOLE_TLS_PORT = 8444

_FIRST_ADDRESS = {
    "api": 91,
    "workspace": 87,
    "deploy": 100,
    "runner": 101,
    "runtime": 102,
    "forge": 103,
}
#: More hosts of one group lie ten addresses apart, so the groups never meet.
_STRIDE = 10
MAX_PER_GROUP = 9


@dataclass(frozen=True)
class LabHost:
    """One host of the lab, a container that boots systemd."""

    name: str
    group: str
    address: str

    @property
    def container(self) -> str:
        """Name of the container that is this host."""
        return PREFIX + self.name

    @property
    def volumes(self) -> dict[str, str]:
        """Volumes by mount point: overlay storage cannot lie on the container's own overlay."""
        return {
            f"{self.container}-engine": "/var/lib/docker",
            f"{self.container}-containers": "/var/lib/containers",
        }


def lab_hosts(runtimes: int = 1, runners: int = 1) -> list[LabHost]:
    """List the hosts of a lab with that many runtime nodes and runners, in converge order."""
    counts = {"runtime": runtimes, "runner": runners}
    for group, count in counts.items():
        if not 1 <= count <= MAX_PER_GROUP:
            message = f"--{group}s takes 1 to {MAX_PER_GROUP}, not {count}"
            raise ValueError(message)
    return [
        LabHost(f"{group}-{n + 1:02d}", group, f"198.18.138.{first + _STRIDE * n}")
        for group, first in _FIRST_ADDRESS.items()
        for n in range(counts.get(group, 1))
    ]


def address_of(group: str) -> str:
    """Return the address of the first host of ``group``."""
    return f"198.18.138.{_FIRST_ADDRESS[group]}"


def private_directory(path: Path) -> Path:
    """Make ``path`` so that only its owner may look into it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, data: bytes) -> None:
    """Write ``path`` atomically with mode 0600 from its first byte on."""
    private_directory(path.parent)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    draft.replace(path)
