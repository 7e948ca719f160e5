"""A job as the row of steps that it took, with how long each lasted. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from funai.api.web.moments import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

QUEUED = "QUEUED"
#: Between a runner's claim and the first phase that it tells of.
START = "START"
#: In it a runner tells how the steps before it went: a job that ends then ended in one of those.
REPORT = "REPORT"
#: Once they are done they say nothing about the deploy.
_NOBODYS = frozenset({START, REPORT})
_AFTER_SOURCE = ("DEPLOY", "VERIFY")
_EXPECTED = {"image": _AFTER_SOURCE, "source": ("CLONE", "BUILD", "PUSH", *_AFTER_SOURCE)}
_ENDS = {"SUCCEEDED": "done", "FAILED": "failed", "CANCELLED": "ended"}


class StepState(StrEnum):
    """How a step stands."""

    DONE = "done"
    NOW = "now"  #: it is being done
    FAILED = "failed"  #: the job failed in it
    ENDED = "ended"  #: the job was cancelled, or its runner lost, in it
    NEXT = "next"  #: still to come


@dataclass(frozen=True)
class Step:
    """One step of a job."""

    phase: str
    state: StepState
    began_at: datetime | None = None
    ended_at: datetime | None = None
    #: Which try of the job; a new one begins where a runner was lost.
    attempt: int = 0
    #: What was said of it last.
    note: str | None = None

    @property
    def began_ms(self) -> int | None:
        """Its begin in epoch milliseconds."""
        return None if self.began_at is None else int(self.began_at.timestamp() * 1000)

    def seconds(self, now: datetime) -> float | None:
        """Return how long it took, or has taken so far."""
        if self.began_at is None:
            return None
        return ((self.ended_at or now) - self.began_at).total_seconds()


@dataclass
class _Rows:
    steps: list[Step] = field(default_factory=list)
    attempt: int = 0

    def begin(self, phase: str, at: datetime | None, note: str | None) -> None:
        self.close(StepState.DONE, at)
        self.steps.append(Step(phase, StepState.NOW, at, None, self.attempt, note))

    def close(self, state: StepState, at: datetime | None) -> None:
        """End the step in hand."""
        if self.steps and self.steps[-1].state is StepState.NOW:
            self.steps[-1] = replace(self.steps[-1], state=state, ended_at=at)

    def close_reported(self, state: StepState, at: datetime | None) -> None:
        """End the job in its last step; where that is the report, in the step that it was about."""
        is_report = len(self.steps) > 1 and self.steps[-1].phase == REPORT
        if is_report and self.steps[-1].state is StepState.NOW:
            self.steps.pop()
            # It ended when the report began, not when Deploy had taken that in.
            self.steps[-1] = replace(self.steps[-1], state=state)
        else:
            self.close(state, at)

    def shown(self) -> list[Step]:
        """Return the steps that say something about the deploy."""
        return [s for s in self.steps if s.phase not in _NOBODYS or s.state is not StepState.DONE]

    def note(self, text: str | None) -> None:
        if self.steps and text:
            self.steps[-1] = replace(self.steps[-1], note=text)


def steps_of(job: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Return a job's steps: those it took, the one in hand, and those still to come.

    :param events: of the job, oldest first
    """
    rows = _Rows()
    for event in events:
        _add(rows, event)
    if job["status"] in _ENDS:
        return rows.shown()
    return [*rows.shown(), *_to_come(job, rows)]


def _add(rows: _Rows, event: Mapping[str, Any]) -> None:
    at, status, phase = moment(event["at"]), event["toStatus"], event["phase"]
    if status in _ENDS and event.get("actor") == "deploy":
        # No report came: the runner was lost in this step, whatever the one before it came to.
        rows.close(StepState(_ENDS[status]), at)
    elif status in _ENDS:
        rows.close_reported(StepState(_ENDS[status]), at)
    elif status == "PENDING":
        rows.begin(QUEUED, at, event["reason"])
    elif status == "RUNNING":
        if rows.attempt:
            rows.close(StepState.ENDED, at)
        rows.attempt = int((event["detail"] or {}).get("attempt") or rows.attempt + 1)
        rows.note(None)
        rows.begin(START, at, None)
    elif phase and "supersededBy" not in (event["detail"] or {}):
        rows.begin(phase, at, event["reason"])
    else:
        rows.note(event["reason"])


def _to_come(job: Mapping[str, Any], rows: _Rows) -> list[Step]:
    payload = job.get("payload") or {}
    builds = not payload.get("image")
    expected = _EXPECTED["source" if builds else "image"]
    seen = [step.phase for step in rows.steps if step.attempt == rows.attempt]
    reached = max((expected.index(phase) + 1 for phase in seen if phase in expected), default=0)
    return [Step(phase, StepState.NEXT, attempt=rows.attempt) for phase in expected[reached:]]
