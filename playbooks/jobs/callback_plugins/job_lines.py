"""Prints one JSON line per task, for the job's log."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ansible.plugins.callback import CallbackBase

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.playbook.task import Task

DOCUMENTATION = """
name: job_lines
type: stdout
short_description: One JSON line per task
description:
  - Prints task, status, seconds and, where the task failed, its message.
"""


class CallbackModule(CallbackBase):
    """The callback that the bundle's ansible.cfg names."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "job_lines"

    def __init__(self) -> None:
        super().__init__()
        self._began_at = time.monotonic()

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:  # noqa: ARG002, FBT001 - Ansible's signature
        """Note when the task began."""
        self._began_at = time.monotonic()

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Print a task that reached its end."""
        self._print(result, "ok")

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Ansible's signature
        """Print a task that failed, with its message."""
        self._print(result, "failed")

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Print nothing: the outcome file has the sum."""

    def _print(self, result: CallbackTaskResult, status: str) -> None:
        line: dict[str, Any] = {
            "task": result.task.get_name(),
            "status": status,
            "seconds": round(time.monotonic() - self._began_at, 3),
        }
        for name in ("reason", "msg"):
            if result.result.get(name):
                line[name] = str(result.result[name])
        self._display.display(json.dumps(line))
