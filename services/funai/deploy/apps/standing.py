"""What runs of an app now, and why: the answer in a word and in a sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from funai.contract.status import STOPPED, JobStatus
from funai.deploy.wire import iso, keep_head

if TYPE_CHECKING:
    from funai.deploy.apps.model import AppRun
    from funai.deploy.jobs.model import Job
    from funai.deploy.nodes.model import Node
    from funai.deploy.placements.model import Pause
    from funai.deploy.revisions.model import Revision

_MAX_ERROR = 200


class AppState(StrEnum):
    """How an app stands, as far as Deploy was told."""

    RUNNING = "RUNNING"  #: a revision serves
    DEPLOYING = "DEPLOYING"  #: a job has not ended; until it does, what served before it serves
    STOPPED = "STOPPED"  #: by its caller
    NOT_RUNNING = "NOT_RUNNING"  #: no job of it has succeeded yet


@dataclass(frozen=True)
class Standing:
    """What Deploy knows of an app."""

    run: AppRun
    revision: Revision | None = None
    #: The job that has not ended; of two the one that runs.
    job: Job | None = None
    #: Where the app's requests go, or, without a route, where its newest job ran.
    node: Node | None = None
    #: Why no job of it is taken until somebody resumes it.
    pause: Pause | None = None
    #: A job whose version serves although the job did not succeed.
    unconfirmed_job_id: str | None = None

    @property
    def state(self) -> AppState:
        """How the app stands."""
        if self.job is not None:
            return AppState.DEPLOYING
        if self._is_stopped:
            return AppState.STOPPED
        return AppState.RUNNING if self._ran else AppState.NOT_RUNNING

    @property
    def reason(self) -> str:
        """Say in one sentence what runs and why."""
        job = self.job
        if job is not None:
            phase = f" in phase {job.phase}" if job.phase else ""
            return f"job {job.id} is {job.status}{phase}; until it ends, {self._meanwhile()}"
        if self._is_stopped:
            what = self.revision.name if self.revision else f"job {self.run.last_job_id}"
            return f"the app was stopped; what ran last is {what}{self._failure()}"
        if not self._ran:
            return f"nothing of the app has run yet{self._failure()}"
        return f"{self._running()}{self._failure()}"

    @property
    def _is_stopped(self) -> bool:
        stopped = self.revision is not None and self.revision.stopped_at is not None
        return stopped or self.run.last_job_status == STOPPED

    @property
    def _ran(self) -> bool:
        known = self.revision is not None or self.run.last_deployed_at is not None
        return known or self.unconfirmed_job_id is not None

    def _running(self) -> str:
        found = self.revision
        if self.unconfirmed_job_id is not None:
            before = f"; {found.name} is the newest that succeeded" if found else ""
            return (
                f"the version of job {self.unconfirmed_job_id} serves, which is no success that is"
                " known: the job was cut off after the switch, or Deploy's database was restored"
                f" from a time before it{before}; deploy again or roll back"
            )
        if found is None:
            return (
                "the app runs what its last successful job deployed, which was before revisions were"
                " kept; the next deploy makes the first"
            )
        why = found.activation or f"deployed by job {found.job_id}"
        return f"{found.name} runs since {iso(found.activated_at)}: {why}"

    def _meanwhile(self) -> str:
        if self._is_stopped:
            return "the app stays stopped"
        if self.unconfirmed_job_id is not None:
            return f"the version of job {self.unconfirmed_job_id} serves"
        if self.revision is not None:
            return f"{self.revision.name} serves"
        return "what ran before it serves" if self._ran else "nothing serves"

    def _failure(self) -> str:
        run = self.run
        if run.last_job_status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
            return ""
        lines = (run.last_error or "").strip().splitlines()
        error = f": {keep_head(lines[0], _MAX_ERROR)}" if lines else ""
        return f"; its newest job {run.last_job_id} is {run.last_job_status}{error}"
