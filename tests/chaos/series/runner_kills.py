"""A runner that holds a lease is killed; another one claims its job once the lease is over."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.chaos import audit
from tests.chaos.history import History
from tests.chaos.parts import runner_service
from tests.chaos.processes import eventually
from tests.chaos.series.control_plane import Beats, ControlPlane, job_of
from tests.chaos.series.creates import Create, Creates
from tests.chaos.series.outcome import Outcome
from tests.integration.runner.stubs import StubNode, StubServer, deployed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.processes import Service
    from tests.chaos.series.outcome import Options
    from tests.integration.runner.stubs import Reply

_CLAIM_SECONDS = 30.0
_HOLD_SECONDS = 300.0


class HoldingNode(StubNode):
    """A node on which the first call of a job hangs, as long as its runner lives."""

    def __init__(self) -> None:
        super().__init__()
        self.agent = self._hold_first
        self._seen: set[str] = set()
        self._over = threading.Event()

    def close(self) -> None:
        self._over.set()

    def has(self, app: str) -> bool:
        """Whether the first call came."""
        return app in self._seen

    def _hold_first(self, body: dict[str, Any]) -> Reply | None:
        app = str(body["appId"])
        if app in self._seen:
            return deployed(body)
        self._seen.add(app)
        self._over.wait(_HOLD_SECONDS)
        return None


def runner_kills(folder: Path, options: Options, say: Callable[[str], None]) -> Outcome:
    """Kill the runner that holds the lease, so many times."""
    lease = options.lease_seconds
    outcome = Outcome(
        "runner-kills",
        "Runner killed: its job is claimed again within 1.2 leases and 0.5 s",
        f"two runners as on hosts (SIGKILL of the one that holds the lease, at a random moment"
        f" between heartbeats), real Deploy and MariaDB, a node that lets the call hang; lease {lease} s",
    )
    dice = random.Random(options.seed)  # noqa: S311 - a plan, no secret
    history, node = History(folder / "history.jsonl"), HoldingNode()
    plane = ControlPlane(folder, DEPLOY_NODE_STALE_SECONDS="600")
    with contextlib.ExitStack() as stack:
        stack.callback(history.close)
        stack.enter_context(plane)
        server = stack.enter_context(StubServer(node.reply))
        stack.callback(node.close)
        stack.enter_context(Beats(plane.urls[0], server.url))
        trial = _Kills(plane, node, stack, folder, history, lease)
        for number in range(1, options.rounds + 1):
            trial.kill_one(number, dice.uniform(0.0, lease))
            if number % 10 == 0:
                say(f"{number} kills, the longest {max(trial.seconds):.2f} s")
        outcome.most(
            "from the kill to the next claim",
            f"{options.rounds} kills",
            trial.seconds,
            1.2 * lease + 0.5,
        )
        outcome.count(
            "jobs that did not succeed with their second attempt",
            f"{options.rounds} kills",
            len(trial.failed),
        )
        outcome.violations += trial.failed
    return outcome


class _Kills:
    def __init__(
        self,
        plane: ControlPlane,
        node: HoldingNode,
        stack: contextlib.ExitStack,
        folder: Path,
        history: History,
        lease: int,
    ) -> None:
        self._plane, self._node = plane, node
        self.seconds: list[float] = []
        self.failed: list[str] = []
        self._runners: dict[str, Service] = {}
        for name in ("runner-a", "runner-b"):
            runner = runner_service(
                name,
                folder,
                history,
                plane.python_path,
                light=False,
                RUNNER_DEPLOY_URL=plane.urls[0],
                RUNNER_LEASE_SECONDS=str(lease),
                RUNNER_DEPLOY_TIMEOUT_SECONDS="120",
                RUNNER_WAIT_SECONDS="20",
            )
            stack.callback(runner.kill)
            runner.start()
            self._runners[name] = runner

    def kill_one(self, number: int, pause: float) -> None:
        """Create a job, kill its runner, and note how long it was nobody's."""
        wish = Create(number, f"kill-{number}")
        Creates(self._plane.urls, 1).ask(wish)
        job_id = wish.jobs[0]
        eventually(lambda: self._node.has(wish.app), _CLAIM_SECONDS, "the first attempt")
        time.sleep(pause)
        holder = self._runners[str(self._job(job_id)["runnerId"])]
        killed_at = time.time()
        holder.kill_one()
        eventually(lambda: self._claimed_at(job_id, 2), _CLAIM_SECONDS, "the second attempt")
        self.seconds.append(self._claimed_at(job_id, 2) - killed_at)
        holder.start()
        eventually(lambda: self._job(job_id)["status"] != "RUNNING", _CLAIM_SECONDS, "its end")
        job = self._job(job_id)
        if (job["status"], job["attempt"]) != ("SUCCEEDED", 2):
            self.failed.append(f"job {job_id}: {job['status']} in attempt {job['attempt']}")

    def _job(self, job_id: str) -> dict[str, Any]:
        return job_of(self._plane.urls[0], job_id)

    def _claimed_at(self, job_id: str, attempt: int) -> float:
        """Return when the attempt was claimed, by the database's clock; 0 where it was not."""
        for row in audit.rows(self._plane.schema):
            if (row["job_id"], row["attempt"], row["new_status"]) == (job_id, attempt, "RUNNING"):
                return float(row["at"])
        return 0.0
