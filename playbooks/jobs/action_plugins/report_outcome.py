"""Writes the job's outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funai.runner.steps import report
from funai.runner.steps.action import StepAction

if TYPE_CHECKING:
    from funai.runner.steps.step import Deadline, StepContext, StepResult


class ActionModule(StepAction):
    """``report_outcome``: takes ``job_file``, the path of the job's file."""

    phase = report.PHASE
    limit = ("reportSeconds", report.SECONDS)

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        return report.run(context, deadline)
