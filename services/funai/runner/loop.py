"""The supervisor: claims while there is a free slot, one thread per attempt, stops in order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from funai.background import keep_running
from funai.runner.attempt import Attempt
from funai.runner.client import OK
from funai.runner.errors import DeployUnreachableError, JobMalformedError
from funai.runner.heartbeat import Backoff
from funai.runner.lease import Lease
from funai.runner.model import ABANDONED, FAILED, ClaimedJob, Outcome, error_text

if TYPE_CHECKING:
    from funai.runner.attempt import Surroundings
    from funai.runner.client import DeployClient
    from funai.runner.workspace import JobFolder

#: Between two claims that found nothing, where claims do not wait at Deploy.
IDLE_SECONDS = 1.0
#: After a job that got no child; others may take it meanwhile, and the host may recover.
FIRST_REST_SECONDS = 10.0
MAX_REST_SECONDS = 60.0
#: After the running jobs' time is up: for killing their children.
KILL_SECONDS = 8.0


class Supervisor:
    """Claims jobs and runs them side by side.

    :param stop: set from outside to stop claiming; the same event ends waiting reports
    """

    def __init__(self, around: Surroundings, stop: threading.Event) -> None:
        self._around = around
        self._stop = stop
        self._slots = threading.Semaphore(around.settings.parallel_jobs)
        self._attempts: dict[Attempt, threading.Thread] = {}
        self._lock = threading.Lock()
        self._backoff = Backoff()
        self._rest = Backoff(FIRST_REST_SECONDS, MAX_REST_SECONDS)

    def start(self) -> None:
        """Begin to claim; returns at once."""
        # Listed before the first claim, or a new job's folder would be taken for an old one.
        leftovers = self._around.state.leftovers()
        threading.Thread(target=self._report_leftovers, args=(leftovers,), daemon=True).start()
        keep_running("claim", self._claim_loop, self._stop)

    def finish(self) -> None:
        """Let running jobs go on for ``stop_seconds``, then kill them. Claims have stopped."""
        self._join(self._around.settings.stop_seconds)
        with self._lock:
            late = list(self._attempts)
        for attempt in late:
            attempt.stop()
        self._join(KILL_SECONDS)

    def _join(self, seconds: float) -> None:
        ends_at = self._around.clock() + seconds
        with self._lock:
            threads = list(self._attempts.values())
        for thread in threads:
            thread.join(timeout=max(0.0, ends_at - self._around.clock()))

    def _claim_loop(self) -> None:
        client = self._around.new_client()
        while not self._stop.is_set():
            self._slots.acquire()
            if self._stop.is_set():
                return
            self._stop.wait(self._claim(client))

    def _claim(self, client: DeployClient) -> float:
        """Claim once with a slot in hand; return the pause before the next claim in seconds."""
        requested_at = self._around.clock()
        settings = self._around.settings
        attempt = None
        try:
            answer = client.claim(
                lease_seconds=settings.lease_seconds,
                wait_seconds=settings.wait_seconds,
                capacity=settings.parallel_jobs,
            )
            if answer.code != OK:
                self._around.reachability.lost(f"claim: {answer.code}: {answer.message}")
                return self._backoff.pause()
            self._around.reachability.found()
            self._backoff.reset()
            if answer.data is not None:
                attempt = self._start(answer.data, requested_at)
        except DeployUnreachableError as exc:
            self._around.reachability.lost(str(exc))
            return self._backoff.pause()
        finally:
            if attempt is None:
                self._slots.release()
        if attempt is not None:
            return self._rest_after(attempt)
        # Where Deploy does not wait for us, the pace of asking is ours to keep.
        return 0.0 if settings.wait_seconds else IDLE_SECONDS

    def _rest_after(self, attempt: Attempt) -> float:
        """Wait for the attempt's child; return how long to leave the next jobs to other runners."""
        attempt.settled.wait()
        if not attempt.trouble:
            self._rest.reset()
            return 0.0
        pause = self._rest.pause()
        self._around.journal.write("claims_rest", seconds=round(pause, 1), why=attempt.trouble)
        return pause

    def _start(self, data: object, requested_at: float) -> Attempt | None:
        """Start an attempt at what was claimed; None when there is none to start."""
        lease_seconds = self._around.settings.lease_seconds
        try:
            job = ClaimedJob.parse(data, lease_seconds=lease_seconds)
        except JobMalformedError as exc:
            self._refuse(exc)
            return None
        self._around.journal.write(
            "claimed",
            jobId=job.job_id,
            appId=job.app_id,
            fence=job.fence,
            attempt=job.attempt,
            agentBaseUrl=job.agent_base_url,
            gatewayBaseUrl=job.gateway_base_url,
        )
        if self._stop.is_set():
            self._around.journal.write("left_to_lease", jobId=job.job_id, why="stopping")
            return None
        lease = Lease(job.lease_seconds, requested_at, self._around.clock)
        attempt = Attempt(job, lease, self._around)
        thread = threading.Thread(
            target=self._run, args=(attempt,), name=f"job-{job.job_id}", daemon=True
        )
        try:
            with self._lock:
                thread.start()
                self._attempts[attempt] = thread
        except RuntimeError as exc:  # the host has no thread for it
            attempt.refuse(exc)
            self._slots.release()
        return attempt

    def _run(self, attempt: Attempt) -> None:
        try:
            attempt.run()
        finally:
            with self._lock:
                del self._attempts[attempt]
            self._slots.release()

    def _refuse(self, error: JobMalformedError) -> None:
        """Tell Deploy about a job that cannot be run, where it can be named at all."""
        self._around.journal.write("refused", jobId=error.job_id or None, why=str(error))
        if error.job_id:
            outcome = Outcome(
                job_id=error.job_id,
                fence=0,
                status=FAILED,
                reason="JOB_MALFORMED",
                error_message=error_text(str(error)),
            )
            self._deliver(outcome)

    def _report_leftovers(self, leftovers: list[JobFolder]) -> None:
        """Report what an earlier run of this runner finished; forget what it did not finish.

        A child dies with its runner, so nothing writes to these folders any more. A job without
        a complete outcome comes back by its lease: to another attempt, with a higher fence.
        """
        for folder in leftovers:
            outcome = folder.read_outcome()
            if outcome is None or outcome.status == ABANDONED:
                self._around.journal.write("left_to_lease", folder=folder.path.name, why="restart")
                folder.remove()
            elif self._deliver(outcome):
                folder.remove()

    def _deliver(self, outcome: Outcome) -> bool:
        client = self._around.new_client()
        try:
            return self._around.reporter.deliver(client, outcome)
        finally:
            client.close()
