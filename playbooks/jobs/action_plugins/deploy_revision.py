"""Has the node's runtime-agent deploy the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps import deploy
from funai.runner.steps.action import StepAction

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext, StepResult


class ActionModule(StepAction):
    """``deploy_revision``: takes ``job_file``, the path of the job's file."""

    phase = deploy.PHASE
    limit = ("deploySeconds", deploy.DEFAULT_SECONDS)

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        return deploy.run(context, deadline)
