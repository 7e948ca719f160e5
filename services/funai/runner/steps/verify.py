"""Step VERIFY: the app answers where its users will ask, through the node's gateway."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import requests

from funai.contract.headers import APP_RELEASE
from funai.runner.heartbeat import Backoff
from funai.runner.steps import deploy
from funai.runner.steps.app_settings import SettingsSource
from funai.runner.steps.built import with_built_image
from funai.runner.steps.job import DeployJob
from funai.runner.steps.progress import read_steps
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepError, StepResult

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext

PHASE = "VERIFY"
DEFAULT_SECONDS = 15.0
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
HEAD_BYTES = 512
FIRST_RETRY_SECONDS = 0.1
MAX_RETRY_SECONDS = 1.0
NOT_SHOWN = "(the answer is not shown: Deploy did not say what is secret in it)"


class _Answer(NamedTuple):
    #: HTTP status; 0: none came.
    status: int
    #: The release that it names.
    served: str | None
    #: The head of the body, or the cause.
    seen: str


def run(context: StepContext, deadline: Deadline) -> StepResult:
    """Ask the health path until it answers below 500, or the deadline is reached.

    Where the agent said which release it serves, the answer has to be of that one: a gateway that
    does not know the app answers 404, which an app may answer as well.
    """
    job = with_built_image(context, DeployJob.parse(context.record))
    release = _served_release(context)
    Standing.of(context, job).tell(PHASE)
    backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
    with requests.Session() as session:
        session.trust_env = False
        said = _Answer(0, "", "")
        while True:
            seconds = min(ANSWER_SECONDS, deadline.remaining)
            answer = _ask(session, job.health_url, release, seconds)
            is_right = release in {None, answer.served}
            if is_right and 0 < answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return StepResult({"verifiedUrl": job.health_url, "verifiedStatus": answer.status})
            # The last one may have had too little time for any answer.
            if answer.status or not said.status or seconds == ANSWER_SECONDS:
                said = answer
            pause = backoff.pause()
            if not deadline.allows(pause):
                raise _refusal(context, job, said, release, deadline.seconds)
            context.pause(pause)


def _refusal(
    context: StepContext, job: DeployJob, said: _Answer, release: str | None, seconds: float
) -> StepError:
    seen = said.seen if SettingsSource(context, job).hide_secrets() else NOT_SHOWN
    if said.status and release not in {None, said.served}:
        seen = f"the answer was of release {said.served or 'none'}, not {release}; {seen}"
    return explain(job, said.status, seen, seconds)


def explain(job: DeployJob, status: int, seen: str, seconds: float) -> StepError:
    """Say what was asked and what came back."""
    said = f"answered {status}" if status else "did not answer"
    sentence = (
        f"{job.image} runs as {job.app_id}, but {job.health_url} {said} for {seconds:.0f} s when asked"
        " through the node's gateway. Look at the app's log and the gateway on the node."
    )
    return StepError("VERIFY_FAILED", sentence, seen)


def _served_release(context: StepContext) -> str | None:
    """Return the release that the agent said it serves, or None."""
    deployed = [step for step in read_steps(context.job_file) if step.phase == deploy.PHASE]
    found = deployed[0].result.get(deploy.SERVED_RELEASE) if deployed else None
    return found if isinstance(found, str) else None


def _is_sent_to_tls(response: requests.Response, url: str) -> bool:
    """Tell whether a gateway sends every caller to TLS, whatever it serves: it names no release then."""
    target = response.headers.get("Location", "")
    return response.is_redirect and target == url.replace("http://", "https://", 1) != url


def _ask(session: requests.Session, url: str, release: str | None, timeout: float) -> _Answer:
    """Return what came; status 0 and the cause where nothing did."""
    limits = (min(CONNECT_SECONDS, max(0.1, timeout)), max(0.1, timeout))
    try:
        with session.get(url, timeout=limits, allow_redirects=False, stream=True) as response:
            head = b""
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                head = next(response.iter_content(HEAD_BYTES), b"")
            served = (
                release if _is_sent_to_tls(response, url) else response.headers.get(APP_RELEASE, "")
            )
            return _Answer(response.status_code, served, head.decode(errors="replace"))
    except requests.RequestException as exc:
        return _Answer(0, "", type(exc).__name__)
