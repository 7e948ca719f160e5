"""What ends a command early, in words for the person who started it."""

from __future__ import annotations


class CliError(Exception):
    """A command that cannot do what it was asked.

    :param reason: what happened, to what
    :param advice: what to do next
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


class UnknownError(CliError):
    """Deploy knows nothing of what was asked for."""


class UnreachableError(CliError):
    """Deploy does not answer, or not now; the same request may succeed later.

    :param retry_seconds: after which Deploy wants to be asked again, where it said so
    """

    def __init__(self, reason: str, advice: str, retry_seconds: float = 0) -> None:
        super().__init__(reason, advice)
        self.retry_seconds = retry_seconds
