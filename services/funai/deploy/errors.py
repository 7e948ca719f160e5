"""What Deploy refuses or fails at, and the code each has on the wire.

* DeployError                500
  - InvalidRequestError      400
  - UnauthorizedError        401
  - NotFoundError            404
  - ConflictError            409
  - BodyTooLargeError        413
  - AgentFailedError         500, HTTP 502
  - UnavailableError         503
    - DatabaseAwayError      503
    - DatabaseBusyError      503
"""

from __future__ import annotations

from typing import ClassVar


class DeployError(Exception):
    """Base of every error a caller may see; its text says what happened, to what, what to do."""

    code: ClassVar[int] = 500
    http_status: ClassVar[int] = 500


class InvalidRequestError(DeployError):
    """The request breaks a rule; the text names field and rule."""

    code = 400
    http_status = 400


class UnauthorizedError(DeployError):
    """The caller showed no proof, or a wrong one."""

    code = 401
    http_status = 401


class NotFoundError(DeployError):
    """The thing named in the request does not exist."""

    code = 404
    http_status = 404


class ConflictError(DeployError):
    """The request does not fit the current state."""

    code = 409
    http_status = 409


class BodyTooLargeError(DeployError):
    """The body is longer than this endpoint reads."""

    code = 413
    http_status = 413


class AgentFailedError(DeployError):
    """A node's agent did not do what Deploy asked of it."""

    code = 500
    http_status = 502


class UnavailableError(DeployError):
    """Something that Deploy needs is away for now: its database, or a free place to wait."""

    code = 503
    http_status = 503
    #: Seconds, for the header ``Retry-After``.
    retry_after: ClassVar[int] = 1


class DatabaseAwayError(UnavailableError):
    """The database went, or its answer did: what was asked of it may have been done."""


class DatabaseBusyError(UnavailableError):
    """Other transactions were in the way for too long; nothing was done."""
