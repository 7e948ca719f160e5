"""What a runner does when its lease, its child, its Deploy or itself is lost."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.runner.conftest import still_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.runner.conftest import Lab, RunnerProcess

#: Long enough that a runner on a busy machine renews it in time.
SHORT_LEASE_SECONDS = 12


def wait_until(condition: Callable[[], object], seconds: float = 60) -> bool:
    ends_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.05)
    return True


def start_held_job(lab: Lab, **settings: Any) -> RunnerProcess:
    """Return a runner whose one job waits for an agent that does not answer."""
    lab.node.agent = lab.node.hold
    runner = lab.runner(**settings)
    lab.deploy.add(lab.job("job-1"))
    assert lab.node.wait_for_deploys(1), runner.log.read_text()
    runner.family()
    return runner


@pytest.mark.parametrize("execution", ["forked", "cold"])
def test_conflict_on_heartbeat_kills_the_job_and_reports_nothing(lab: Lab, execution: str) -> None:
    runner = start_held_job(
        lab, RUNNER_LEASE_SECONDS=SHORT_LEASE_SECONDS, RUNNER_EXECUTION=execution
    )
    workers = runner.workers()

    lab.deploy.heartbeat_codes = lambda _job, _body: 409
    assert wait_until(lambda: runner.lines("left_to_lease"))

    assert workers
    assert still_alive(workers) == []
    assert "Deploy answered 409" in runner.lines("left_to_lease")[0]
    assert lab.deploy.reports == []
    assert list((runner.state_dir / "jobs").iterdir()) == []


def test_silent_deploy_ends_the_job_before_its_lease(lab: Lab) -> None:
    lease = 15
    runner = start_held_job(lab, RUNNER_LEASE_SECONDS=lease)
    assert lab.deploy.wait_for_beat()
    silent_since = time.monotonic()

    lab.deploy.heartbeat_codes = lambda _job, _body: None
    assert wait_until(lambda: runner.lines("killing"))
    ended_after = time.monotonic() - silent_since

    assert "80% of the lease" in runner.lines("killing")[0]
    assert ended_after < lease
    assert wait_until(lambda: runner.lines("left_to_lease"))
    assert lab.deploy.reports == []


def test_heartbeats_that_fail_now_and_then_do_not_end_the_job(lab: Lab) -> None:
    beats = 0

    def every_other(_job: str, body: dict[str, object]) -> int | None:
        nonlocal beats
        beats += "phase" not in body
        return None if beats % 2 else 200

    lab.deploy.heartbeat_codes = every_other
    runner = start_held_job(lab, RUNNER_LEASE_SECONDS=SHORT_LEASE_SECONDS)
    assert wait_until(lambda: beats >= 6)  # one lease and more
    lab.node.release.set()

    assert lab.report_of("job-1")["status"] == "SUCCEEDED"
    assert runner.lines("killing") == []


def test_cancelled_job_never_reaches_the_node(lab: Lab) -> None:
    lab.deploy.heartbeat_codes = lambda _job, body: 409 if body.get("phase") == "DEPLOY" else 200
    runner = lab.runner()

    lab.deploy.add(lab.job("job-1"))
    assert wait_until(lambda: runner.lines("left_to_lease"))

    assert lab.node.deploys == []
    assert lab.deploy.reports == []


def test_node_is_not_touched_while_deploy_does_not_confirm_the_lease(lab: Lab) -> None:
    lab.deploy.heartbeat_codes = lambda _job, body: None if body.get("phase") == "DEPLOY" else 200
    lab.runner(RUNNER_DEPLOY_TIMEOUT_SECONDS=2)

    lab.deploy.add(lab.job("job-1"))

    assert lab.report_of("job-1")["reason"] == "DEPLOY_UNREACHABLE"
    assert lab.node.deploys == []


@pytest.mark.parametrize("execution", ["forked", "cold"])
def test_runner_killed_in_the_middle_leaves_no_process(lab: Lab, execution: str) -> None:
    runner = start_held_job(lab, RUNNER_EXECUTION=execution)
    assert len(runner.seen) >= 2

    runner.stop(signal.SIGKILL)

    assert runner.orphans() == []
    assert lab.deploy.reports == []


def test_runner_killed_in_the_middle_forgets_the_job_when_it_is_back(lab: Lab) -> None:
    runner = start_held_job(lab)
    runner.stop(signal.SIGKILL)

    again = lab.runner()
    assert wait_until(lambda: again.lines("left_to_lease"))
    lab.node.release.set()
    lab.deploy.add(lab.job("job-1", fence=2))

    assert lab.report_of("job-1")["fence"] == 2
    assert lab.node.deploys[-1]["fence"] == 2


def test_outcome_that_deploy_did_not_take_is_reported_after_a_restart(lab: Lab) -> None:
    lab.deploy.report_code = lambda: None
    runner = lab.runner()
    lab.deploy.add(lab.job("job-1", fence=3))
    outcome = runner.state_dir / "jobs" / "job-1.3" / "job.outcome.json"
    assert wait_until(outcome.exists)
    runner.stop(signal.SIGKILL)

    lab.deploy.report_code = lambda: 200
    lab.runner()
    report = lab.report_of("job-1")

    assert (report["status"], report["fence"]) == ("SUCCEEDED", 3)
    assert len(lab.node.deploys) == 1
    assert wait_until(lambda: not outcome.exists())


def test_runner_stopped_past_its_lease_kills_the_job_on_waking(lab: Lab) -> None:
    lease = 9
    runner = start_held_job(lab, RUNNER_LEASE_SECONDS=lease)
    job = runner.workers()
    assert job

    os.kill(runner.process.pid, signal.SIGSTOP)
    time.sleep(lease + 0.2)
    lab.deploy.heartbeat_codes = lambda _job, _body: 409
    lab.node.release.set()
    os.kill(runner.process.pid, signal.SIGCONT)
    assert wait_until(lambda: runner.lines("left_to_lease"))

    assert lab.deploy.reports == []
    assert still_alive(job) == []


def test_child_that_is_killed_is_left_to_its_lease_and_the_next_job_runs(lab: Lab) -> None:
    runner = start_held_job(lab)
    child = next(p for p in runner.seen if p.ppid() != runner.process.pid)

    child.kill()
    assert wait_until(lambda: runner.lines("left_to_lease"))
    lab.node.release.set()
    lab.deploy.add(lab.job("job-2"))

    assert lab.report_of("job-2")["status"] == "SUCCEEDED"
    assert lab.deploy.reported("job-1") is None
    assert "signal 9" in runner.lines("left_to_lease")[0]


def test_zygote_that_is_killed_is_replaced(lab: Lab) -> None:
    runner = start_held_job(lab)
    zygote = next(p for p in runner.seen if p.ppid() == runner.process.pid)

    zygote.kill()
    assert wait_until(lambda: runner.lines("left_to_lease"))
    orphans = runner.orphans()
    lab.node.release.set()
    lab.deploy.add(lab.job("job-2"))

    assert orphans == []
    assert lab.report_of("job-2")["status"] == "SUCCEEDED"


def test_child_that_ignores_the_signal_is_killed_for_good(lab: Lab) -> None:
    runner = start_held_job(lab, RUNNER_LEASE_SECONDS=SHORT_LEASE_SECONDS)
    child = next(p for p in runner.seen if p.ppid() != runner.process.pid)

    child.suspend()  # a stopped process takes no SIGTERM
    lab.deploy.heartbeat_codes = lambda _job, _body: 409
    assert wait_until(lambda: runner.lines("left_to_lease"))

    assert still_alive([child]) == []


def test_sigterm_lets_a_running_job_finish(lab: Lab) -> None:
    runner = start_held_job(lab)

    runner.process.send_signal(signal.SIGTERM)
    assert wait_until(lambda: "event=stopping" in runner.log.read_text())
    lab.deploy.add(lab.job("job-2"))
    lab.node.release.set()
    exit_status = runner.process.wait(60)

    assert exit_status == 0
    assert lab.report_of("job-1")["status"] == "SUCCEEDED"
    assert lab.deploy.reported("job-2") is None


def test_sigterm_kills_a_job_that_takes_too_long_and_leaves_it_to_its_lease(lab: Lab) -> None:
    runner = start_held_job(lab, RUNNER_STOP_SECONDS=1)

    exit_status = runner.stop()

    assert exit_status == 0
    assert "the runner is stopping" in runner.lines("left_to_lease")[0]
    assert runner.orphans() == []
    assert lab.deploy.reports == []


def test_second_runner_on_the_same_state_is_refused(lab: Lab) -> None:
    first = lab.runner()
    assert wait_until(lambda: first.lines("started"))

    second = lab.runner()

    assert second.process.wait(60) == 1
    assert "RUNNER_STATE_DIR" in second.log.read_text()


def test_job_without_a_fence_is_refused_with_a_reason(lab: Lab) -> None:
    lab.runner()
    job = lab.job("job-1")
    del job["fence"]

    lab.deploy.add(job)

    assert "without a fence" in lab.report_of("job-1")["errorMessage"]


def test_missing_bundle_stops_the_runner_with_a_sentence(lab: Lab) -> None:
    runner = lab.runner(RUNNER_BUNDLE_DIR=lab.tmp_path / "nowhere")

    assert runner.process.wait(60) == 1
    assert "RUNNER_BUNDLE_DIR" in runner.log.read_text()
    assert "Traceback" not in runner.log.read_text()


def test_outcome_of_a_job_that_ended_while_deploy_was_away_is_reported(lab: Lab) -> None:
    lease = 15
    runner = start_held_job(lab, RUNNER_LEASE_SECONDS=lease)
    is_back = False
    # Right after it the job has the most time to end.
    assert lab.deploy.wait_for_beat()
    away_since = time.monotonic()
    lab.deploy.heartbeat_codes = lambda _job, _body: 200 if is_back else None
    lab.deploy.report_code = lambda: 200 if is_back else None

    lab.node.release.set()
    outcome = runner.state_dir / "jobs" / "job-1.1" / "job.outcome.json"
    assert wait_until(outcome.exists)
    time.sleep(max(0.0, away_since + 0.8 * lease + 0.5 - time.monotonic()))
    is_back = True

    assert lab.report_of("job-1")["status"] == "SUCCEEDED"
    assert runner.lines("killing") == []
