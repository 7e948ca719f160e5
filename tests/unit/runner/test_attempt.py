"""An attempt whose lease ends while its child is killed, with everything around it by hand."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, Any

from funai.runner.attempt import Attempt, Surroundings
from funai.runner.config import Settings
from funai.runner.errors import DeployUnreachableError
from funai.runner.journal import Journal, Reachability
from funai.runner.lease import Lease
from funai.runner.model import ClaimedJob
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
    def heartbeat(self, *_: Any, **__: Any) -> None:
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


def test_heartbeat_that_is_answered_during_the_kill_does_not_make_it_a_failure(
    tmp_path: Path,
) -> None:
    now, log, reports = [1000.0], io.StringIO(), Reports()
    lease = Lease(30, now[0] - 25, lambda: now[0])
    journal = Journal(log)
    around = Surroundings(
        settings=Settings("runner-1", "http://deploy", "t" * 20, "r" * 20, state_dir=tmp_path),
        state=StateDir(tmp_path, kept_logs=1),
        execution=Execution(Child(lease, lambda: now[0])),
        journal=journal,
        reachability=Reachability(journal),
        reporter=reports,  # type: ignore[arg-type]
        new_client=SilentDeploy,  # type: ignore[arg-type]
        clock=lambda: now[0],
    )
    job = ClaimedJob("job-1", "app-1", 3, 1, 30, 3, "http://agent", "http://gateway", {})

    done = threading.Thread(target=Attempt(job, lease, around).run, daemon=True)
    done.start()
    done.join(20)

    assert not done.is_alive()
    assert reports.delivered == []
    assert "event=left_to_lease" in log.getvalue()
    around.state.close()
