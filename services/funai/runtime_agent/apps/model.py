"""Apps and operations as the agent records them, and the rules of the fence. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from funai.gateway.routes import Route
from funai.runtime_agent.apps.app_settings import AppSettings
from funai.runtime_agent.errors import StaleFenceError


class AppState(StrEnum):
    """What an app should be on this node."""

    #: Nothing was deployed here yet; the row only holds the fence.
    NEW = "NEW"
    #: A container runs and the gateway routes to it.
    DEPLOYED = "DEPLOYED"
    #: The container is kept but does not run; no route.
    STOPPED = "STOPPED"
    #: No container, no route; the row only holds the fence.
    DELETED = "DELETED"


class Phase(StrEnum):
    """How far a deploy came; written before the step after it begins."""

    #: Address and container name are taken.
    PREPARED = "PREPARED"
    #: The new container was started beside the old one.
    STARTED = "STARTED"
    #: The new container answered.
    HEALTHY = "HEALTHY"
    #: The gateway serves the new container; the old ones drain.
    SWITCHED = "SWITCHED"
    #: The old containers are gone, but for the one that stays warm.
    DRAINED = "DRAINED"
    #: Old images are pruned; end.
    DONE = "DONE"
    #: The deploy failed; its container is being removed.
    UNDOING = "UNDOING"
    #: Nothing is left of it; end.
    UNDONE = "UNDONE"


#: Phases from which a crashed agent goes back.
BEFORE_SWITCH = (Phase.PREPARED, Phase.STARTED, Phase.HEALTHY, Phase.UNDOING)
#: Phases from which a crashed agent goes on.
AFTER_SWITCH = (Phase.SWITCHED, Phase.DRAINED)


@dataclass(frozen=True)
class Target:
    """Which app a request is about."""

    app_id: str
    user_id: str
    fence: int | None = None

    @property
    def legacy_names(self) -> tuple[str, str]:
        """Names that an earlier agent gave this app's container."""
        return (f"rt-u-{self.user_id}-{self.app_id}", f"rt-app-{self.app_id}")


@dataclass(frozen=True)
class DeployRequest(Target):
    """The state that a caller wants for an app."""

    image: str = ""
    port: int = 3000
    job_id: str = ""
    ready_seconds: float = 25.0
    #: What the gateway tells clients in ``X-App-Release``; empty: nothing.
    release: str = ""
    #: Where the app is asked whether it is ready.
    health_path: str = "/"
    settings: AppSettings = field(default_factory=AppSettings)

    @property
    def base_path(self) -> str:
        """The path under which the gateway serves the app, without a trailing slash."""
        return f"/apps/{self.app_id}"


@dataclass(frozen=True)
class LogsRequest:
    """What somebody wants to read of an app's log."""

    target: Target
    #: How many of the last lines.
    tail: int
    #: Whether to stay for what comes.
    follow: bool


@dataclass(frozen=True)
class PruneRequest:
    """How to prune the node."""

    dry_run: bool = False
    #: Images of each app that stay; None: as the node is set.
    keep: int | None = None


@dataclass(frozen=True)
class Setup:
    """All that makes one container of an app differ from another of the same app."""

    user_id: str
    image_digest: str
    port: int
    health_path: str
    #: Mark of its settings.
    settings: str = ""


@dataclass(frozen=True)
class Warm:
    """The container that an app's last deploy replaced; it still runs, without a route."""

    app_id: str
    container_name: str
    address: str
    port: int
    user_id: str
    image_digest: str
    image_id: str
    release: str
    health_path: str
    #: Seconds since the epoch at which it goes.
    until: float
    settings: str = ""

    @property
    def setup(self) -> Setup:
        """What a deploy must ask for to get this container."""
        return Setup(self.user_id, self.image_digest, self.port, self.health_path, self.settings)


@dataclass(frozen=True)
class KeptImage:
    """An image in the history of an app."""

    app_id: str
    image_id: str
    image_digest: str
    #: Whether the agent fetched it: only those may be removed.
    pulled: bool
    #: Seconds since the epoch when it last began to serve; 0: it never did.
    deployed_at: float


@dataclass(frozen=True)
class App:
    """One row of the app table."""

    app_id: str
    user_id: str = ""
    state: AppState = AppState.NEW
    max_fence: int = 0
    closed_fence: int = 0
    fence: int = 0
    job_id: str = ""
    container_name: str = ""
    address: str = ""
    port: int = 0
    image: str = ""
    image_digest: str = ""
    image_id: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    release: str = ""
    health_path: str = "/"
    #: Mark of the settings that its container was given; empty: none.
    settings: str = ""

    @property
    def route(self) -> str | None:
        """The map's value that the gateway should have; None for an app that is not deployed."""
        if self.state is not AppState.DEPLOYED:
            return None
        return str(Route(f"{self.address}:{self.port}", self.release))

    def runs(self, setup: Setup) -> bool:
        """Return whether this setup is what the app serves now."""
        own = Setup(self.user_id, self.image_digest, self.port, self.health_path, self.settings)
        return self.state is AppState.DEPLOYED and own == setup

    @property
    def target(self) -> Target:
        """The app as a request would name it."""
        return Target(self.app_id, self.user_id)

    def admit(self, fence: int | None) -> None:
        """Let a request through whose fence is not behind.

        :raises StaleFenceError: where a newer claim of the app was here before
        """
        if fence is not None and fence < self.max_fence:
            msg = (
                f"fence {fence} of app {self.app_id} is stale: this node has seen {self.max_fence}"
            )
            raise StaleFenceError(msg, {"fence": fence, "highestFence": self.max_fence})

    def replay(self, request: DeployRequest) -> dict[str, Any] | None:
        """Return the stored answer where the request repeats the deploy that made this state.

        :raises StaleFenceError: where its fence was used up by something else
        """
        fence = request.fence
        if fence is None or fence > self.closed_fence:
            return None
        same = (self.fence, self.image, self.port) == (fence, request.image, request.port)
        if self.state is AppState.DEPLOYED and same:
            return self.answer
        what = f"{self.state} with {self.image or 'no image'} at fence {self.fence}"
        msg = f"fence {fence} of app {self.app_id} is used up: the app is {what}"
        raise StaleFenceError(msg, {"fence": fence, "closedFence": self.closed_fence})


@dataclass(frozen=True)
class Operation:
    """One deploy in the journal."""

    id: int
    app_id: str
    user_id: str
    job_id: str
    fence: int
    phase: Phase
    container_name: str
    address: str
    port: int
    image: str
    image_digest: str
    image_id: str
    replaced: tuple[tuple[str, str], ...] = ()
    release: str = ""
    health_path: str = "/"
    #: Whether the container is a warm one: then it is not this deploy's to remove.
    reused: bool = False
    #: Mark of the settings that its container is given.
    settings: str = ""

    @property
    def endpoint(self) -> str:
        """``ipv4:port`` of the new container."""
        return f"{self.address}:{self.port}"

    @property
    def route(self) -> str:
        """The map's value for the new container."""
        return str(Route(self.endpoint, self.release))
