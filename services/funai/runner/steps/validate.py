"""Step VALIDATE: the job is one that this runner can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps.job import DeployJob
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepContext, StepResult

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline

PHASE = "VALIDATE"
SECONDS = 10.0


def run(context: StepContext, _deadline: Deadline) -> StepResult:
    """Check every field before anything is touched."""
    Standing.of(context, DeployJob.parse(context.record)).tell(PHASE)
    return StepResult()
