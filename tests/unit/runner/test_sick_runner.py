"""A runner that can start no child: it leaves its jobs to other runners, and says why it is to blame."""

from __future__ import annotations

import errno
import io
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from funai.runner.attempt import Surroundings
from funai.runner.client import CONFLICT, OK, Answer
from funai.runner.config import Settings
from funai.runner.errors import ExecutionError
from funai.runner.journal import Journal, Reachability
from funai.runner.loop import FIRST_REST_SECONDS, Supervisor
from funai.runner.model import ATTEMPTS
from funai.runner.report import Reporter
from funai.runner.workspace import JobFolder, StateDir

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_SECONDS = 60
#: Jobs that the stub would hand out if nobody rested.
MANY = 30


class Rests(threading.Event):
    """A stop whose waits take no time; notes how long each was to be."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        if timeout and timeout >= FIRST_REST_SECONDS / 2:
            self.pauses.append(timeout)
        return self.is_set()


class SickExecution:
    """Starts nothing."""

    def start(self, folder: JobFolder, output: int, on_exit: Callable[[], None]) -> Any:
        os.close(output)
        msg = "the zygote cannot be started: Resource temporarily unavailable"
        raise ExecutionError(msg)


class Deploy:
    """Hands out one job, again when its lease was let go, until it has ended."""

    def __init__(
        self, stop: threading.Event, attempts: int = ATTEMPTS, limit: int | None = None
    ) -> None:
        self._stop = stop
        self._attempts = attempts
        self._told = {} if limit is None else {"maxAttempts": limit}
        self.is_over = threading.Event()
        self.claims = 0
        self.leases: list[float] = []
        self.reports: list[dict[str, Any]] = []

    def claim(self, **_kwargs: object) -> Answer:
        self.claims += 1
        if self.reports or self.claims > self._attempts:
            self._stop.set()
            self.is_over.set()
            return Answer(OK, "", None)
        job = {"id": "job-1", "fence": self.claims, "attempt": self.claims, "payload": {}}
        return Answer(OK, "", {**job, **self._told, "leaseSeconds": 30})

    def heartbeat(self, _job_id: str, *, extend_seconds: float, **_: Any) -> Answer:
        self.leases.append(extend_seconds)
        return Answer(OK, "", None)

    def append_log(self, *_: Any, **__: Any) -> Answer:
        return Answer(CONFLICT, "", None)

    def report(self, _job_id: str, body: dict[str, Any]) -> Answer:
        self.reports.append(body)
        return Answer(OK, "", None)

    def close(self) -> None:
        """Nothing to close."""


class Sick:
    """A supervisor with everything around it."""

    def __init__(self, tmp_path: Path, **options: Any) -> None:
        self.stop = Rests()
        self.deploy = Deploy(self.stop, **options)
        self.log = io.StringIO()
        self.folder = tmp_path
        journal = Journal(self.log)
        reachability = Reachability(journal)
        settings = Settings(
            "runner-1", "http://deploy", "t" * 20, "r" * 20, parallel_jobs=4, state_dir=tmp_path
        )
        self.around = Surroundings(
            settings=settings,
            state=StateDir(tmp_path, kept_logs=1),
            execution=SickExecution(),  # type: ignore[arg-type]
            journal=journal,
            reachability=reachability,
            reporter=Reporter(journal, reachability, self.stop),
            new_client=lambda: self.deploy,  # type: ignore[arg-type,return-value]
            clock=time.monotonic,
        )

    def run(self) -> None:
        """Claim until the stub has nothing more."""
        supervisor = Supervisor(self.around, self.stop)
        supervisor.start()
        assert self.deploy.is_over.wait(WAIT_SECONDS)
        supervisor.finish()
        self.around.state.close()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_job_that_gets_no_child_ends_with_the_cause_at_its_last_attempt(tmp_path: Path) -> None:
    sick = Sick(tmp_path, attempts=MANY)

    sick.run()

    (report,) = sick.deploy.reports
    assert (report["status"], report["reason"]) == ("FAILED", "RUNNER_BROKEN")
    assert report["fence"] == ATTEMPTS
    for part in ("Runner runner-1", "deploy again", "Resource temporarily unavailable"):
        assert part in report["errorMessage"], part
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.mark.parametrize("limit", [1, ATTEMPTS + 2])
def test_last_attempt_is_the_one_that_deploy_names(tmp_path: Path, limit: int) -> None:
    sick = Sick(tmp_path, attempts=MANY, limit=limit)

    sick.run()

    (report,) = sick.deploy.reports
    assert report["fence"] == limit


def test_runner_that_starts_no_child_rests_ever_longer_before_it_claims_again(
    tmp_path: Path,
) -> None:
    sick = Sick(tmp_path)

    sick.run()

    first, *_, last = sick.stop.pauses
    assert len(sick.stop.pauses) == ATTEMPTS
    assert first <= FIRST_REST_SECONDS < last
    assert sick.log.getvalue().count("event=claims_rest ") == ATTEMPTS


def test_job_that_gets_no_child_is_given_back_while_other_runners_may_have_it(
    tmp_path: Path,
) -> None:
    sick = Sick(tmp_path, attempts=ATTEMPTS - 1)

    sick.run()

    assert sick.deploy.reports == []
    assert sick.deploy.leases[-1] == 1
    assert sick.deploy.leases.count(1) == ATTEMPTS - 1
    assert sick.log.getvalue().count("event=left_to_lease ") == ATTEMPTS - 1


def test_full_disk_under_the_state_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(JobFolder, "create", full)
    sick = Sick(tmp_path)

    sick.run()

    (report,) = sick.deploy.reports
    assert report["reason"] == "RUNNER_DISK_FULL"
    assert f"free space under {tmp_path}" in report["errorMessage"]


def test_host_without_a_thread_for_the_job_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("job-"):
            msg = "can't start new thread"
            raise RuntimeError(msg)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sick = Sick(tmp_path, attempts=MANY)

    sick.run()

    (report,) = sick.deploy.reports
    assert report["reason"] == "RUNNER_BROKEN"
    assert "can't start new thread" in report["errorMessage"]


@pytest.mark.parametrize("name", ["lease-job-1", "log-job-1"])
def test_host_that_is_short_of_threads_loses_no_more_with_each_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            msg = "can't start new thread"
            raise RuntimeError(msg)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sick = Sick(tmp_path)
    before = descriptors()

    sick.run()

    assert len(sick.deploy.reports) == 1
    # The state directory's lock was given back.
    assert descriptors() <= before
