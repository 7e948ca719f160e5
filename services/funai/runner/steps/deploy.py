"""Step DEPLOY: have the node's runtime-agent run the image and switch the route to it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from funai.runner.errors import AgentUnreachableError
from funai.runner.heartbeat import Backoff
from funai.runner.steps.agent import AgentAnswer, AgentClient
from funai.runner.steps.app_settings import SettingsSource
from funai.runner.steps.built import with_built_image
from funai.runner.steps.job import DeployJob
from funai.runner.steps.progress import pushed_of
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepError, StepResult, shorten

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext

PHASE = "DEPLOY"
DEFAULT_SECONDS = 120.0
DEFAULT_READY_SECONDS = 25.0
FIRST_RETRY_SECONDS = 0.2
MAX_RETRY_SECONDS = 2.0

#: The agent may do better a moment later: the engine or the gateway comes back, the other deploy ends.
RETRIED_STATUS: frozenset[int] = frozenset(
    {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}
)
#: Reason -> what the reader can do about it.
NEXT_STEP = {
    "IMAGE_NOT_FOUND": "Push the image or correct `image`, then deploy again.",
    "REGISTRY_UNAVAILABLE": "Deploy again once the registry answers.",
    "REGISTRY_DENIED": "Give the node's pull account access to the image's repository.",
    "CONTAINER_EXITED": "Read the container's log below, correct the app, then deploy again.",
    "NEVER_READY": "Let the app listen on `containerPort` on all addresses and answer GET /.",
    "DISK_FULL": "Free disk space on the node, or move the app to another one.",
    "STALE_FENCE": "Nothing to do: a newer deploy of this app has reached the node.",
    "AGENT_DENIED": "Give runner and agent the same runtime token.",
    "AGENT_REFUSED": "Correct the field that the agent names, then deploy again.",
    "AGENT_UNREACHABLE": "Look after the runtime-agent on the node, then deploy again.",
    "INVALID_REQUEST": "Correct what the agent names, then deploy again.",
    "BUSY": "Wait for the other deploy of this app to end, then deploy again.",
    "ENGINE_UNAVAILABLE": "Look after the container engine on the node, then deploy again.",
    "GATEWAY_UNAVAILABLE": "Look after the gateway on the node, then deploy again.",
}
UNCHANGED = "What ran before still serves."
_REASON_OF_STATUS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "AGENT_DENIED",
    HTTPStatus.FORBIDDEN: "AGENT_DENIED",
    HTTPStatus.CONFLICT: "BUSY",
    HTTPStatus.BAD_REQUEST: "AGENT_REFUSED",
    HTTPStatus.UNPROCESSABLE_ENTITY: "AGENT_REFUSED",
}
#: In the result: the release that the gateway names from now on, by the agent's word.
SERVED_RELEASE = "servedRelease"
RESULT_FIELDS = ("containerName", "imageDigest", "previewUrl", "durations")


def run(context: StepContext, deadline: Deadline) -> StepResult:
    """Call the agent until it says DEPLOYED, it refuses for good, or the deadline is reached."""
    job = with_built_image(context, DeployJob.parse(context.record))
    agent = AgentClient(job.agent_base_url, _token(context))
    # Whatever becomes of this job, Deploy knows of its image from here on and can have it removed.
    standing = Standing.of(context, job, pushed_of(context.job_file))
    backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
    standing.require(PHASE, deadline)
    settings = SettingsSource(context, job).fetch(standing, PHASE, deadline)
    ready_seconds = context.limit("readySeconds", DEFAULT_READY_SECONDS)
    body, calls = {**request_body(job, ready_seconds), **settings.request}, 0
    while True:
        standing.require(PHASE, deadline)
        calls += 1
        error, answer = _call(agent, job, body, deadline)
        if answer is not None and answer.status == HTTPStatus.OK:
            result = {name: answer.body[name] for name in RESULT_FIELDS if name in answer.body}
            # An agent of an earlier system names none.
            if answer.body.get("release"):
                result[SERVED_RELEASE] = answer.body["release"]
            said = shorten(f"200 {answer.body.get('status')} {answer.body.get('containerName')}")
            return StepResult({**result, **traces(job)}, said, calls)
        pause = backoff.pause()
        if not _is_retried(answer) or not deadline.allows(pause):
            raise AgentRefusedError(error, _said(answer, error), calls)
        context.pause(pause)


class AgentRefusedError(StepError):
    """The agent's last word was not DEPLOYED; ``answer`` is that word, for the journal."""

    def __init__(self, error: StepError, answer: str, calls: int) -> None:
        super().__init__(error.reason, error.sentence, error.evidence)
        self.answer = answer
        self.calls = calls


