"""What an app is given beside its image, asked of Deploy in the moment of its deploy.

It stays in this process: no file, variable or result of the playbook ever holds it
(docs/decisions/0021-secrets-of-a-job.md, 0070-settings-of-an-app.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from funai.runner.client import ANSWER_SECONDS, CONFLICT, NOT_FOUND, OK
from funai.runner.errors import DeployUnreachableError
from funai.runner.heartbeat import Backoff
from funai.runner.steps.standing import Standing, deploy_client
from funai.runner.steps.step import LEASE_LOST, StepError, shorten

if TYPE_CHECKING:
    from funai.runner.client import Answer
    from funai.runner.steps.job import DeployJob
    from funai.runner.steps.step import Deadline, StepContext

FIRST_RETRY_SECONDS = 0.2
MAX_RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class AppSettings:
    """An app's environment and limits."""

    #: Members of the agent's request; none for an app that has no settings.
    request: dict[str, Any] = field(default_factory=dict, repr=False)
    #: Values that must not be shown.
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, data: object) -> AppSettings | None:
        """Read Deploy's answer; None where it is none."""
        found = data if isinstance(data, dict) else {}
        environment, limits = found.get("environment"), found.get("limits")
        names = found.get("secretNames")
        if not isinstance(environment, dict) or not isinstance(limits, dict):
            return None
        if not isinstance(names, list) or not all(isinstance(v, str) for v in environment.values()):
            return None
        given = {name: value for name, value in limits.items() if value is not None}
        request: dict[str, Any] = {"environment": environment} if environment else {}
        if given:
            request["limits"] = given
        return cls(request, tuple(environment[name] for name in names if name in environment))


class SettingsSource:
    """Where the settings of a job's app come from. By hand, without Deploy, there are none."""

    def __init__(self, context: StepContext, job: DeployJob) -> None:
        self._context = context
        self._job = job
        self._client = deploy_client(context)

    def fetch(self, standing: Standing, phase: str, deadline: Deadline) -> AppSettings:
        """Return the settings; from here on the job's log shows none of their secrets.

        :raises StepError: ``LEASE_LOST``, or ``SETTINGS_UNAVAILABLE`` once Deploy has refused for
            good or the deadline is reached: an app without its settings would only break
        """
        backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
        while self._client is not None:
            try:
                answer = self._ask(min(ANSWER_SECONDS, max(0.1, deadline.remaining)))
            except DeployUnreachableError as exc:
                pause = backoff.pause()
                if not deadline.allows(pause):
                    raise self._unavailable(str(exc)) from exc
                self._context.pause(pause)
                continue
            if answer.code == NOT_FOUND:
                # An earlier Deploy has no settings; one that knows them has forgotten the job.
                standing.ask_again(phase, deadline)
                break
            return self._read(answer)
        return AppSettings()

    def hide_secrets(self) -> bool:
        """Hide the secrets in what the step is about to show; tell whether they are known now."""
        if self._client is None:
            return True
        try:
            answer = self._ask(ANSWER_SECONDS)
            if answer.code != NOT_FOUND:
                self._read(answer)
        except (DeployUnreachableError, StepError):
            return False
        return True

    def _ask(self, timeout: float) -> Answer:
        assert self._client is not None  # noqa: S101 - all callers have looked
        return self._client.app_settings(self._job.job_id, fence=self._job.fence, timeout=timeout)

    def _read(self, answer: Answer) -> AppSettings:
        if answer.code == CONFLICT:
            sentence = f"The job is no longer this runner's; Deploy says: {answer.message}"
            raise StepError(LEASE_LOST, sentence)
        said = f"{answer.code}: {answer.message}"
        settings = AppSettings.parse(answer.data) if answer.code == OK else None
        if settings is None:
            raise self._unavailable(said)
        self._context.hide(settings.secrets)
        return settings

    def _unavailable(self, why: str) -> StepError:
        sentence = (
            f"Deploy did not give the settings of {self._job.app_id}, so it was not deployed:"
            f" {shorten(why)}. What ran before still serves. Look after Deploy, then deploy again."
        )
        return StepError("SETTINGS_UNAVAILABLE", sentence)
