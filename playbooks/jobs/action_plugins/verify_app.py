"""Asks the app through the node's gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps import verify
from funai.runner.steps.action import StepAction

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext, StepResult


class ActionModule(StepAction):
    """``verify_app``: takes ``job_file``, the path of the job's file."""

    phase = verify.PHASE
    limit = ("verifySeconds", verify.DEFAULT_SECONDS)

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        return verify.run(context, deadline)
