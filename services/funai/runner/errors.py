"""Errors of the runner's domain.

* RunnerError
  - ConfigError            a setting is missing or cannot be used
  - StateInUseError        another runner holds the state directory
  - JobMalformedError      Deploy handed out something that is not a job
  - DeployUnreachableError Deploy gave no answer that can be understood
  - AgentUnreachableError  the node's runtime-agent gave no answer
  - ExecutionError         no child can be started
"""

from __future__ import annotations


class RunnerError(Exception):
    """Base of every error that the runner expects."""


class ConfigError(RunnerError):
    """A setting is missing or cannot be used."""


class StateInUseError(RunnerError):
    """Another runner process holds the state directory."""


class JobMalformedError(RunnerError):
    """What Deploy handed out cannot be run; ``job_id`` is empty where even that is missing."""

    def __init__(self, message: str, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class DeployUnreachableError(RunnerError):
    """Deploy gave no answer, or one without the envelope of the contract.

    :param status: of the HTTP answer; 0 where there was none
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class AgentUnreachableError(RunnerError):
    """The runtime-agent gave no answer, or one that is not JSON."""


class ExecutionError(RunnerError):
    """No child can be started at present."""
