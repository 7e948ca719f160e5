"""Step VERIFY: the app answers where its users will ask, through the node's gateway."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import requests

from funai.runner.heartbeat import Backoff
from funai.runner.steps.app_settings import SettingsSource
from funai.runner.steps.built import with_built_image
from funai.runner.steps.job import DeployJob
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


def run(context: StepContext, deadline: Deadline) -> StepResult:
    """Ask the health path until it answers below 500, or the deadline is reached."""
    job = with_built_image(context, DeployJob.parse(context.record))
    Standing.of(context, job).tell(PHASE)
    backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
    with requests.Session() as session:
        session.trust_env = False
        while True:
            status, seen = _ask(session, job.health_url, min(ANSWER_SECONDS, deadline.remaining))
            if 0 < status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return StepResult({"verifiedUrl": job.health_url, "verifiedStatus": status})
            pause = backoff.pause()
            if not deadline.allows(pause):
                if not SettingsSource(context, job).hide_secrets():
                    seen = NOT_SHOWN
                raise explain(job, status, seen, deadline.seconds)
            context.pause(pause)


def explain(job: DeployJob, status: int, seen: str, seconds: float) -> StepError:
    """Say what was asked and what came back."""
    said = f"answered {status}" if status else "did not answer"
    sentence = (
        f"{job.image} runs as {job.app_id}, but {job.health_url} {said} for {seconds:.0f} s when asked"
        " through the node's gateway. Look at the app's log and the gateway on the node."
    )
    return StepError("VERIFY_FAILED", sentence, seen)


def _ask(session: requests.Session, url: str, timeout: float) -> tuple[int, str]:
    """Return status and the head of the body; status 0 and the cause where nothing answers."""
    limits = (min(CONNECT_SECONDS, max(0.1, timeout)), max(0.1, timeout))
    try:
        with session.get(url, timeout=limits, allow_redirects=False, stream=True) as response:
            head = b""
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                head = next(response.iter_content(HEAD_BYTES), b"")
            return response.status_code, head.decode(errors="replace")
    except requests.RequestException as exc:
        return 0, type(exc).__name__
