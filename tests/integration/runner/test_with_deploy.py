"""The runner with the real Deploy over a real database; only the node is a stub."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from funai.api.web.timeline import StepState, steps_of
from tests.integration.deploy_process import API, SECRETS, DeployProcess
from tests.integration.runner.test_faults import wait_until

if TYPE_CHECKING:
    from tests.integration.runner.conftest import Lab, RunnerProcess

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


def start_runner(lab: Lab, deploy: DeployProcess, name: str, **settings: Any) -> RunnerProcess:
    deploy.beat(agentBaseUrl=lab.node_url, gatewayBaseUrl=lab.node_url)
    token = SECRETS["DEPLOY_RUNNER_TOKEN"]
    address = {"RUNNER_DEPLOY_URL": deploy.url, "RUNNER_TOKEN": token, "RUNNER_WAIT_SECONDS": 5}
    return lab.runner(name, **{**address, **settings})


def job_of(deploy: DeployProcess, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = deploy.call("GET", f"/deploy/jobs/{job_id}", headers=API)[1]["data"]
    return job


def create(deploy: DeployProcess, **extra: Any) -> str:
    _, envelope = deploy.create(**extra)
    assert envelope["code"] == 200, envelope
    return str(envelope["data"]["id"])


def wait_for_end(deploy: DeployProcess, job_id: str, seconds: float = 120) -> dict[str, Any]:
    assert wait_until(lambda: job_of(deploy, job_id)["status"] in ENDED, seconds)
    return job_of(deploy, job_id)


def test_job_goes_from_create_to_succeeded(lab: Lab, deploy: DeployProcess) -> None:
    runner = start_runner(lab, deploy, "runner-1")

    job = wait_for_end(deploy, create(deploy))
    events = deploy.call("GET", f"/deploy/jobs/{job['id']}/events", headers=API)[1]["data"]

    assert job["status"] == "SUCCEEDED", (job, runner.log.read_text())
    assert lab.node.deploys[0]["fence"] == job["fence"]
    assert {"DEPLOY", "VERIFY"} <= {event["phase"] for event in events}


def test_failed_job_shows_the_runners_sentence(lab: Lab, deploy: DeployProcess) -> None:
    detail = {"detail": "demo:1 is not there", "reason": "IMAGE_NOT_FOUND"}
    lab.node.agent = lambda _body: (404, detail)
    start_runner(lab, deploy, "runner-1")

    job = wait_for_end(deploy, create(deploy))

    assert job["status"] == "FAILED"
    assert "demo:1 is not there" in job["errorMessage"]
    assert "Push the image" in job["errorMessage"]
    events = deploy.call("GET", f"/deploy/jobs/{job['id']}/events", headers=API)[1]["data"]
    last = steps_of(job, events)[-1]
    assert (last.phase, last.state) == ("DEPLOY", StepState.FAILED), events


def test_job_of_a_killed_runner_is_taken_up_after_its_lease(
    lab: Lab, deploy: DeployProcess
) -> None:
    lab.node.agent = lab.node.hold
    first = start_runner(lab, deploy, "runner-1", RUNNER_LEASE_SECONDS=10)
    job_id = create(deploy)
    assert lab.node.wait_for_deploys(1)

    first.stop(signal.SIGKILL)
    lab.node.release.set()
    start_runner(lab, deploy, "runner-2")
    job = wait_for_end(deploy, job_id)

    assert (job["status"], job["runnerId"]) == ("SUCCEEDED", "runner-2")
    fences = [body["fence"] for body in lab.node.deploys]
    assert fences[-1] > fences[0]


def test_runner_that_wakes_after_its_lease_changes_nothing(lab: Lab, deploy: DeployProcess) -> None:
    lab.node.agent = lab.node.hold
    first = start_runner(lab, deploy, "runner-1", RUNNER_LEASE_SECONDS=10)
    job_id = create(deploy)
    assert lab.node.wait_for_deploys(1)

    family = [*first.family()]
    for process in family:
        process.suspend()
    first.process.send_signal(signal.SIGSTOP)
    lab.node.release.set()
    start_runner(lab, deploy, "runner-2")
    job = wait_for_end(deploy, job_id)
    first.process.send_signal(signal.SIGCONT)
    for process in family:
        process.resume()
    assert wait_until(lambda: first.lines("left_to_lease"))

    assert (job["status"], job["runnerId"]) == ("SUCCEEDED", "runner-2")
    assert job_of(deploy, job_id) == job
    assert first.lines("reported") == []


def test_cancelled_job_is_killed_within_a_heartbeat(lab: Lab, deploy: DeployProcess) -> None:
    lab.node.agent = lab.node.hold
    runner = start_runner(lab, deploy, "runner-1", RUNNER_LEASE_SECONDS=12)
    job_id = create(deploy)
    assert lab.node.wait_for_deploys(1)

    deploy.call("POST", f"/deploy/jobs/{job_id}/cancel", {}, API)

    assert wait_until(lambda: runner.lines("left_to_lease"), 20)
    assert "Deploy answered 409" in runner.lines("left_to_lease")[0]
    assert job_of(deploy, job_id)["status"] == "CANCELLED"


def test_restart_of_deploy_in_the_middle_does_not_end_the_job(
    lab: Lab, deploy: DeployProcess
) -> None:
    lab.node.agent = lab.node.hold
    patient = {"RUNNER_LEASE_SECONDS": 120, "RUNNER_DEPLOY_TIMEOUT_SECONDS": 120}
    runner = start_runner(lab, deploy, "runner-1", **patient)
    job_id = create(deploy)
    assert lab.node.wait_for_deploys(1)

    deploy.stop()
    deploy.start()
    lab.node.release.set()

    assert wait_for_end(deploy, job_id)["status"] == "SUCCEEDED"
    assert runner.lines("killing") == []


def test_log_of_the_job_can_be_read_at_deploy(lab: Lab, deploy: DeployProcess) -> None:
    start_runner(lab, deploy, "runner-1")

    job_id = create(deploy)
    wait_for_end(deploy, job_id)
    page = deploy.call("GET", f"/deploy/jobs/{job_id}/logs", headers=API)[1]["data"]

    assert page["ended"] is True
    assert [line["n"] for line in page["lines"]] == list(range(page["total"]))
    assert {"VALIDATE", "DEPLOY", "VERIFY", "REPORT"} == {line["phase"] for line in page["lines"]}