def traces(job: DeployJob) -> dict[str, Any]:
    """Return what a revision keeps of the job beside what the agent answered."""
    found = {
        "node": job.node_name,
        "release": job.release(job.commit),
        # Where the image's name says it, that is it, whatever the agent calls it.
        "imageDigest": job.image.partition("@")[2] or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def request_body(job: DeployJob, ready_seconds: float) -> dict[str, Any]:
    """Render the agent's request (contract, section 7)."""
    release = job.release(job.commit)
    return {
        "userId": job.user_id,
        "appId": job.app_id,
        "image": job.image,
        "containerPort": job.container_port,
        "basePath": job.base_path,
        "jobId": job.job_id,
        "fence": job.fence,
        "readySeconds": int(ready_seconds),
        "healthPath": job.source.health_path,
        **({"release": release} if release else {}),
    }


def explain(job: DeployJob, answer: AgentAnswer) -> StepError:
    """Turn an agent's refusal into a sentence for the person who pressed deploy."""
    reason = answer.reason or _REASON_OF_STATUS.get(answer.status, "AGENT_FAILED")
    detail = answer.body.get("detail")
    said = shorten(detail) if detail else f"the runtime-agent answered HTTP {answer.status}"
    sentence = f"{job.image} was not deployed as {job.app_id} on {_node(job)}: {said.rstrip('.')}."
    advice = NEXT_STEP.get(reason, "Read the agent's log on the node, then deploy again.")
    return StepError(reason, f"{sentence} {UNCHANGED} {advice}", _evidence(answer))


def _call(
    agent: AgentClient, job: DeployJob, body: dict[str, Any], deadline: Deadline
) -> tuple[StepError, AgentAnswer | None]:
    """Call once; the error says what to report should this have been the last try."""
    try:
        answer = agent.deploy(body, max(0.1, deadline.remaining))
    except AgentUnreachableError as exc:
        sentence = (
            f"The runtime-agent of {_node(job)} at {job.agent_base_url} did not answer the deploy of"
            f" {job.app_id}: {exc}. {NEXT_STEP['AGENT_UNREACHABLE']}"
        )
        return StepError("AGENT_UNREACHABLE", sentence), None
    return explain(job, answer), answer


def _is_retried(answer: AgentAnswer | None) -> bool:
    """No answer is retried too: the same fence makes the repeated call one and the same deploy."""
    if answer is None or answer.status in RETRIED_STATUS:
        return True
    return answer.status == HTTPStatus.CONFLICT and answer.reason in {"", "BUSY"}


def _said(answer: AgentAnswer | None, error: StepError) -> str:
    return error.reason if answer is None else f"{answer.status} {error.reason}"


def _node(job: DeployJob) -> str:
    return f"node {job.node_name}" if job.node_name else "its node"


def _evidence(answer: AgentAnswer) -> str:
    """Render the agent's evidence, logs last because the tail is what is kept."""
    evidence = answer.body.get("evidence")
    if not isinstance(evidence, dict):
        return ""
    ordered = sorted(evidence.items(), key=lambda item: len(str(item[1])))
    return "\n".join(f"{name}: {_lines(value)}" for name, value in ordered if value)


def _lines(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _token(context: StepContext) -> str:
    token = context.read_secret("RUNNER_RUNTIME_TOKEN_FILE")
    if not token:
        sentence = (
            "There is no runtime token, so the agent cannot be called. Name a file that holds it in"
            " RUNNER_RUNTIME_TOKEN_FILE."
        )
        raise StepError(reason="TOKEN_MISSING", sentence=sentence)
    return token
