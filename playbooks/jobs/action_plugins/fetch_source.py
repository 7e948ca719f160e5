"""Gets the source and makes the build context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps import fetch
from funai.runner.steps.action import StepAction

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext, StepResult


class ActionModule(StepAction):
    """``fetch_source``: takes ``job_file``, the path of the job's file."""

    phase = fetch.PHASE
    limit = ("fetchSeconds", fetch.DEFAULT_SECONDS)
    overdue = fetch.OVERDUE

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        return fetch.run(context, deadline)
