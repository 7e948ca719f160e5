"""Keeps one lease alive from a thread of its own, so that nothing a job does can hold it up."""

from __future__ import annotations

import contextlib
import random
import threading
from typing import TYPE_CHECKING

from funai.background import keep_running
from funai.runner.client import ANSWER_SECONDS, CONFLICT, NOT_FOUND, OK, DeployClient
from funai.runner.errors import DeployUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.runner.journal import Reachability
    from funai.runner.lease import Clock, Lease
    from funai.runner.model import ClaimedJob

FIRST_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 5.0
#: That Deploy gives.
SHORTEST_LEASE_SECONDS = 1


class Backoff:
    """Pauses that grow to a cap, with jitter so that many runners do not come back at once."""

    def __init__(self, first: float = FIRST_RETRY_SECONDS, cap: float = MAX_RETRY_SECONDS) -> None:
        self._first = first
        self._cap = cap
        self._next = first

    def pause(self) -> float:
        """Return the next pause in seconds."""
        pause, self._next = self._next, min(self._cap, self._next * 2)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._next = self._first


class LeaseKeeper:
    """``with LeaseKeeper(...)``: heartbeats at a third of the lease until the block ends.

    :param on_loss: called once when Deploy says that the lease is lost; must be quick
    """

    def __init__(
        self,
        job: ClaimedJob,
        lease: Lease,
        client: DeployClient,
        reachability: Reachability,
        clock: Clock,
        on_loss: Callable[[], None],
    ) -> None:
        self._job = job
        self._lease = lease
        self._client = client
        self._reachability = reachability
        self._clock = clock
        self._on_loss = on_loss
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        self._thread = keep_running(f"lease-{self._job.job_id}", self._keep, self._stop)

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()

    def give_back(self) -> None:
        """Let the lease run out now, so that another runner need not wait; after the block.

        Where Deploy does not answer, it runs out by itself.
        """
        if self._thread is not None:
            # A heartbeat under way would hold the job for a whole lease again.
            self._thread.join(2 * ANSWER_SECONDS)
        if not self._lease.refusal:
            self._lease.lose("the job was given back")
            with contextlib.suppress(DeployUnreachableError):
                self._client.heartbeat(
                    self._job.job_id, fence=self._job.fence, extend_seconds=SHORTEST_LEASE_SECONDS
                )

    def _keep(self) -> None:
        backoff = Backoff(cap=min(MAX_RETRY_SECONDS, self._lease.seconds / 6))
        pause = self._lease.seconds_to_renewal()
        while not self._stop.wait(pause) and not self._lease.refusal:
            if self._renew():
                backoff.reset()
                pause = self._lease.seconds_to_renewal()
            elif self._lease.loss:
                self._on_loss()
                return
            else:
                pause = backoff.pause()

    def _renew(self) -> bool:
        sent_at = self._clock()
        timeout = max(0.5, min(ANSWER_SECONDS, self._lease.seconds_to_abandon()))
        try:
            answer = self._client.heartbeat(
                self._job.job_id,
                fence=self._job.fence,
                extend_seconds=self._lease.seconds,
                timeout=timeout,
            )
        except DeployUnreachableError as exc:
            self._reachability.lost(str(exc))
            return False
        self._reachability.found()
        if answer.code == OK:
            self._lease.renew(sent_at)
            return True
        if answer.code in {CONFLICT, NOT_FOUND}:
            self._lease.lose(f"Deploy answered {answer.code}: {answer.message}")
        return False
