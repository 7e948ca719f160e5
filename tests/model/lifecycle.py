"""The rules of a job's life, said a second time: plain data, no clock, no database.

``exploration`` walks through all that can come of them, and the state machine of the integration tests
holds Deploy's services against them step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PENDING, RUNNING = "PENDING", "RUNNING"
SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
ENDED = frozenset({SUCCEEDED, FAILED, CANCELLED})
NEXT = {
    PENDING: frozenset({RUNNING, CANCELLED}),
    RUNNING: frozenset({SUCCEEDED, FAILED, CANCELLED}),
}


class Job(NamedTuple):
    """A job of one app; its place among the app's jobs is its number."""

    status: str = PENDING
    runner: str | None = None
    fence: int = 0
    attempt: int = 0
    #: Whether the lease has not run out.
    is_held: bool = False
    #: Whether the runner said that it changes the node.
    has_switched: bool = False
    #: Number of the job that is to take this one's place.
    rival: int | None = None
    #: Fence of the report that ended the job; None where something else did.
    ended_by: int | None = None


class App(NamedTuple):
    """An app with its jobs, oldest first."""

    jobs: tuple[Job, ...] = ()
    fence: int = 0
    crashes: int = 0
    is_paused: bool = False
    #: The fence below which the node is still to be told to do nothing more; 0: it was told.
    closing: int = 0

    def active(self, status: str) -> int | None:
        """Return the number of the job with this status, or None."""
        return next((n for n, job in enumerate(self.jobs) if job.status == status), None)


class Grant(NamedTuple):
    """What a claim gave to a runner, and what the runner shows from then on."""

    job: int
    runner: str
    #: None: a runner that knows no fences.
    fence: int | None


class Step(NamedTuple):
    """What a call did, and whether its caller is told so."""

    app: App
    is_accepted: bool


@dataclass(frozen=True)
class Rules:
    """What each call makes of an app. A subclass without one of the rules is a mutant."""

    max_attempts: int = 3
    pause_after: int = 3

    def create(self, app: App, *, supersede: bool) -> Step:
        """Add a job, beside or in the place of what has not ended."""
        running, pending = app.active(RUNNING), app.active(PENDING)
        is_free = running is None and pending is None
        if app.is_paused or not (is_free or supersede):
            return Step(app, is_accepted=False)
        new = len(app.jobs)
        if running is not None and app.jobs[running].rival is None:
            app = _with(app, running, app.jobs[running]._replace(rival=new))
        if pending is not None:
            loser = app.jobs[pending]._replace(status=CANCELLED, rival=new)
            app = _with(app, pending, loser)
        return Step(app._replace(jobs=(*app.jobs, Job())), is_accepted=True)

    def claimable(self, app: App) -> int | None:
        """Return the number of the app's job that a claim may take, or None."""
        if app.is_paused:
            return None
        running = app.active(RUNNING)
        if running is None:
            return app.active(PENDING)
        job = app.jobs[running]
        may_again = not job.is_held and job.rival is None and self.has_attempts(job)
        return running if may_again else None

    def has_attempts(self, job: Job) -> bool:
        """Tell whether the job may be claimed once more."""
        return job.attempt < self.max_attempts

    def next_fence(self, app: App) -> int:
        """Return the fence of the app's next claim."""
        return app.fence + 1

    def claim(self, app: App, runner: str) -> Step:
        """Give the claimable job to a runner."""
        number = self.claimable(app)
        if number is None:
            return Step(app, is_accepted=False)
        fence = self.next_fence(app)
        taken = app.jobs[number]._replace(
            status=RUNNING,
            runner=runner,
            fence=fence,
            attempt=app.jobs[number].attempt + 1,
            is_held=True,
            has_switched=False,
        )
        return Step(_with(app, number, taken)._replace(fence=fence), is_accepted=True)

    def is_current(self, job: Job, grant: Grant) -> bool:
        """Tell whether the grant is the newest one of the job."""
        return job.runner == grant.runner and grant.fence in (None, job.fence)

    def heartbeat(self, app: App, grant: Grant, *, switches: bool) -> Step:
        """Extend the lease; end a job that is to make room and whose node is as it was."""
        job = app.jobs[grant.job]
        if job.status != RUNNING or not self.is_current(job, grant):
            return Step(app, is_accepted=False)
        if job.rival is not None and not job.has_switched:
            return Step(self._end(app, grant.job, CANCELLED), is_accepted=False)
        if not job.is_held:
            return Step(app, is_accepted=False)
        beaten = job._replace(has_switched=job.has_switched or switches)
        return Step(_with(app, grant.job, beaten), is_accepted=True)

    def report(self, app: App, grant: Grant, status: str) -> Step:
        """Take the last word of a runner; the same again changes nothing."""
        job = app.jobs[grant.job]
        if not self.is_current(job, grant):
            return Step(app, is_accepted=False)
        if job.status == RUNNING:
            ended = self._end(app, grant.job, status, by=grant.fence)
            return Step(ended, is_accepted=True)
        return Step(app, is_accepted=job.status == status)

    def move(self, app: App, number: int, status: str) -> Step:
        """Move a job as its caller or an operator says."""
        before = app.jobs[number].status
        if before == status and status in ENDED:
            return Step(app, is_accepted=True)
        if status == RUNNING or status not in NEXT.get(before, ()):
            return Step(app, is_accepted=False)
        return Step(self._end(app, number, status), is_accepted=True)

    def agent_takes(self, fence: int, newest: int) -> bool:
        """Tell whether an agent that saw this newest fence still does what is asked with another."""
        return fence >= newest

    def expire(self, app: App) -> App:
        """Let time pass until the lease of the running job is over."""
        running = app.active(RUNNING)
        return app if running is None else _with(app, running, _unheld(app.jobs[running]))

    def reap(self, app: App) -> App:
        """End what no runner will end any more."""
        running = app.active(RUNNING)
        if running is None or app.jobs[running].is_held:
            return app
        job = app.jobs[running]
        if job.rival is not None:
            return self._end(app, running, CANCELLED)
        if self.has_attempts(job):
            return app
        crashes = app.crashes + 1
        is_paused = app.is_paused or crashes >= self.pause_after
        return self._end(app, running, FAILED)._replace(crashes=crashes, is_paused=is_paused)

    def resume(self, app: App) -> App:
        """End a pause."""
        return app._replace(is_paused=False, crashes=0) if app.is_paused else app

    def _end(self, app: App, number: int, status: str, by: int | None = None) -> App:
        ended = _unheld(app.jobs[number])._replace(status=status, ended_by=by)
        crashes = 0 if status == SUCCEEDED else app.crashes
        # An end without success takes a fence of its own, for the node to refuse what came before.
        is_closed = status != SUCCEEDED and ended.attempt > 0
        fence = self.next_fence(app) if is_closed else app.fence
        # A success shows that the node knows of its fence.
        closing = 0 if status == SUCCEEDED else app.closing
        closing = fence if is_closed else closing
        return _with(app, number, ended)._replace(crashes=crashes, fence=fence, closing=closing)


def _unheld(job: Job) -> Job:
    return job._replace(is_held=False)


def _with(app: App, number: int, job: Job) -> App:
    return app._replace(jobs=(*app.jobs[:number], job, *app.jobs[number + 1 :]))
