"""What the API entry refuses or fails at.

* ApiError                   500
  - InvalidInputError        400
  - SignInRequiredError      401
  - ForbiddenError           403
  - UnknownError             404
  - ConflictingError         409
  - TooManyError             429
  - DeployRefusedError       what Deploy said
  - DeployAwayError          503
  - BusyError                503
"""

from __future__ import annotations


class ApiError(Exception):
    """Base of every error that a user may see; its text says what happened and what to do next."""

    status: int = 500
    #: Seconds to wait before another try; None: waiting does not help.
    retry_after: int | None = None


class InvalidInputError(ApiError):
    """An input breaks a rule.

    :param field: the input's name, as the form and the JSON have it
    """

    status = 400

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class SignInRequiredError(ApiError):
    """Nobody is signed in, or the token is wrong."""

    status = 401


class ForbiddenError(ApiError):
    """Who is signed in may not do this."""

    status = 403


class UnknownError(ApiError):
    """The thing named does not exist, or not for this account."""

    status = 404


class ConflictingError(ApiError):
    """The request does not fit the current state."""

    status = 409


class TooManyError(ApiError):
    """Too many tries.

    :param retry_after: seconds to wait
    """

    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeployRefusedError(ApiError):
    """Deploy said no; its code and its sentence."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.status = code


class DeployAwayError(ApiError):
    """Deploy does not answer, or answers what is not its envelope."""

    status = 503
    retry_after = 2


class BusyError(ApiError):
    """More is asked for at once than there is room for; nothing was changed."""

    status = 503
    retry_after = 5
