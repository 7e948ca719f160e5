"""An attempt whose lease ends while its child is killed, with everything around it by hand."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, Any

from funai.runner.attempt import Attempt, Surroundings
from funai.runner.client import Answer
from funai.runner.config import Settings
from funai.runner.errors import DeployUnreachableError
from funai.runner.journal import Journal, Reachability
from funai.runner.lease import Lease
from funai.runner.model import ClaimedJob
from funai.runner.steps.progress import StepRecord, note_step
from funai.runner.workspace import StateDir

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from pathlib import Path

    from funai.runner.client import DeployClient
    from funai.runner.model import Outcome
    from funai.runner.workspace import JobFolder


class Child:
    """Ends with the first signal; a heartbeat that was long under way is answered just then."""

    pid = 1

    def __init__(self, lease: Lease, clock: Callable[[], float]) -> None:
        self._lease, self._clock = lease, clock
        self.returncode: int | None = None

    def signal(self, number: signal.Signals) -> None:
        self._lease.renew(self._clock())
        self.returncode = -int(number)

    def wait(self, timeout: float) -> bool:
        return self.returncode is not None


class Execution:
    def __init__(self, child: Child) -> None:
        self._child = child

    def start(self, folder: JobFolder, output: int, on_exit: Callable[[], None]) -> Child:
        os.close(output)
        return self._child

    def restart(self) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


class SilentDeploy:
    def heartbeat(self, *_: Any, **__: Any) -> Answer:
        raise DeployUnreachableError("silent")

    append_log = report = heartbeat

    def close(self) -> None:
        """Nothing to close."""


class Reports:
    def __init__(self) -> None:
        self.delivered: list[Outcome] = []

    def deliver(self, client: DeployClient, outcome: Outcome) -> bool:
        self.delivered.append(outcome)
        return True


class HeardDeploy(SilentDeploy):
    """Refuses every heartbeat, as for a job that was cancelled, and notes what it named."""

    def __init__(self) -> None:
        self.named: list[dict[str, Any]] = []

    def heartbeat(self, *_: Any, **said: Any) -> Answer:
        if said.get("result"):
            self.named.append(said["result"])
        return Answer(409, "the job ended CANCELLED", None)

    append_log = report = heartbeat


class Stage:
    """One attempt at a job, from its begin to its end."""

    def __init__(self, tmp_path: Path, lease: Lease, now: list[float]) -> None:
        self.log = io.StringIO()
        self.reports = Reports()
        self.child = Child(lease, lambda: now[0])
        self.execution = Execution(self.child)
        self.deploy: SilentDeploy = SilentDeploy()
        self._path = tmp_path
        self._lease = lease
        self._now = now

    def run(self) -> None:
        journal = Journal(self.log)
        settings = Settings("runner-1", "http://deploy", "t" * 20, "r" * 20, state_dir=self._path)
        around = Surroundings(
            settings=settings,
            state=StateDir(self._path, kept_logs=1),
            execution=self.execution,
            journal=journal,
            reachability=Reachability(journal),
            reporter=self.reports,  # type: ignore[arg-type]
            new_client=lambda: self.deploy,  # type: ignore[arg-type,return-value]
            clock=lambda: self._now[0],
        )
        job = ClaimedJob("job-1", "app-1", 3, 1, 30, 3, "http://agent", "http://gateway", {})
        done = threading.Thread(target=Attempt(job, self._lease, around).run, daemon=True)
        done.start()
        done.join(20)
        around.state.close()
        assert not done.is_alive()


PUSHED = {"built": True, "imageDigest": f"sha256:{1:064x}", "imageTag": "1", "commit": "c"}


class Pushing(Execution):
    """Has the image in the registry when something happens to it."""

    def __init__(self, child: Child, then: Callable[[], None]) -> None:
        super().__init__(child)
        self._then = then

    def start(self, folder: JobFolder, output: int, on_exit: Callable[[], None]) -> Child:
        found = {"commit": "c", "built": False, "imageTag": "1"}
        note_step(folder.job_file, StepRecord("BUILD", ended=True, result=found))
        pushed = {"built": True, "imageDigest": PUSHED["imageDigest"]}
        note_step(folder.job_file, StepRecord("PUSH", ended=True, result=pushed))
        self._then()
        return super().start(folder, output, on_exit)


def test_heartbeat_that_is_answered_during_the_kill_does_not_make_it_a_failure(
    tmp_path: Path,
) -> None:
    now = [1000.0]
    stage = Stage(tmp_path, Lease(30, now[0] - 25, lambda: now[0]), now)

    stage.run()

    assert stage.reports.delivered == []
    assert "event=left_to_lease" in stage.log.getvalue()


def test_image_of_a_job_that_was_cancelled_is_named_once_more(tmp_path: Path) -> None:
    now = [1000.0]
    lease = Lease(30, now[0], lambda: now[0])
    stage = Stage(tmp_path, lease, now)
    stage.deploy = deploy = HeardDeploy()
    stage.execution = Pushing(stage.child, lambda: lease.lose("the job ended CANCELLED"))

    stage.run()

    assert stage.reports.delivered == []
    assert deploy.named == [PUSHED]


def test_image_of_a_job_whose_child_was_killed_is_named_once_more(tmp_path: Path) -> None:
    now = [1000.0]
    stage = Stage(tmp_path, Lease(30, now[0], lambda: now[0]), now)
    stage.deploy = deploy = HeardDeploy()

    def kill() -> None:
        stage.child.returncode = -9

    stage.execution = Pushing(stage.child, kill)
    stage.run()

    assert deploy.named == [PUSHED]


def test_report_of_an_overdue_job_names_the_image_that_was_pushed(tmp_path: Path) -> None:
    now = [1000.0]
    stage = Stage(tmp_path, Lease(86_400, now[0], lambda: now[0]), now)

    def pass_time() -> None:
        now[0] += 10_000

    stage.execution = Pushing(stage.child, pass_time)
    stage.run()

    assert [(each.reason, each.result) for each in stage.reports.delivered] == [
        ("JOB_OVERDUE", PUSHED)
    ]
