"""Step REPORT: write the outcome; by hand, with Deploy's address and a token, report it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.runner.client import OK
from funai.runner.errors import DeployUnreachableError
from funai.runner.heartbeat import Backoff
from funai.runner.model import ABANDONED, FAILED, SUCCEEDED, Outcome
from funai.runner.report import FINAL_CODES, report_body
from funai.runner.steps import build, deploy, fetch, push, validate, verify
from funai.runner.steps.built import free_disk
from funai.runner.steps.job import builds
from funai.runner.steps.progress import StepRecord, read_steps, result_of
from funai.runner.steps.standing import Standing, deploy_client
from funai.runner.steps.step import LEASE_LOST, Deadline, StepContext, StepError, StepResult
from funai.runner.workspace import outcome_file, write_private

if TYPE_CHECKING:
    from collections.abc import Sequence

PHASE = "REPORT"
SECONDS = 30.0
SOURCE_PHASES = (fetch.PHASE, build.PHASE, push.PHASE)
EXPECTED_PHASES = (validate.PHASE, *SOURCE_PHASES, deploy.PHASE, verify.PHASE)


def run(context: StepContext, deadline: Deadline) -> StepResult:
    """Write what came of the steps before this one."""
    free_disk(context.job_file)
    job_id, fence = identity(context.record)
    payload = context.record.get("payload")
    has_source = isinstance(payload, dict) and builds(payload)
    steps = read_steps(context.job_file)
    outcome = summarise(job_id, fence, steps if has_source else with_skipped(steps))
    if outcome.status != ABANDONED:
        outcome = _tell(context, outcome)
    write_private(outcome_file(context.job_file), outcome.to_json())
    if outcome.status != ABANDONED and not context.is_supervised:
        _report(context, outcome, deadline)
    return StepResult({"status": outcome.status})


def identity(record: dict[str, Any]) -> tuple[str, int]:
    """Return the job's id and fence, also of a job whose other fields are not valid."""
    job_id, fence = record.get("jobId", record.get("id")), record.get("fence")
    return str(job_id or "")[:64], fence if isinstance(fence, int) else 0


def with_skipped(steps: Sequence[StepRecord]) -> list[StepRecord]:
    """Return the steps of a job that brings its image, with those that it did not need.

    They were not even begun (``--skip-tags source``): each costs some 30 ms.
    """
    known = {step.phase: step for step in steps}
    skipped = (StepRecord(phase, ended=True, skipped="not needed") for phase in SOURCE_PHASES)
    before = [known.pop(validate.PHASE)] if validate.PHASE in known else []
    return [*before, *(known.pop(step.phase, step) for step in skipped), *known.values()]


def summarise(job_id: str, fence: int, steps: Sequence[StepRecord]) -> Outcome:
    """Make one outcome of the steps' records. Pure."""
    done = [step for step in steps if step.phase in EXPECTED_PHASES]
    failed = next((step for step in done if step.reason or not step.ended), None)
    status, reason, message = SUCCEEDED, "", ""
    if failed is not None and not failed.ended:
        status, reason = FAILED, "STEP_DIED"
        message = (
            f"The step {failed.phase} ended without a result. Deploy again; the job's log has more."
        )
    elif failed is not None:
        status, reason, message = FAILED, failed.reason, failed.message
        if reason == LEASE_LOST:
            status = ABANDONED
    elif len(done) < len(EXPECTED_PHASES):
        status, reason = FAILED, "STEP_MISSING"
        message = (
            "The playbook ended before all its steps had run. The job's log on the runner says why."
        )
    phases = tuple(map(_phase, done))
    return Outcome(job_id, fence, status, reason, message, phases, result_of(done))


def _phase(step: StepRecord) -> dict[str, Any]:
    entry: dict[str, Any] = {"phase": step.phase, "seconds": step.seconds}
    if step.skipped:
        entry["skipped"] = True
    if step.reason:
        entry["reason"] = step.reason
    return entry


def _tell(context: StepContext, outcome: Outcome) -> Outcome:
    """Tell Deploy the phase; a lease that turns out lost makes the outcome one to keep back."""
    try:
        Standing(context, outcome.job_id, outcome.fence).tell(PHASE)
    except StepError as exc:
        return Outcome(outcome.job_id, outcome.fence, ABANDONED, exc.reason, exc.sentence)
    return outcome


def _report(context: StepContext, outcome: Outcome, deadline: Deadline) -> None:
    client = deploy_client(context)
    if client is None or not context.read_secret("RUNNER_TOKEN_FILE"):
        return
    backoff = Backoff()
    while True:
        try:
            answer = client.report(outcome.job_id, report_body(outcome))
            said = f"{answer.code}: {answer.message}"
        except DeployUnreachableError as exc:
            answer, said = None, str(exc)
        if answer is not None and answer.code == OK:
            return
        pause = backoff.pause()
        if (answer is not None and answer.code in FINAL_CODES) or not deadline.allows(pause):
            sentence = (
                f"The outcome is {outcome.status}, but Deploy did not take it. It stays on disk."
            )
            raise StepError(reason="REPORT_REFUSED", sentence=sentence, evidence=said)
        context.pause(pause)
