"""Settings of the agent, read once from the environment (``/etc/funai-runtime/agent.env``)."""

from __future__ import annotations

import ipaddress
import math
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from funai.contract.secrets import SecretError, require_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off", ""}


class ConfigError(Exception):
    """A setting is missing or malformed; the message names it."""


@dataclass(frozen=True)
class AppLimits:
    """What one app container may use."""

    memory_mib: int
    cpus: float
    pids: int


@dataclass(frozen=True)
class Settings:
    """Everything the agent can be told from outside."""

    node_name: str
    bind: str
    runtime_token: str
    node_token: str
    deploy_url: str
    base_url: str
    gateway_base_url: str
    heartbeat_seconds: float
    #: A container that the engine will not restart (`docker kill`) waits so long, and must be back in 5 s.
    reconcile_seconds: float
    state_dir: Path
    engine_socket: str
    app_network: str
    app_subnet: ipaddress.IPv4Network
    routes_map: Path
    routes_socket: Path
    #: Where the node's own gateway answers; empty: a switch is only verified in HAProxy's map.
    gateway_probe_url: str
    registries_file: Path | None
    ready_seconds: float
    drain_seconds: float
    limits: AppLimits
    fence_required: bool
    #: How long a replaced container stays ready to serve again; 0: not at all.
    warm_seconds: float
    #: How many distinct images of an app stay on the node, the running one included.
    kept_revisions: int
    prune_seconds: float
    #: Below this much free space on the engine's disk no image is pulled.
    disk_reserve_bytes: int

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from ``AGENT_*`` variables.

        :raises ConfigError: naming the variable that is missing, malformed or a placeholder
        """
        read = _Reader(env)
        return cls(
            node_name=read.text("AGENT_NODE_NAME", socket.gethostname()),
            bind=read.text("AGENT_BIND", "0.0.0.0:7005"),
            runtime_token=read.secret("AGENT_RUNTIME_TOKEN"),
            node_token=read.secret("AGENT_NODE_TOKEN"),
            deploy_url=read.url("AGENT_DEPLOY_URL"),
            base_url=read.url("AGENT_BASE_URL"),
            gateway_base_url=read.url("AGENT_GATEWAY_BASE_URL"),
            heartbeat_seconds=read.number("AGENT_HEARTBEAT_SECONDS", "15"),
            reconcile_seconds=read.number("AGENT_RECONCILE_SECONDS", "2"),
            state_dir=Path(read.text("AGENT_STATE_DIR", "/var/lib/funai-runtime")),
            engine_socket=read.text("AGENT_ENGINE_SOCKET", "/var/run/docker.sock"),
            app_network=read.text("AGENT_APP_NETWORK", "funai-apps"),
            app_subnet=read.network("AGENT_APP_SUBNET", "198.19.0.0/20"),
            routes_map=Path(read.text("AGENT_ROUTES_MAP", "/var/lib/funai-routes/routes.map")),
            routes_socket=Path(read.text("AGENT_ROUTES_SOCKET", "/run/haproxy/routes.sock")),
            gateway_probe_url=read.url("AGENT_GATEWAY_PROBE_URL", ""),
            registries_file=read.path("AGENT_REGISTRIES_FILE"),
            ready_seconds=read.number("AGENT_READY_SECONDS", "25"),
            drain_seconds=read.number("AGENT_DRAIN_SECONDS", "30"),
            limits=AppLimits(
                memory_mib=int(read.number("AGENT_APP_MEMORY_MIB", "512")),
                cpus=read.number("AGENT_APP_CPUS", "1.0"),
                pids=int(read.number("AGENT_APP_PIDS", "256")),
            ),
            fence_required=read.boolean("AGENT_FENCE_REQUIRED", "false"),
            warm_seconds=read.number("AGENT_WARM_SECONDS", "600", zero=True),
            kept_revisions=max(1, int(read.number("AGENT_KEPT_REVISIONS", "3"))),
            prune_seconds=read.number("AGENT_PRUNE_SECONDS", "3600"),
            disk_reserve_bytes=int(read.number("AGENT_DISK_RESERVE_MIB", "256")) * 1024 * 1024,
        )


class _Reader:
    """Reads single variables and names them in every complaint."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str, default: str | None = None) -> str:
        value = self._env.get(name, "").strip() or default
        if value is None:
            msg = f"{name} is not set"
            raise ConfigError(msg)
        return value

    def secret(self, name: str) -> str:
        try:
            return require_secret(name, self._env.get(name, "").strip())
        except SecretError as exc:
            raise ConfigError(str(exc)) from exc

    def url(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if value and not value.startswith(("http://", "https://")):
            msg = f"{name} is not an http(s) URL: {value!r}"
            raise ConfigError(msg)
        return value.rstrip("/")

    def path(self, name: str) -> Path | None:
        value = self.text(name, "")
        return Path(value) if value else None

    def number(self, name: str, default: str, *, zero: bool = False) -> float:
        value = self.text(name, default)
        try:
            number = float(value)
        except ValueError as exc:
            msg = f"{name} is not a number: {value!r}"
            raise ConfigError(msg) from exc
        if not (number > 0 or (zero and number == 0)) or number == math.inf:
            rule = "zero or above" if zero else "above zero"
            msg = f"{name} must be {rule}: {value!r}"
            raise ConfigError(msg)
        return number

    def boolean(self, name: str, default: str) -> bool:
        value = self.text(name, default).lower()
        if value not in _TRUE | _FALSE:
            msg = f"{name} is neither true nor false: {value!r}"
            raise ConfigError(msg)
        return value in _TRUE

    def network(self, name: str, default: str) -> ipaddress.IPv4Network:
        value = self.text(name, default)
        try:
            return ipaddress.IPv4Network(value)
        except ValueError as exc:
            msg = f"{name} is not an IPv4 network: {exc}"
            raise ConfigError(msg) from exc
