"""App containers: one closed way to create them, and what can be seen of them."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound
from docker.types import LogConfig

from funai.contract.app_settings import MILLI
from funai.runtime_agent.errors import AppNotFoundError, EngineFailedError

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient
    from docker.types.daemon import CancellableStream

    from funai.runtime_agent.config import AppLimits
    from funai.runtime_agent.engine.client import EngineClient

MANAGED = "io.funai.managed"
NODE = "io.funai.node"
APP = "io.funai.app"
USER = "io.funai.user"
FENCE = "io.funai.fence"
JOB = "io.funai.job"
IMAGE = "io.funai.image"
IMAGE_DIGEST = "io.funai.image-digest"
PORT = "io.funai.port"
RELEASE = "io.funai.release"
HEALTH = "io.funai.health"
SETTINGS = "io.funai.settings"

_MIB = 1024 * 1024
_NANO_OF_MILLI = 1_000_000
_LONGEST_BRIDGE_NAME = 15


@dataclass(frozen=True)
class ContainerSpec:
    """What differs between app containers; everything else is the same for all."""

    name: str
    #: What the engine starts: an image by digest, or by id where no registry knows it.
    image: str
    address: str
    environment: dict[str, str] = field(repr=False)
    labels: dict[str, str]
    #: None, as below: what the node gives each app.
    memory_mib: int | None = None
    #: Thousandths of a CPU.
    cpus_milli: int | None = None


@dataclass(frozen=True)
class Container:
    """What the engine says about a container."""

    name: str
    running: bool
    restarting: bool
    restart_count: int
    exit_code: int
    oom_killed: bool
    error: str
    image: str
    image_id: str
    addresses: tuple[str, ...]
    #: Those of its addresses that the engine gave to it and to nobody else, as long as it runs.
    bound: tuple[str, ...]
    labels: dict[str, str]
    #: ``NAME=value``, those of its image among them.
    environment: tuple[str, ...] = field(default=(), repr=False)
    memory_mib: int | None = None
    #: Thousandths of a CPU.
    cpus_milli: int | None = None

    @property
    def managed(self) -> bool:
        """Whether the platform created it."""
        return self.labels.get(MANAGED) == "true"


@dataclass(frozen=True)
class Seen:
    """A container as a list shows it."""

    #: Runs, or the engine is about to start it again.
    alive: bool
    running: bool
    addresses: tuple[str, ...]
    #: Its app's id, or "" where it has no such label.
    app_id: str = ""


class RawLog:
    """The frames of a container's log, as they come from the engine."""

    def __init__(self, stream: CancellableStream[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        """End the engine's answer, also while another thread waits for it."""
        # The log's own end may have closed the connection in this moment.
        with suppress(OSError, AttributeError):
            self._stream.close()


class Containers:
    """Creates, watches and removes containers through the engine.

    :param node: name of this node, a label of everything created here
    """

    def __init__(
        self,
        client: EngineClient,
        network: str,
        subnet: ipaddress.IPv4Network,
        limits: AppLimits,
        node: str,
    ) -> None:
        self._client = client
        self._network = network
        self._subnet = subnet
        self._limits = limits
        self._node = node
        self._init: bool | None = None
        # Two threads that both miss the network would both make it.
        self._making = threading.Lock()

    def ensure_network(self) -> dict[str, str]:
        """Make the apps' network where it is missing; return who has which address on it.

        :raises EngineFailedError: where the network lies on another subnet
        """
        with self._making, self._client.request(f"read network {self._network}") as engine:
            try:
                network = engine.inspect_network(self._network)
            except NotFound:
                engine.create_network(**self._network_settings())
                return {}
        subnets = [entry.get("Subnet") for entry in network["IPAM"]["Config"] or []]
        if str(self._subnet) not in subnets:
            msg = f"network {self._network} has subnet {subnets}, not {self._subnet}"
            raise EngineFailedError(msg)
        members = (network.get("Containers") or {}).values()
        return {member["IPv4Address"].partition("/")[0]: member["Name"] for member in members}

    def find(self, name: str) -> Container | None:
        """Return the container of exactly this name, or None."""
        with self._client.request(f"inspect container {name}") as engine:
            try:
                found = engine.inspect_container(name)
            except NotFound:
                return None
        # The engine also finds containers by a prefix of their id.
        return _container(found) if found["Name"] == f"/{name}" else None

    def of_this_node(self) -> list[str]:
        """Return the names of all containers that this node's agent made, running or not."""
        labels = [f"{MANAGED}=true", f"{NODE}={self._node}"]
        return self._names({"label": labels}, every=True)

    def seen(self) -> dict[str, Seen]:
        """Return a glance at all containers of this node, by name, in one call to the engine."""
        labels = [f"{MANAGED}=true", f"{NODE}={self._node}"]
        with self._client.request("list containers") as engine:
            found = engine.containers(all=True, filters={"label": labels})
        return {
            entry["Names"][0].removeprefix("/"): Seen(
                alive=entry["State"] in {"running", "restarting"},
                running=entry["State"] == "running",
                addresses=_addresses(entry),
                app_id=(entry.get("Labels") or {}).get(APP, ""),
            )
            for entry in found
            if entry["Names"]
        }

    def count_running(self) -> int:
        """Return how many app containers run."""
        return len(self._names({"label": [f"{MANAGED}=true", f"{NODE}={self._node}"]}, every=False))

    def of_app(self, app_id: str) -> list[str]:
        """Return the names of the app's containers on this node, running or not."""
        labels = [f"{MANAGED}=true", f"{NODE}={self._node}", f"{APP}={app_id}"]
        return self._names({"label": labels}, every=True)

    def create(self, spec: ContainerSpec) -> None:
        """Create a container, confined, without ports on the host, and start it."""
        self._do(f"create container {spec.name}", lambda engine: self._create(engine, spec))
        self.start(spec.name)

    def start(self, name: str) -> None:
        """Start a container; one that runs is fine."""
        self._do(f"start container {name}", lambda engine: engine.start(name))

    def stop(self, name: str, grace_seconds: int = 10) -> None:
        """Ask a container to end, kill it after the grace; a missing one is fine."""
        self._do(
            f"stop container {name}",
            lambda engine: engine.stop(name, timeout=grace_seconds),
            missing_is_fine=True,
        )

    def remove(self, name: str) -> None:
        """Remove a container with its anonymous volumes; a missing one is fine."""
        self._do(
            f"remove container {name}",
            lambda engine: engine.remove_container(name, force=True, v=True),
            missing_is_fine=True,
        )

    def logs(self, name: str, lines: int = 50) -> list[str]:
        """Return the last log lines of a container, bounded and free of control characters."""
        with self._client.request(f"read logs of {name}") as engine:
            try:
                raw = engine.logs(name, tail=lines)
            except NotFound:
                return []
        return [printable(line) for line in raw.decode("utf-8", "replace").splitlines()[-lines:]]

    def open_log(self, name: str, tail: int, *, follow: bool) -> RawLog:
        """Open the log of a container; whoever gets it must close it.

        :param tail: how many of the last lines
        :param follow: go on with what comes, until the container ends
        """
        with self._client.request(f"read logs of {name}") as engine:
            try:
                return RawLog(engine.logs(name, stream=True, follow=follow, tail=tail))
            except NotFound as exc:
                msg = f"{name} is gone"
                raise AppNotFoundError(msg) from exc

    def _do(
        self, what: str, action: Callable[[APIClient], object], *, missing_is_fine: bool = False
    ) -> None:
        with self._client.request(what) as engine:
            try:
                action(engine)
            except NotFound as exc:
                if not missing_is_fine:
                    msg = f"could not {what}: {exc.explanation}"
                    raise EngineFailedError(msg, {"engine": str(exc.explanation)}) from exc

    def _names(self, filters: dict[str, Any], *, every: bool) -> list[str]:
        with self._client.request("list containers") as engine:
            found = engine.containers(all=every, filters=filters)
        return sorted(entry["Names"][0].removeprefix("/") for entry in found if entry["Names"])

    def _network_settings(self) -> dict[str, Any]:
        return {
            "name": self._network,
            "driver": "bridge",
            "check_duplicate": True,
            "labels": {MANAGED: "true", NODE: self._node},
            "options": {
                "com.docker.network.bridge.name": f"{self._network}0"[-_LONGEST_BRIDGE_NAME:],
                "com.docker.network.bridge.enable_icc": "false",
            },
            "ipam": {
                "Driver": "default",
                "Config": [{"Subnet": str(self._subnet), "Gateway": str(self._subnet[1])}],
            },
        }

    def _create(self, engine: APIClient, spec: ContainerSpec) -> None:
        memory = (spec.memory_mib or self._limits.memory_mib) * _MIB
        milli = spec.cpus_milli or self._limits.cpus * MILLI
        host = engine.create_host_config(
            mem_limit=memory,
            memswap_limit=memory,
            nano_cpus=int(milli * _NANO_OF_MILLI),
            pids_limit=self._limits.pids,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            # The engine brings apps back after a reboot, without the agent and without Deploy.
            restart_policy={"Name": "unless-stopped"},
            log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
            init=self._has_init(engine) or None,
            network_mode=self._network,
        )
        network = engine.create_endpoint_config(ipv4_address=spec.address)
        engine.create_container(
            spec.image,
            name=spec.name,
            environment=spec.environment,
            labels={MANAGED: "true", NODE: self._node, **spec.labels},
            host_config=host,
            networking_config={"EndpointsConfig": {self._network: network}},
        )

    def capacity(self) -> tuple[int, int]:
        """Return the node's memory in MiB and its CPUs in thousandths."""
        with self._client.request("read what the node has") as engine:
            found = engine.info()
        return int(found["MemTotal"]) // _MIB, int(found["NCPU"]) * MILLI

    def _has_init(self, engine: APIClient) -> bool:
        if self._init is None:
            # An engine that cannot run its init says N/A; a container with it would not start.
            commit = engine.info().get("InitCommit") or {}
            self._init = str(commit.get("ID", "N/A")) != "N/A"
        return self._init


def printable(text: str, longest: int = 500) -> str:
    """Return the text without control characters, cut to a length."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)[
        :longest
    ]


def _container(found: dict[str, Any]) -> Container:
    state, host = found["State"], found.get("HostConfig") or {}
    return Container(
        name=found["Name"].removeprefix("/"),
        running=bool(state["Running"]),
        restarting=bool(state["Restarting"]),
        restart_count=int(found.get("RestartCount") or 0),
        exit_code=int(state["ExitCode"]),
        oom_killed=bool(state["OOMKilled"]),
        error=str(state.get("Error") or ""),
        image=str(found["Config"]["Image"]),
        image_id=str(found["Image"]),
        addresses=_addresses(found),
        bound=_bound(found),
        labels=dict(found["Config"]["Labels"] or {}),
        environment=tuple(found["Config"].get("Env") or ()),
        memory_mib=int(host.get("Memory") or 0) // _MIB or None,
        cpus_milli=int(host.get("NanoCpus") or 0) // _NANO_OF_MILLI or None,
    )


def _addresses(found: dict[str, Any]) -> tuple[str, ...]:
    networks = (found["NetworkSettings"]["Networks"] or {}).values()
    addresses = [
        (network.get("IPAMConfig") or {}).get("IPv4Address") or network.get("IPAddress")
        for network in networks
    ]
    return tuple(address for address in addresses if address)


def _bound(found: dict[str, Any]) -> tuple[str, ...]:
    networks = (found["NetworkSettings"]["Networks"] or {}).values()
    return tuple(network["IPAddress"] for network in networks if network.get("IPAddress"))
