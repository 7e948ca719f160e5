"""Checks the job's fields before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps import validate
from funai.runner.steps.action import StepAction

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext, StepResult


class ActionModule(StepAction):
    """``validate_job``: takes ``job_file``, the path of the job's file."""

    phase = validate.PHASE
    limit = ("validateSeconds", validate.SECONDS)
    is_first = True

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        return validate.run(context, deadline)
