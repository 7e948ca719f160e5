"""A node, and what Deploy thinks of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from funai.contract.status import NodeHealth
from funai.deploy.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from datetime import datetime

MAX_NAME = 128
MAX_URL = 512
DEFAULT_WEIGHT = 100
MAX_WEIGHT = 10_000
#: Percent of free disk below which a node takes no deploy at all.
DISK_FLOOR_PCT = 15.0
#: Percent of free disk below which a node takes no new app.
DISK_TIGHT_PCT = 25.0


@dataclass(frozen=True)
class Node:
    """A node's row, and whether its last heartbeat is fresh by the database's clock."""

    id: int
    name: str
    agent_base_url: str
    gateway_base_url: str
    enabled: bool
    weight: int
    draining: bool
    fresh: bool
    last_heartbeat_at: datetime | None = None
    #: None where the agent never told.
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    container_count: int | None = None
    token_hash: str | None = field(default=None, repr=False)
    #: Whether webhooks were last told that it is stale.
    told_stale: bool = False

    @property
    def is_news(self) -> bool:
        """Whether webhooks were last told otherwise: of a node that beat once, and is not switched off."""
        if self.told_stale:
            return self.fresh
        return self.enabled and not self.fresh and self.last_heartbeat_at is not None

    @property
    def disk_full(self) -> bool:
        """Whether the node is below the floor of free disk."""
        return self.disk_free_pct is not None and self.disk_free_pct < DISK_FLOOR_PCT

    @property
    def health(self) -> NodeHealth:
        """The one word for the node; of several that fit the one an operator should hear first."""
        if not self.enabled:
            return NodeHealth.DISABLED
        if not self.fresh:
            return NodeHealth.STALE
        if self.disk_full:
            return NodeHealth.UNHEALTHY
        return NodeHealth.DRAINING if self.draining else NodeHealth.HEALTHY


@dataclass(frozen=True)
class Declaration:
    """What an operator says of a node; None keeps what is there."""

    name: str
    agent_base_url: str
    gateway_base_url: str
    enabled: bool | None = None
    weight: int | None = None


@dataclass(frozen=True)
class Beat:
    """What a node's agent says of itself."""

    name: str
    agent_base_url: str
    gateway_base_url: str
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    container_count: int | None = None

    def figures(self) -> dict[str, float | int | None]:
        """Return the columns of the figures.

        The existing agent leaves a figure out when it is zero. A heartbeat with one of the two disk
        figures therefore means zero by the other; with neither it says nothing of the disk.
        """
        told = self.disk_free_pct is not None or self.disk_free_bytes is not None
        return {
            "disk_free_pct": (self.disk_free_pct or 0.0) if told else None,
            "disk_free_bytes": (self.disk_free_bytes or 0) if told else None,
            "container_count": self.container_count or 0,
        }


def check_same_urls(known: Node, beat: Beat) -> None:
    """Refuse a heartbeat from elsewhere: jobs and secrets go to where a node's URLs point.

    :raises ConflictError: naming the field, what is registered and what to do
    """
    for field_name, registered, told in (
        ("agentBaseUrl", known.agent_base_url, beat.agent_base_url),
        ("gatewayBaseUrl", known.gateway_base_url, beat.gateway_base_url),
    ):
        if registered and registered.rstrip("/") != told.rstrip("/"):
            msg = (
                f"node {known.name!r} is registered with {field_name} {registered}, its heartbeat says"
                f" {told}; heartbeats cannot change it, so this one does not count. If the node moved,"
                " an operator says so by POST /admin/runtime-nodes/upsert; else mend its agent's setting"
            )
            raise ConflictError(msg)


def check_name(value: str) -> str:
    """Return the trimmed name.

    :raises InvalidRequestError: naming the rule
    """
    name = value.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        msg = f"the node's name must be 1 to {MAX_NAME} printable characters"
        raise InvalidRequestError(msg)
    return name


def check_url(field: str, value: str) -> str:
    """Return a base URL of a node, trimmed.

    :raises InvalidRequestError: naming field and rule
    """
    url = value.strip()
    rule = f"{field} must be an address such as http://192.0.2.10:7005, at most {MAX_URL} long"
    if len(url) > MAX_URL or not url.isprintable() or " " in url:
        raise InvalidRequestError(rule)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # Refuses labels that are empty or too long, at which a look-up of the name would raise.
        host.encode("idna")
        usable = parts.scheme in {"http", "https"} and bool(host) and parts.port != 0
    except ValueError as exc:
        raise InvalidRequestError(rule) from exc
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidRequestError(rule)
    return url
