"""Makes a step an Ansible task: reads the job's file, keeps the deadline, notes begin and end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from funai.runner.confinement import die_with_parent
from funai.runner.lease import boot_clock
from funai.runner.redaction import Redactor, parts_of, secrets_of_files
from funai.runner.steps.log import StepLog
from funai.runner.steps.progress import StepRecord, begin_steps, note_step
from funai.runner.steps.step import Deadline, StepContext, StepError, StepResult, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: A step stops by itself at its deadline. One that does not, as when an app sends a byte a
#: second, is interrupted this much later.
GRACE_SECONDS = 3.0
SECRET_VARIABLES = ("RUNNER_TOKEN_FILE", "RUNNER_RUNTIME_TOKEN_FILE")


class StepAction(ActionBase):
    """An action plugin with no remote part. Subclasses say which step and how long it may take."""

    phase: str
    #: Name of the limit in the job's file, and its value where the file has none.
    limit: tuple[str, float]
    #: Reason of a step that had to be interrupted.
    overdue = "STEP_OVERDUE"
    is_first = False

    def step(self, context: StepContext, deadline: Deadline) -> StepResult:
        """Do the step."""
        raise NotImplementedError

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Do the step and note what came of it; a failure is the task's message."""
        _stay_with_parent()
        result: dict[str, Any] = super().run(tmp, task_vars)
        context = _context(self._task.args)
        redactor = Redactor(_secrets(context))
        if self.is_first:
            begin_steps(context.job_file)
        note_step(context.job_file, StepRecord(self.phase))
        with StepLog(_log_path(context), self.phase, redactor) as log:
            record = self._record(replace(context, say=log.say, hide=_hider(redactor)), redactor)
            record = StepRecord(**redactor.clean_value(asdict(record)))
            log.say(_last_line(record))
        note_step(context.job_file, record)
        seconds = record.seconds
        if record.reason:
            return {**result, "failed": True, "msg": record.message, "reason": record.reason}
        return {**result, "changed": bool(record.answer), "phase": self.phase, "seconds": seconds}

    def _record(self, context: StepContext, redactor: Redactor) -> StepRecord:
        began_at = context.clock()
        seconds = context.limit(*self.limit)
        reason, message, said = "", "", StepResult()
        try:
            with _interrupt_after(seconds + GRACE_SECONDS, self.phase, self.overdue):
                said = self.step(context, Deadline(seconds, context.clock))
        except StepError as exc:
            # Before it is cut: half a secret would not be known as one.
            sentence, seen = redactor.clean(exc.sentence), redactor.clean(exc.evidence)
            reason, message = exc.reason, StepError(exc.reason, sentence, seen).text
            said = StepResult({}, getattr(exc, "answer", ""), getattr(exc, "calls", 0))
        return StepRecord(
            phase=self.phase,
            ended=True,
            seconds=round(context.clock() - began_at, 3),
            reason=reason,
            message=message,
            answer=said.answer,
            calls=said.calls,
            skipped=said.skipped,
            result=said.result,
        )


class _interrupt_after:  # noqa: N801 - reads as the statement that it is
    """``with _interrupt_after(...)``: raise StepError in the block when time is up."""

    def __init__(self, seconds: float, phase: str, reason: str) -> None:
        self._seconds = seconds
        self._phase = phase
        self._reason = reason

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_exc: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt(self, _number: int, _frame: object) -> NoReturn:
        sentence = f"The step {self._phase} did not end within {self._seconds:.0f} s. Deploy again."
        raise StepError(self._reason, sentence)


def _context(args: dict[str, Any]) -> StepContext:
    job_file = Path(str(args.get("job_file", "")))
    try:
        record = json.loads(job_file.read_bytes())
    except (OSError, ValueError) as exc:
        msg = f"The job's file {job_file} cannot be read: {shorten(exc)}"
        raise AnsibleActionFail(msg) from exc
    if not isinstance(record, dict):
        msg = f"The job's file {job_file} is not a JSON object"
        raise AnsibleActionFail(msg)
    return StepContext(job_file, record, boot_clock, time.sleep, _secret_reader(record))


def _secrets(context: StepContext) -> list[str]:
    """Return what must not be kept, should an agent, an app or a build have echoed it."""
    found = secrets_of_files(context.build)
    for name in SECRET_VARIABLES:
        try:
            found.append(context.read_secret(name))
        except StepError:
            continue  # unreadable, so nobody can have been given it
    return found


def _hider(redactor: Redactor) -> Callable[[Iterable[str]], None]:
    def hide(secrets: Iterable[str]) -> None:
        redactor.add(part for secret in secrets for part in parts_of(secret))

    return hide


def _log_path(context: StepContext) -> Path:
    pipe = context.record.get("logPipe")
    return Path(pipe) if isinstance(pipe, str) and pipe else context.job_file.with_suffix(".log")


def _last_line(record: StepRecord) -> str:
    if record.reason:
        # What was seen is in the log already; the sentence is its end.
        sentence = record.message.partition("\n")[0]
        return f"Failed after {record.seconds:.1f} s: {record.reason}: {sentence}"
    if record.skipped:
        return f"Skipped: {record.skipped}"
    return f"Done in {record.seconds:.1f} s"


def _secret_reader(record: dict[str, Any]) -> Callable[[str], str]:
    """Read a secret from the file that a variable names; a job file may name the agent's too."""

    def read(name: str) -> str:
        path = os.environ.get(name, "")
        if not path and name == "RUNNER_RUNTIME_TOKEN_FILE":
            path = str(record.get("agentTokenFile") or "")
        try:
            return Path(path).read_text().strip() if path else ""
        except OSError as exc:
            sentence = f"The file that {name} names cannot be read: {exc.strerror}."
            raise StepError(reason="TOKEN_MISSING", sentence=sentence) from exc

    return read


def _stay_with_parent() -> None:
    """End when the playbook's process does. Ansible gives each task a session of its own, so a
    signal to the job's process group does not reach it.
    """  # noqa: D205 - one thought
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        die_with_parent(parent.pid)
