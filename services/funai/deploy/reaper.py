"""The reaper: ends what is past a limit, says why the rest waits, forgets what is old."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from funai.background import keep_running
from funai.contract.status import JobStatus, NodeHealth
from funai.deploy.errors import DatabaseAwayError, UnavailableError
from funai.deploy.events import repository as events
from funai.deploy.job_logs.repository import delete_old_logs
from funai.deploy.jobs import model
from funai.deploy.jobs.candidates import Candidate, candidates
from funai.deploy.jobs.ending import end_job
from funai.deploy.jobs.leases import explain
from funai.deploy.jobs.model import Ending
from funai.deploy.jobs.pausing import count_crash
from funai.deploy.jobs.repository import JobRepository
from funai.deploy.nodes import absence
from funai.deploy.nodes.repository import NodeRepository
from funai.deploy.notifications import repository as deliveries
from funai.deploy.notifications.notices import tell_node
from funai.deploy.placements.model import Waiting, decide
from funai.deploy.placements.repository import AppRepository, PlacementRepository
from funai.deploy.retention.model import EVENT_DAYS, LOG_DAYS
from funai.deploy.runners import repository as runners

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from funai.deploy.jobs.model import Job
    from funai.deploy.nodes.model import Node
    from funai.deploy.parts import Parts

_LOG = logging.getLogger(__name__)
_BATCH = 50
#: Rounds between two sweeps of old rows.
_SWEEP_ROUNDS = 30
_EVENT_BATCH = 1000
_DELIVERY_BATCH = 500
_DELIVERY_ROUNDS = 20


class Reaper:
    """Runs rounds until it is stopped. Several reapers do no harm: every change is a compare-and-set."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stop = threading.Event()
        self._rounds = 0
        #: Jobs that may be claimed and were looked at in the rounds before: each looks at the next.
        self._looked_at = 0

    def start(self) -> threading.Thread:
        """Run rounds in a thread of their own."""
        return keep_running("reaper", self._run, self._stop)

    def stop(self) -> None:
        """End after the current round; safe in a signal handler."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._parts.settings.limits.reaper):
            try:
                self.round()
            except (UnavailableError, DBAPIError) as exc:
                self._parts.metrics.database_up.set(0)
                _LOG.warning("reaper's round failed", extra={"fields": {"error": str(exc)}})

    def round(self) -> None:
        """Do one round."""
        self._mark()
        self._end_overdue()
        self._explain_waiting()
        self._measure()
        self._rounds += 1
        if self._rounds % _SWEEP_ROUNDS == 1:
            self._sweep()

    def _mark(self) -> None:
        """Note that Deploy is here, where that is due: before anybody is judged after an absence."""
        if self._parts.absence.is_due:
            self._parts.absence.note(self._parts.database.run(absence.mark))

    def _end_overdue(self) -> None:
        limits = self._parts.settings.limits
        for job in self._parts.database.run(
            lambda c: JobRepository(c).overdue(limits.max_attempts, limits.max_running, _BATCH)
        ):
            self._do(partial(self._reap, seen=job), jobId=job.id, appId=job.app_id)
            # The app's next job may have waited for this end.
            self._parts.work_available.ring()

    def _explain_waiting(self) -> None:
        count, unexplained = self._parts.database.run(self._unexplained)
        self._looked_at = self._looked_at + count if count == _BATCH else 0
        for found, why in unexplained:
            work = partial(explain, candidate=found, waiting=why)
            self._do(work, jobId=found.job_id, appId=found.app_id)

    def _do(self, work: Callable[[Connection], object], **fields: object) -> None:
        """Do one thing of many: where somebody holds its rows, the others get their turn."""
        self._mark()
        try:
            self._parts.database.run(work)
        except DatabaseAwayError:
            raise
        except UnavailableError as exc:
            _LOG.warning("reaper passes over", extra={"fields": {**fields, "error": str(exc)}})
        except Exception:  # noqa: BLE001 - see above; it is logged
            _LOG.exception("reaper passes over", extra={"fields": fields})

    def _reap(self, connection: Connection, seen: Job) -> None:
        limits = self._parts.settings.limits
        AppRepository(connection).lock(seen.app_id)
        jobs = JobRepository(connection)
        job = jobs.get(seen.id)
        if job is None or job.status is not JobStatus.RUNNING or job.attempt != seen.attempt:
            return
        if jobs.has_run_too_long(job.id, limits.max_running):
            self._fail(connection, job, *_too_long(job, limits.max_running))
        elif job.lease_expire_at != seen.lease_expire_at:
            return  # A heartbeat came in between.
        elif job.superseded_by is not None:
            end_job(connection, job, model.superseded(job), self._parts.notices)
        elif self._parts.absence.lasts:
            return  # Its runner may be alive: Deploy was not here to hear it.
        elif job.attempt >= limits.max_attempts:
            self._fail(connection, job, *_exhausted(job))
        else:
            self._note_expiry(connection, job)

    def _fail(self, connection: Connection, job: Job, code: str, text: str) -> None:
        ending = Ending(
            status=JobStatus.FAILED,
            actor=model.ACTOR_REAPER,
            error_message=text,
            reason_code=code,
            reason=text,
        )
        if end_job(connection, job, ending, self._parts.notices):
            if code == model.LEASE_EXHAUSTED:
                pause_after = self._parts.settings.limits.pause_after
                count_crash(connection, job, pause_after, self._parts.notices)
            self._parts.metrics.reaped.labels(code).inc()
            _LOG.warning(
                "reaped", extra={"fields": {"jobId": job.id, "appId": job.app_id, "why": code}}
            )

    def _note_expiry(self, connection: Connection, job: Job) -> None:
        reason = f"runner {job.runner_id} let its lease run out; waits for the next runner"
        explain(connection, Candidate.of(job), Waiting(model.LEASE_EXPIRED, reason))

    def _unexplained(self, connection: Connection) -> tuple[int, list[tuple[Candidate, Waiting]]]:
        """Return how many jobs were looked at, and those whose reason is not the one of now, with it."""
        most = self._parts.settings.limits.max_attempts
        page = candidates(connection, most, _BATCH, self._looked_at)
        waiting = [job for job in page if job.status == JobStatus.PENDING]
        if not waiting:
            return len(page), []
        nodes = NodeRepository(connection, self._parts.node_stale).all()
        load = PlacementRepository(connection).load()
        idle = (
            Waiting(model.QUEUED, model.QUEUED_TEXT)
            if runners.any_fresh(connection)
            else Waiting(model.NO_RUNNER, model.NO_RUNNER_TEXT)
        )
        found = []
        for job in waiting:
            decision = decide(job.app_id, job.placed_on, nodes, load)
            why = decision if isinstance(decision, Waiting) else idle
            if job.reason != why.reason:
                found.append((job, why))
        return len(page), found

    def _measure(self) -> None:
        metrics = self._parts.metrics
        counts, nodes = self._parts.database.run(
            lambda c: (
                JobRepository(c).active_counts(),
                NodeRepository(c, self._parts.node_stale).all(),
            )
        )
        metrics.database_up.set(1)
        for status in (JobStatus.PENDING, JobStatus.RUNNING):
            metrics.active_jobs.labels(status).set(counts.get(status, 0))
        for health in NodeHealth:
            metrics.nodes.labels(health).set(sum(node.health is health for node in nodes))
        self._tell(nodes)

    def _tell(self, nodes: list[Node]) -> None:
        if self._parts.absence.lasts:
            return  # Nobody's age says much now.
        for node in nodes:
            if node.is_news:
                work = partial(tell_node, node=node, notices=self._parts.notices)
                self._do(work, node=node.name)

    def _sweep(self) -> None:
        self._do(
            lambda c: events.prune(c, older_than_days=EVENT_DAYS, limit=_EVENT_BATCH),
            of="old events",
        )
        self._do(
            lambda c: delete_old_logs(c, older_than_days=LOG_DAYS, limit=_BATCH), of="old logs"
        )
        self._do(runners.forget_old, of="old runners")
        self._sweep_deliveries()

    def _sweep_deliveries(self) -> None:
        settings = self._parts.settings.webhooks
        for _ in range(_DELIVERY_ROUNDS):
            gone, lost = self._parts.database.run(
                lambda c: deliveries.prune(
                    c, rows=settings.kept_rows, days=settings.kept_days, limit=_DELIVERY_BATCH
                )
            )
            if lost:
                self._parts.metrics.webhook_lost.inc(lost)
                _LOG.warning("webhook deliveries given up", extra={"fields": {"count": lost}})
            if gone < _DELIVERY_BATCH:
                return


def _too_long(job: Job, max_running_seconds: int) -> tuple[str, str]:
    return model.RUNNING_TOO_LONG, (
        f"job {job.id} did not end within {max_running_seconds} s of its first claim"
        f" (attempt {job.attempt}, runner {job.runner_id}, phase {job.phase or 'unknown'});"
        " see that runner's log, then deploy again"
    )


def _exhausted(job: Job) -> tuple[str, str]:
    return model.LEASE_EXHAUSTED, (
        f"{job.attempt} attempts ended without a word: runner {job.runner_id} let its lease run out"
        f" in phase {job.phase or 'unknown'}; see that runner's log, then deploy again"
    )
