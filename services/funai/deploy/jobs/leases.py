"""Use cases of runners on jobs: claim, heartbeat, report."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from funai.contract.status import JobStatus
from funai.deploy.errors import ConflictError, DatabaseBusyError, DeployError
from funai.deploy.events import repository as events
from funai.deploy.events.model import Event
from funai.deploy.jobs.candidates import Candidate, candidates
from funai.deploy.jobs.ending import end_job
from funai.deploy.jobs.model import Ending, JobView, is_replay, lost_lease, superseded
from funai.deploy.jobs.repository import AppRunRepository, JobRepository
from funai.deploy.jobs.service import unknown_job
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.placements.leftovers import LeftoverRepository
from funai.deploy.placements.model import Chosen, Room, Waiting, decide
from funai.deploy.placements.repository import AppRepository, PlacementRepository
from funai.deploy.revisions.recording import keep_late
from funai.deploy.routes_table.repository import bump_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Extension, Job, Report
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts
    from funai.deploy.placements.model import AppRow
    from funai.deploy.runners.service import RunnerService

_LOG = logging.getLogger(__name__)
#: Claimable jobs that are looked at together, and pages of them in one look, which also say why each
#: waits. However many wait for a node, one that some node takes is found behind them.
_PAGE = 100
_PAGES = 10
#: A node that does not answer holds up claims on it until it was asked in vain, not this request.
_HEARING_SECONDS = 2.0
_LEFT_ALONE_SECONDS = 10.0


@dataclass(frozen=True)
class _Survey:
    """What a look for work saw, without locks."""

    candidates: list[Candidate]
    nodes: list[Node]
    load: Mapping[int, int]

    def decide(self, app_id: str, placed_on: int | None) -> Chosen | Waiting:
        return decide(app_id, placed_on, self.nodes, self.load)


@dataclass(frozen=True)
class _Claim:
    """Who claims, for how long."""

    runner_id: str
    lease_seconds: int


class LeaseService:
    """Hands jobs to runners and hears from them."""

    def __init__(self, parts: Parts, runners: RunnerService) -> None:
        self._parts = parts
        self._runners = runners
        #: Until when apps are passed over whose job could not be claimed, for a reason of their own.
        self._left_alone: dict[str, float] = {}

    def claim(
        self,
        runner_id: str,
        lease_seconds: int,
        wait_seconds: float,
        is_caller_there: Callable[[], bool] = lambda: True,
    ) -> JobView | None:
        """Give the runner the oldest job that some node can take; None where there is none.

        :param wait_seconds: how long to wait for one
        :param is_caller_there: asked before each look; a caller that has gone gets no job
        :raises UnavailableError: where too many claims wait already
        """
        self._runners.touch(runner_id)
        claim = _Claim(runner_id, lease_seconds)
        claimed = self._parts.work_available.wait_for(
            lambda: self._look(claim) if is_caller_there() else None, wait_seconds
        )
        if claimed is not None:
            self._parts.metrics.transitions.labels(JobStatus.PENDING, JobStatus.RUNNING).inc()
            self._parts.routes_changed.ring()
        return claimed

    def _look(self, claim: _Claim) -> JobView | None:
        for page in range(_PAGES):
            survey = self._parts.database.run(partial(self._survey, offset=page * _PAGE))
            claimed = self._try_all(claim, survey)
            if claimed is not None or len(survey.candidates) < _PAGE:
                return claimed
        return self._try_all(claim, self._parts.database.run(self._survey_of_room))

    def _try_all(self, claim: _Claim, survey: _Survey) -> JobView | None:
        tries = (self._try_safely(claim, candidate, survey) for candidate in survey.candidates)
        return next((claimed for claimed in tries if claimed is not None), None)

    def _survey(self, connection: Connection, offset: int) -> _Survey:
        limits = self._parts.settings.limits
        found = candidates(connection, limits.max_attempts, _PAGE, offset)
        if not found:
            return _Survey([], [], {})
        nodes = NodeRepository(connection, self._parts.node_stale).all()
        return _Survey(found, nodes, PlacementRepository(connection).load())

    def _survey_of_room(self, connection: Connection) -> _Survey:
        limits = self._parts.settings.limits
        nodes = NodeRepository(connection, self._parts.node_stale).all()
        found = candidates(connection, limits.max_attempts, _PAGE, 0, Room.on(nodes))
        return _Survey(found, nodes, PlacementRepository(connection).load())

    def _try_safely(self, claim: _Claim, candidate: Candidate, survey: _Survey) -> JobView | None:
        """Try one; whatever is wrong with it, later ones get their turn."""
        app_id = candidate.app_id
        if time.monotonic() < self._left_alone.get(app_id, 0.0):
            return None
        self._left_alone.pop(app_id, None)
        try:
            return self._try(claim, candidate, survey)
        except DatabaseBusyError as exc:
            # A transaction that died with its host keeps a row for as long as the server lets it.
            fields = {"jobId": candidate.job_id, "appId": app_id, "error": str(exc)}
            _LOG.warning("an app's row is locked; its job has to wait", extra={"fields": fields})
        except DeployError:
            raise
        except Exception:  # noqa: BLE001 - see above; it is logged
            fields = {"jobId": candidate.job_id, "appId": app_id}
            _LOG.exception("a job cannot be claimed", extra={"fields": fields})
        self._left_alone[app_id] = time.monotonic() + _LEFT_ALONE_SECONDS
        return None

    def _try(self, claim: _Claim, candidate: Candidate, survey: _Survey) -> JobView | None:
        decision = survey.decide(candidate.app_id, candidate.placed_on)
        if isinstance(decision, Chosen):
            # Only in the first moment after Deploy's start, or after its database was away.
            if not self._parts.hearing.wait(decision.node.id, _HEARING_SECONDS):
                return None
            return self._parts.database.run(
                lambda c: self._take(c, claim, candidate, survey), patient=False
            )
        if candidate.reason != decision.reason:
            self._parts.database.run(lambda c: explain(c, candidate, decision), patient=False)
        return None

    def _take(
        self, connection: Connection, claim: _Claim, candidate: Candidate, survey: _Survey
    ) -> JobView | None:
        app_id, limits = candidate.app_id, self._parts.settings.limits
        jobs, placements = JobRepository(connection), PlacementRepository(connection)
        row = AppRepository(connection).lock(app_id)
        before = jobs.get(candidate.job_id)
        decision = survey.decide(app_id, placements.node_of(app_id))
        if before is None or isinstance(decision, Waiting):
            return None
        if row.pause is not None:
            return None
        if before.superseded_by is not None or _is_blocked(before, jobs.running_of(app_id)):
            return None
        node = decision.node
        taken = jobs.take(
            candidate.job_id,
            runner_id=claim.runner_id,
            lease_seconds=claim.lease_seconds,
            fence=row.fence + 1,
            node_id=node.id,
            limit=limits.max_attempts,
        )
        after = jobs.get(candidate.job_id)
        if not taken or after is None:
            return None
        placements.put(app_id, node.id)
        self._record_claim(connection, before, after, node)
        self._change_app(connection, row, node)
        return JobView(
            after, node, lease_seconds=claim.lease_seconds, max_attempts=limits.max_attempts
        )

    def _record_claim(self, connection: Connection, before: Job, taken: Job, node: Node) -> None:
        events.record(
            connection,
            Event(
                job_id=taken.id,
                app_id=taken.app_id,
                actor=f"runner:{taken.runner_id}",
                from_status=before.status,
                to_status=JobStatus.RUNNING,
                reason=f"claimed, attempt {taken.attempt}",
                detail={
                    "fence": taken.fence,
                    "attempt": taken.attempt,
                    "node": node.name,
                    "previousRunner": before.runner_id,
                },
            ),
        )
        AppRunRepository(connection).follow(taken, JobStatus.RUNNING)

    def _change_app(self, connection: Connection, row: AppRow, node: Node) -> None:
        """Raise the fence; make the route where the app has none yet."""
        values: dict[str, int | str | None] = {"fence": row.fence + 1}
        LeftoverRepository(connection).forget_on(row.app_id, node.id)
        if row.route_node_id is None:
            values["route_node_id"] = node.id
        AppRepository(connection).change(row.app_id, **values)
        if row.route_node_id is None:
            bump_version(connection)

    def heartbeat(self, beat: Extension) -> JobView:
        """Extend the lease of the runner that holds it.

        :raises NotFoundError: where there is no such job
        :raises ConflictError: where the caller does not hold the lease any more
        """
        self._runners.touch(beat.runner_id)
        try:
            after = self._parts.database.run(lambda c: self._extend(c, beat))
        except ConflictError:
            if beat.pushed:
                self._parts.database.run(lambda c: self._keep_image(c, beat))
            raise
        if after.status is JobStatus.CANCELLED:
            self._parts.metrics.transitions.labels(JobStatus.RUNNING, after.status).inc()
            self._parts.ring_all()
            raise lost_lease(after, beat.runner_id, beat.fence)
        return JobView(after, with_node=False)

    def _extend(self, connection: Connection, beat: Extension) -> Job:
        jobs = JobRepository(connection)
        before = jobs.get(beat.job_id)
        if before is None:
            raise unknown_job(beat.job_id)
        if before.may_be_superseded and self._make_room(connection, before, beat):
            return jobs.get(beat.job_id) or before
        if not jobs.extend(beat):
            raise lost_lease(jobs.get(beat.job_id) or before, beat.runner_id, beat.fence)
        after = jobs.get(beat.job_id) or before
        if after.phase != before.phase or _names_news(connection, beat):
            self._record_phase(connection, before, beat)
        return after

    def _make_room(self, connection: Connection, unlocked: Job, beat: Extension) -> bool:
        """Cancel a superseded job now that its runner asks and stops; tell whether it was done."""
        AppRepository(connection).lock(unlocked.app_id)
        found = JobRepository(connection).get(beat.job_id)
        if found is None or found.runner_id != beat.runner_id or not found.may_be_superseded:
            return False
        if beat.fence is not None and beat.fence != found.fence:
            return False
        ending = superseded(found)
        if beat.pushed:
            ending = replace(ending, detail={**ending.detail, "result": beat.pushed})
        return end_job(connection, found, ending, self._parts.notices)

    def _keep_image(self, connection: Connection, beat: Extension) -> None:
        """Remember the image that a refused heartbeat names: its runner says nothing more of it."""
        jobs = JobRepository(connection)
        unlocked = jobs.get(beat.job_id)
        if unlocked is None:
            return
        AppRepository(connection).lock(unlocked.app_id)
        found = jobs.get(beat.job_id) or unlocked
        if (found.runner_id, found.fence) != (beat.runner_id, beat.fence):
            return
        if found.status.ended:
            keep_late(connection, found, beat.pushed)
        elif _names_news(connection, beat):
            self._record_phase(connection, found, beat)

    def _record_phase(self, connection: Connection, job: Job, beat: Extension) -> None:
        events.record(
            connection,
            Event(
                job_id=job.id,
                app_id=job.app_id,
                actor=f"runner:{beat.runner_id}",
                from_status=JobStatus.RUNNING,
                to_status=None,
                phase=beat.phase or job.phase,
                reason=beat.phase_message,
                detail={
                    "attempt": job.attempt,
                    "fence": job.fence,
                    **({"result": beat.pushed} if beat.pushed else {}),
                },
            ),
        )

    def report(self, report: Report) -> JobView:
        """Take a runner's final word; the same word again changes nothing.

        :raises NotFoundError: where there is no such job
        :raises ConflictError: where the caller does not hold the job any more
        """
        self._runners.touch(report.runner_id)

        def work(connection: Connection) -> tuple[bool, JobView]:
            jobs = JobRepository(connection)
            unlocked = jobs.get(report.job_id)
            if unlocked is None:
                raise unknown_job(report.job_id)
            AppRepository(connection).lock(unlocked.app_id)
            found = jobs.get(report.job_id) or unlocked
            holds = found.status is JobStatus.RUNNING and found.runner_id == report.runner_id
            current = report.fence is None or report.fence == found.fence
            ended = holds and current
            ended = ended and end_job(connection, found, _ending(report), self._parts.notices)
            if not ended and not is_replay(found, report):
                raise lost_lease(found, report.runner_id, report.fence)
            view = jobs.view(report.job_id, self._parts.node_stale)
            return ended, view or JobView(found)

        ended, view = self._parts.database.run(work)
        if ended:
            self._parts.metrics.transitions.labels(JobStatus.RUNNING, report.status).inc()
            self._parts.ring_all()
        return view


def _names_news(connection: Connection, beat: Extension) -> bool:
    """Tell whether the heartbeat names an image that none before it has named."""
    return bool(beat.pushed) and events.pushed_by(connection, beat.job_id) != beat.pushed


def _is_blocked(job: Job, running: Job | None) -> bool:
    """Tell whether the job waits for another one of its app."""
    return running is not None and running.id != job.id


def explain(connection: Connection, candidate: Candidate, waiting: Waiting) -> None:
    """Write down why a job waits, where that is news."""
    jobs = JobRepository(connection)
    if not jobs.explain(candidate.job_id, candidate.status, waiting.code, waiting.reason):
        return
    events.record(
        connection,
        Event(
            job_id=candidate.job_id,
            app_id=candidate.app_id,
            actor="deploy",
            from_status=candidate.status,
            to_status=None,
            reason=waiting.reason,
            detail={"reasonCode": waiting.code},
        ),
    )


def _ending(report: Report) -> Ending:
    failed = report.status is JobStatus.FAILED
    error = report.error_message
    if failed and not error:
        error = "the runner reported FAILED without saying why; see its log"
    return Ending(
        status=report.status,
        actor=f"runner:{report.runner_id}",
        error_message=error if failed else None,
        reason_code=report.reason_code,
        detail={"fence": report.fence, "result": report.result},
    )
