"""Has the builder make the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps import build
from funai.runner.steps.action import StepAction

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext, StepResult


class ActionModule(StepAction):
    """``build_image``: takes ``job_file``, the path of the job's file."""

    phase = build.PHASE
    limit = ("buildSeconds", build.DEFAULT_SECONDS)
    overdue = build.OVERDUE

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        return build.run(context, deadline)
