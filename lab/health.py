"""Look at the lab's services from outside, as their callers do."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from lab import hosts, layout
from lab.certificates import CA_CERTIFICATE
from lab.process import CommandError, run

if t.TYPE_CHECKING:
    from lab.layout import LabHost

_TIMEOUT_SECONDS = 3
_OK, _UNAUTHORIZED = 200, 401
EDGE_URL = f"http://127.0.0.1:{layout.EDGE_PORT}"
EDGE_TLS_URL = f"https://127.0.0.1:{layout.EDGE_TLS_PORT}"
CONSOLE_URL = f"http://127.0.0.1:{layout.CONSOLE_PORT}"
DEPLOY_URL = f"http://{layout.address_of('deploy')}:7002"
AGENT_URL = f"http://{layout.address_of('runtime')}:7005"
REGISTRY_URL = f"https://{layout.address_of('forge')}"

#: The units of each group, in the words of ``./dev logs``.
UNITS: dict[str, dict[str, str]] = {
    "api": {
        "edge": "haproxy",
        "gateway-sync": "funai-gateway-sync",
        "console": "funai-api",
        "database": "mariadb",
    },
    "workspace": {"workspace": "nginx", "workspace-engine": "docker"},
    "deploy": {"deploy": "funai-deploy"},
    "runner": {"runner": "funai-runner"},
    "runtime": {"runtime": "funai-runtime-agent", "gateway": "haproxy", "engine": "docker"},
    "forge": {
        "registry": "docker-registry",
        "registry-reader": "funai-registry-reader",
        "git": "nginx",
    },
}


@dataclass(frozen=True)
class Verdict:
    """Whether a service answers, and what it said otherwise."""

    name: str
    url: str
    ok: bool
    evidence: str


def session() -> requests.Session:
    """Return an HTTP client that goes straight to the lab, whatever proxy the shell names."""
    client = requests.Session()
    client.trust_env = False
    client.verify = str(CA_CERTIFICATE)
    return client


def _look(name: str, url: str, wanted: int) -> Verdict:
    try:
        with session() as client:
            answer = client.get(url, timeout=_TIMEOUT_SECONDS)
    except requests.RequestException as error:
        return Verdict(name, url, ok=False, evidence=type(error).__name__)
    return Verdict(name, url, answer.status_code == wanted, f"HTTP {answer.status_code}")


def check_services(members: list[LabHost]) -> list[Verdict]:
    """Ask every service for its health, side by side."""
    targets = [
        ("edge", f"{EDGE_URL}/internal/health", _OK),
        ("console", f"{CONSOLE_URL}/internal/health", _OK),
        ("deploy", f"{DEPLOY_URL}/internal/health", _OK),
        # A registry that asks for a password works.
        ("registry", f"{REGISTRY_URL}/v2/", _UNAUTHORIZED),
    ]
    nodes = [host for host in members if host.group == "runtime"]
    targets += [(h.name, f"http://{h.address}:7005/internal/health", _OK) for h in nodes]
    hosts.require_bridge()
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda target: _look(*target), targets))


def unit_states(host: LabHost) -> dict[str, str]:
    """Return the state of each unit that belongs on ``host``."""
    units = UNITS[host.group]
    argv = ["docker", "exec", host.container, "systemctl", "show", "--property=ActiveState"]
    try:
        lines = run([*argv, "--value", *units.values()], timeout=20).split()
    except CommandError:
        return dict.fromkeys(units, "unreachable")
    return dict(zip(units, lines, strict=False))


def find_unit(service: str) -> tuple[str, str]:
    """Return the group and unit that ``service`` names; raise KeyError for an unknown word."""
    for group, units in UNITS.items():
        if service in units:
            return group, units[service]
        if service in units.values() or f"funai-{service}" in units.values():
            matching = (u for u in units.values() if u in {service, f"funai-{service}"})
            return group, next(matching)
    raise KeyError(service)
