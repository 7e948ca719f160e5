"""The decision where an app goes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from funai.deploy.nodes.model import DISK_FLOOR_PCT, DISK_TIGHT_PCT
from funai.deploy.wire import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from funai.deploy.nodes.model import Node

NO_NODE = "NO_NODE"
NODE_AWAY = "NODE_AWAY"
_MAX_LISTED = 5
_ASSUMED_FREE_PCT = 50.0


@dataclass(frozen=True)
class Placement:
    """App A runs on node N."""

    app_id: str
    node_id: int
    last_active_at: int | None = None


@dataclass(frozen=True)
class Pause:
    """Why an app takes no jobs until somebody resumes it."""

    app_id: str
    since: datetime
    reason: str

    @property
    def sentence(self) -> str:
        """What, why, since when, and how to go on."""
        return (
            f"app {self.app_id} is paused since {iso(self.since)}: {self.reason}; see that job's log"
            " and its runner's, mend the app, then POST /deploy/apps/resume"
        )


@dataclass(frozen=True)
class AppRow:
    """An app's row: its order, its fence and its route."""

    app_id: str
    #: Number of the app's newest job.
    deploy_seq: int = 0
    #: Highest fence that was handed out; it only grows.
    fence: int = 0
    #: The node that the edge sends the app's requests to.
    route_node_id: int | None = None
    #: Jobs in a row that ended without a word of their runner.
    crashes: int = 0
    pause: Pause | None = None
    #: A job whose version serves although the job did not succeed, as its node said.
    unconfirmed_job_id: str | None = None


@dataclass(frozen=True)
class Leftover:
    """Containers of an app that are still to be removed from a node which it left."""

    app_id: str
    node_id: int
    user_id: str
    #: The app's highest one when it left.
    noted_fence: int
    #: The app's highest one now, with which the node is told.
    fence: int


@dataclass(frozen=True)
class Chosen:
    """The node that takes the app."""

    node: Node
    #: Whether the app was not placed before.
    is_new: bool


@dataclass(frozen=True)
class Waiting:
    """Why no node takes the app now. The text holds no number that changes by itself."""

    code: str
    reason: str


@dataclass(frozen=True)
class Room:
    """Which apps some node takes, without a look at each: what :func:`decide` says of all at once."""

    #: Ids of nodes that take deploys of apps placed on them.
    at_home: frozenset[int]
    #: Ids of all nodes; an app that is placed on none of them counts as new.
    known: frozenset[int]
    #: Whether some node takes new apps.
    for_new: bool

    @classmethod
    def on(cls, nodes: Iterable[Node]) -> Room:
        """Return the room on these nodes."""
        all_of = list(nodes)
        return cls(
            frozenset(node.id for node in all_of if refusal(node, new_app=False) is None),
            frozenset(node.id for node in all_of),
            any(refusal(node, new_app=True) is None for node in all_of),
        )


def decide(
    app_id: str, placed_on: int | None, nodes: Iterable[Node], load: Mapping[int, int]
) -> Chosen | Waiting:
    """Say where the app goes: where it is, or, for a new one, to the node with most room.

    :param placed_on: id of the node that the app is placed on
    :param load: apps placed on each node, by node id
    """
    by_id = {node.id: node for node in nodes}
    home = by_id.get(placed_on) if placed_on is not None else None
    if home is not None:
        why_not = refusal(home, new_app=False)
        if why_not is None:
            return Chosen(home, is_new=False)
        return Waiting(
            NODE_AWAY,
            f"app {app_id} is placed on {home.name}, which {why_not};"
            " it goes on by itself, or reassign the app to another node",
        )
    candidates = [node for node in by_id.values() if refusal(node, new_app=True) is None]
    if candidates:
        return Chosen(min(candidates, key=lambda node: _rank(node, load)), is_new=True)
    return Waiting(NO_NODE, _no_node(app_id, list(by_id.values())))


def refusal(node: Node, *, new_app: bool) -> str | None:
    """Say why the node takes no deploy, or None where it does."""
    tight = node.disk_free_pct is not None and node.disk_free_pct < DISK_TIGHT_PCT
    rules = (
        (not node.enabled, "is disabled by an operator"),
        (not node.fresh, "is STALE: its agent has not been heard of lately"),
        (not node.agent_base_url or not node.gateway_base_url, "has no agent or gateway URL"),
        (node.disk_full, f"has less than {DISK_FLOOR_PCT:g} % of its disk free"),
        (new_app and node.draining, "is being drained"),
        (new_app and tight, f"takes no new apps below {DISK_TIGHT_PCT:g} % of free disk"),
    )
    return next((why for broken, why in rules if broken), None)


def _rank(node: Node, load: Mapping[int, int]) -> tuple[float, int, int, int]:
    # An agent that never told of its disk is neither preferred nor left out.
    free = _ASSUMED_FREE_PCT if node.disk_free_pct is None else node.disk_free_pct
    busy = max(node.container_count or 0, load.get(node.id, 0))
    return (-free, -node.weight, busy, node.id)


def _no_node(app_id: str, nodes: list[Node]) -> str:
    if not nodes:
        return (
            f"no runtime node can take app {app_id}: none is known;"
            " start a runtime-agent or add one with /admin/runtime-nodes/upsert"
        )
    whys = [f"{node.name} {refusal(node, new_app=True)}" for node in nodes[:_MAX_LISTED]]
    more = f"; and {len(nodes) - _MAX_LISTED} more" if len(nodes) > _MAX_LISTED else ""
    return f"no runtime node can take app {app_id}: {'; '.join(whys)}{more}"
