"""A zygote whose children run the steps without Ansible, which takes most of a job's processor time.

Everything else of the runner, and every step, is the real thing. Some images do things to the runner
that only its host can: ``poison`` kills it (``images.py``).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from funai.runner import zygote
from funai.runner.lease import boot_clock
from funai.runner.steps import deploy, report, validate, verify
from funai.runner.steps.progress import StepRecord, begin_steps, note_step
from funai.runner.steps.step import Deadline, StepContext, StepError, StepResult
from tests.chaos import images
from tests.chaos.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[StepContext, Deadline], StepResult]

#: The supervisor that this process belongs to; a poison job kills it.
_SUPERVISOR = os.getppid()


def main() -> None:
    """Serve like ``funai.runner.zygote``."""
    zygote.preload = lambda: None
    zygote.run_playbook = run_steps
    zygote.main()


def run_steps(argv: list[str]) -> int:
    """Do what ``deploy_app.yml`` does for a job that brings its image."""
    job_file = Path(next(text for text in argv if text.startswith("job_file=")).partition("=")[2])
    record = json.loads(job_file.read_bytes())
    context = StepContext(job_file, record, boot_clock, time.sleep, _secret)
    begin_steps(job_file)
    if images.word_of(str(record["payload"]["image"])) == "poison":
        History(Path(os.environ["CHAOS_HISTORY"])).add("fault", code="F25")
        os.kill(_SUPERVISOR, signal.SIGKILL)
    steps: list[tuple[str, str, float, Step]] = [
        (validate.PHASE, "", validate.SECONDS, validate.run),
        (deploy.PHASE, "deploySeconds", deploy.DEFAULT_SECONDS, deploy.run),
        (verify.PHASE, "verifySeconds", verify.DEFAULT_SECONDS, verify.run),
    ]
    failed = not all(_do(context, *step) for step in steps)
    report.run(context, Deadline(report.SECONDS, boot_clock))
    return 2 if failed else 0


def _do(context: StepContext, phase: str, limit: str, usual: float, step: Step) -> bool:
    """Run one step and note what came of it, as ``StepAction`` does."""
    note_step(context.job_file, StepRecord(phase))
    seconds = context.limit(limit, usual)
    began_at = boot_clock()
    reason, message, said = "", "", StepResult()
    try:
        said = step(context, Deadline(seconds, boot_clock))
    except StepError as exc:
        reason, message = exc.reason, exc.text
    spent = round(boot_clock() - began_at, 3)
    record = StepRecord(phase, True, spent, reason, message, said.answer, said.calls)  # noqa: FBT003
    note_step(context.job_file, StepRecord(**{**vars(record), "result": said.result}))
    sys.stdout.write(f"{phase} {reason or 'done'}\n")
    return not reason


def _secret(name: str) -> str:
    path = os.environ.get(name, "")
    return Path(path).read_text().strip() if path else ""


if __name__ == "__main__":
    main()
