"""Errors of the agent's domain, each with the HTTP status and the reason code a caller sees."""

from __future__ import annotations

from typing import Any, ClassVar


class AgentError(Exception):
    """Base of every error a caller may see.

    :param detail: one sentence for people
    :param evidence: what was observed, for people and for the job's record
    """

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, detail: str, evidence: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.evidence = evidence or {}

    def as_answer(self) -> dict[str, Any]:
        """Return the JSON body of the error."""
        return {"detail": self.detail, "reason": self.reason, "evidence": self.evidence}


class InvalidRequestError(AgentError):
    """A field is missing or breaks its rule."""

    status = 422
    reason = "INVALID_REQUEST"


class UnauthorizedError(AgentError):
    """The token is wrong or missing."""

    status = 401
    reason = "UNAUTHORIZED"


class StaleFenceError(AgentError):
    """The caller's claim is over: a newer one, or a stop, came after it."""

    status = 409
    reason = "STALE_FENCE"


class BusyError(AgentError):
    """Another operation on this app is running."""

    status = 409
    reason = "BUSY"


class AppNotFoundError(AgentError):
    """The node has no container of the app."""

    status = 404
    reason = "APP_NOT_FOUND"


class TooManyFollowersError(AgentError):
    """As many callers follow logs as may."""

    status = 503
    reason = "TOO_MANY_FOLLOWERS"


class ImageNotFoundError(AgentError):
    """The registry has no such image."""

    status = 404
    reason = "IMAGE_NOT_FOUND"


class RegistryUnavailableError(AgentError):
    """The registry does not answer, or broke off."""

    status = 502
    reason = "REGISTRY_UNAVAILABLE"


class RegistrySilentError(RegistryUnavailableError):
    """The registry hung for so long that another try would only take as long again."""


class RegistryDeniedError(AgentError):
    """The registry refuses this node's credentials."""

    status = 502
    reason = "REGISTRY_DENIED"


class ContainerExitedError(AgentError):
    """The new container ended before it answered."""

    status = 500
    reason = "CONTAINER_EXITED"


class NeverReadyError(AgentError):
    """The new container did not answer properly before the deadline."""

    status = 504
    reason = "NEVER_READY"


class EngineUnavailableError(AgentError):
    """The container engine cannot be reached."""

    status = 503
    reason = "ENGINE_UNAVAILABLE"


class EngineSilentError(EngineUnavailableError):
    """The container engine took a call and did not answer it in time; others it may answer."""


class EngineFailedError(AgentError):
    """The container engine refused an operation."""

    status = 500
    reason = "ENGINE_FAILED"


class SettingsLostError(AgentError):
    """Nothing on the node tells with which settings an app's container has to be made."""

    reason = "SETTINGS_LOST"


class RouteFailedError(AgentError):
    """The node's gateway does not serve the app as it should."""

    status = 503
    reason = "GATEWAY_UNAVAILABLE"


class DiskFullError(AgentError):
    """The node has no room left."""

    status = 507
    reason = "DISK_FULL"


class StoppingError(AgentError):
    """The agent is shutting down."""

    status = 503
    reason = "AGENT_STOPPING"
