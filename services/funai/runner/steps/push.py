"""Step PUSH: put the built image into the registry; from here on its digest counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from funai.runner.heartbeat import Backoff
from funai.runner.steps.built import image_folder, read_image, write_image
from funai.runner.steps.files import disk_errors
from funai.runner.steps.job import DeployJob
from funai.runner.steps.registry import Registry, RegistryAwayError
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepContext, StepError, StepResult

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline

PHASE = "PUSH"
DEFAULT_SECONDS = 300.0
OVERDUE = "PUSH_TIMEOUT"
#: Of a registry that breaks. One that is away is waited for: it may collect garbage for minutes.
TRIES = 3
FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 10.0
#: What a last try needs to be worth it.
TRY_SECONDS = 5.0


def run(context: StepContext, deadline: Deadline) -> StepResult:
    """Push, again where the registry may do better a moment later."""
    job = DeployJob.parse(context.record)
    if not job.builds:
        return StepResult(skipped="the job brings its image")
    image = read_image(context)
    if image.reused:
        return StepResult(skipped="the registry has the image")
    with disk_errors():
        digest = _push(context, Standing.of(context, job), image.name, deadline)
    pushed = replace(image, digest=digest)
    write_image(context, pushed)
    context.say(f"Pushed {image.name} as {digest}")
    release = job.release(image.commit or None)
    return StepResult({**pushed.result(), **({"release": release} if release else {})})


def _push(context: StepContext, standing: Standing, name: str, deadline: Deadline) -> str:
    registry = Registry(context.build, context.say)
    backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
    shortest = min(TRY_SECONDS, deadline.seconds / 10)
    failures = 0
    while True:
        standing.require(PHASE, deadline)
        context.say(f"Pushing {name}")
        try:
            return registry.push(image_folder(context), name, deadline.remaining)
        except StepError as exc:
            pause = backoff.pause()
            failures += not isinstance(exc, RegistryAwayError)
            is_final = exc.reason != "REGISTRY_UNAVAILABLE" or failures == TRIES
            if is_final or not deadline.allows(pause + shortest):
                raise
            context.say(_again(exc, name, pause, deadline))
        context.pause(pause)


def _again(exc: StepError, name: str, pause: float, deadline: Deadline) -> str:
    if not isinstance(exc, RegistryAwayError):
        return f"{exc.sentence} Trying again in {pause:.0f} s."
    host = name.partition("/")[0]
    return (
        f"{host} takes no uploads now, as while it collects garbage or starts. Waiting for it: trying"
        f" again in {pause:.0f} s, and so on for at most {deadline.remaining:.0f} s."
    )
