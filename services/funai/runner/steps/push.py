"""Step PUSH: put the built image into the registry; from here on its digest counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from funai.runner.heartbeat import Backoff
from funai.runner.steps.built import image_folder, read_image, write_image
from funai.runner.steps.files import disk_errors
from funai.runner.steps.job import DeployJob
from funai.runner.steps.registry import Registry
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepContext, StepError, StepResult

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline

PHASE = "PUSH"
DEFAULT_SECONDS = 300.0
OVERDUE = "PUSH_TIMEOUT"
TRIES = 3
FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 5.0


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
    tries = 0
    while True:
        standing.require(PHASE, deadline)
        context.say(f"Pushing {name}")
        tries += 1
        try:
            return registry.push(image_folder(context), name, deadline.remaining)
        except StepError as exc:
            pause = backoff.pause()
            is_final = exc.reason != "REGISTRY_UNAVAILABLE" or tries == TRIES
            if is_final or not deadline.allows(pause):
                raise
            context.say(f"{exc.sentence} Trying again.")
        context.pause(pause)
