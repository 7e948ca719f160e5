"""What Deploy knows of an app. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from funai.deploy.nodes.model import Node


@dataclass(frozen=True)
class AppRun:
    """The last-known row of an app."""

    app_id: str
    node_id: int | None = None
    last_job_id: str | None = None
    last_job_status: str | None = None
    last_error: str | None = None
    #: Epoch milliseconds; only moved by success.
    last_deployed_at: int | None = None
    last_active_at: int | None = None


@dataclass(frozen=True)
class Home:
    """Where an app is placed, and the fence that a call about it carries."""

    app_id: str
    node: Node | None
    fence: int = 0
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Purged:
    """Rows that went."""

    jobs: int
    app_runs: int
    placements: int


@dataclass(frozen=True)
class AgentAnswer:
    """What came of a call to an agent."""

    success: bool
    response: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    #: HTTP status; None where there was no answer.
    status: int | None = None

    def evidence(self, name: str) -> object:
        """Return what an agent observed when it refused."""
        found = self.response.get("evidence")
        return found.get(name) if isinstance(found, dict) else None


@dataclass(frozen=True)
class Closing:
    """A claimed job that ended without success, of which its node is to carry out nothing more."""

    app_id: str
    job_id: str
    node_id: int
    #: Above that of every claim of the job.
    fence: int
    user_id: str = "0"
