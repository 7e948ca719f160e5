"""Puts the image into the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps import push
from funai.runner.steps.action import StepAction

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext, StepResult


class ActionModule(StepAction):
    """``push_image``: takes ``job_file``, the path of the job's file."""

    phase = push.PHASE
    limit = ("pushSeconds", push.DEFAULT_SECONDS)
    overdue = push.OVERDUE

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        return push.run(context, deadline)
