"""Jobs from claim to report, with a runner process between a stub Deploy and a stub node."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.integration.runner.conftest import RUNTIME_TOKEN, still_alive
from tests.integration.runner.stubs import deployed

if TYPE_CHECKING:
    from tests.integration.runner.conftest import Lab
    from tests.integration.runner.stubs import Reply

PAYLOADS: tuple[dict[str, Any], ...] = ({}, {"image": ""}, {"containerPort": "x"})
IDLE_MEMORY_BYTES = 120 * 1024 * 1024


@pytest.mark.parametrize("execution", ["forked", "cold"])
def test_job_with_an_image_succeeds(lab: Lab, execution: str) -> None:
    runner = lab.runner(RUNNER_EXECUTION=execution)

    lab.deploy.add(lab.job("job-1", fence=4, containerPort=8080))
    report = lab.report_of("job-1")

    assert report["status"] == "SUCCEEDED"
    assert report["fence"] == 4
    assert report["result"]["containerName"] == "rt-app-1-4"
    phases = [p["phase"] for p in report["result"]["phases"]]
    assert phases == ["VALIDATE", "CLONE", "BUILD", "PUSH", "DEPLOY", "VERIFY"]
    skipped = [p["phase"] for p in report["result"]["phases"] if p.get("skipped")]
    assert skipped == ["CLONE", "BUILD", "PUSH"]
    assert lab.deploy.phases("job-1") == ["VALIDATE", "DEPLOY", "VERIFY", "REPORT"]
    assert lab.node.tokens == [RUNTIME_TOKEN]
    assert lab.node.deploys == [
        {
            "userId": "7",
            "appId": "app-1",
            "image": "registry.test/demo:1",
            "containerPort": 8080,
            "basePath": "/apps/app-1",
            "jobId": "job-1",
            "fence": 4,
            "readySeconds": 25,
            "healthPath": "/",
        }
    ]
    assert runner.stop() == 0
    assert len(runner.lines("claimed")) == 1
    assert f"agentBaseUrl={lab.node_url}" in runner.lines("claimed")[0]
    assert "200 DEPLOYED rt-app-1-4" in runner.lines("deploy_called")[0]
    assert "status=SUCCEEDED" in runner.lines("reported")[0]
    assert list((runner.state_dir / "jobs").iterdir()) == []
    assert (runner.state_dir / "logs" / "job-1.4.log").read_text().count('"status": "ok"') == 4


def test_forked_and_cold_give_the_same_outcome(lab: Lab) -> None:
    reports = {}

    for execution in ("forked", "cold"):
        runner = lab.runner(execution, RUNNER_EXECUTION=execution)
        for number, payload in enumerate(PAYLOADS):
            lab.deploy.add(lab.job(f"{execution}-{number}", **payload))
        reports[execution] = [lab.report_of(f"{execution}-{n}") for n in range(3)]
        runner.stop()

    for report in (*reports["forked"], *reports["cold"]):
        for phase in report["result"]["phases"]:
            del phase["seconds"]
    assert reports["forked"] == [{**r, "runnerId": "forked"} for r in reports["cold"]]


def test_job_without_an_image_fails_and_says_what_to_send(lab: Lab) -> None:
    lab.runner()

    lab.deploy.add(lab.job("job-1", image=None, repoUrl="https://git.test/app.git"))
    report = lab.report_of("job-1")

    assert report["status"] == "FAILED"
    assert "payload.image" in report["errorMessage"]
    assert lab.node.deploys == []


def test_stale_fence_fails_the_job_at_once(lab: Lab) -> None:
    lab.node.agent = lambda _body: (409, {"detail": "fence 9 was seen", "reason": "STALE_FENCE"})
    lab.runner()

    lab.deploy.add(lab.job("job-1", fence=8))
    report = lab.report_of("job-1")

    assert report["status"] == "FAILED"
    assert report["reason"] == "STALE_FENCE"
    assert len(lab.node.deploys) == 1


def test_busy_and_unavailable_agents_are_asked_again(lab: Lab) -> None:
    answers = [None, (503, {"detail": "x", "reason": "ENGINE_UNAVAILABLE"}), (409, {"detail": "y"})]
    original = lab.node.agent
    lab.node.agent = lambda body: answers.pop(0) if answers else original(body)
    lab.runner()

    lab.deploy.add(lab.job("job-1"))
    report = lab.report_of("job-1")

    assert report["status"] == "SUCCEEDED"
    assert len(lab.node.deploys) == 4


def test_agents_evidence_reaches_the_report(lab: Lab) -> None:
    evidence = {"exitCode": 3, "log": ["starting", "\x1b[31mboom\x1b[0m"]}
    detail = {"detail": "the container exited", "reason": "CONTAINER_EXITED", "evidence": evidence}
    lab.node.agent = lambda _body: (500, detail)
    lab.runner()

    lab.deploy.add(lab.job("job-1"))
    report = lab.report_of("job-1")

    assert report["reason"] == "CONTAINER_EXITED"
    assert report["errorMessage"].endswith("starting\nboom")
    assert len(report["errorMessage"]) <= 1000


def test_app_that_answers_500_at_the_gateway_fails_the_job(lab: Lab) -> None:
    lab.node.app = lambda _path: (502, "bad gateway")
    lab.runner(RUNNER_VERIFY_TIMEOUT_SECONDS=1)

    lab.deploy.add(lab.job("job-1"))
    report = lab.report_of("job-1")

    assert report["reason"] == "VERIFY_FAILED"
    assert "answered 502" in report["errorMessage"]


def test_last_ask_for_which_little_time_is_left_hides_no_answer(lab: Lab) -> None:
    def answer(_path: str) -> Reply:
        threading.Event().wait(0.3)
        return (502, "bad gateway")

    lab.node.app = answer
    lab.runner(RUNNER_VERIFY_TIMEOUT_SECONDS=1)

    lab.deploy.add(lab.job("job-1"))

    assert "answered 502" in lab.report_of("job-1")["errorMessage"]


def test_answer_of_another_release_is_no_answer(lab: Lab) -> None:
    """A gateway that does not know the app yet answers 404, which this app does as well."""
    answers: list[Reply] = [
        (404, "no such app"),
        (200, "an app", {"X-App-Release": "r6"}),
        (404, "nothing at /", {"X-App-Release": "r7"}),
    ]
    lab.node.agent = lambda body: (200, {**deployed(body)[1], "release": "r7"})
    lab.node.app = lambda _path: answers.pop(0)
    lab.runner()

    lab.deploy.add(lab.job("job-1"))

    assert lab.report_of("job-1")["status"] == "SUCCEEDED"
    assert answers == []


def test_release_that_never_comes_fails_the_job(lab: Lab) -> None:
    lab.node.agent = lambda body: (200, {**deployed(body)[1], "release": "r7"})
    lab.node.app = lambda _path: (404, "no such app")
    lab.runner(RUNNER_VERIFY_TIMEOUT_SECONDS=1)

    lab.deploy.add(lab.job("job-1"))
    report = lab.report_of("job-1")

    assert report["reason"] == "VERIFY_FAILED"
    assert "of release none, not r7" in report["errorMessage"]


def test_gateway_that_sends_everybody_to_tls_is_believed(lab: Lab) -> None:
    lab.node.agent = lambda body: (200, {**deployed(body)[1], "release": "r7"})
    lab.runner()
    job = lab.job("job-1")
    gateway = job["runtimeNode"]["gatewayBaseUrl"].replace("http://", "https://")
    lab.node.app = lambda path: (308, "over there", {"Location": f"{gateway}{path}"})

    lab.deploy.add(job)

    assert lab.report_of("job-1")["status"] == "SUCCEEDED"


def test_agent_of_an_earlier_system_names_no_release_to_wait_for(lab: Lab) -> None:
    lab.node.app = lambda _path: (404, "nothing at /")
    lab.runner()

    lab.deploy.add(lab.job("job-1"))

    assert lab.report_of("job-1")["status"] == "SUCCEEDED"


def test_two_jobs_run_side_by_side(lab: Lab) -> None:
    lab.node.agent = lab.node.hold
    runner = lab.runner(RUNNER_PARALLEL_JOBS=2)

    for number in (1, 2, 3):
        lab.deploy.add(lab.job(f"job-{number}", appId=f"app-{number}"))
    assert lab.node.wait_for_deploys(2)
    claimed_while_full = len(runner.lines("claimed"))
    lab.node.release.set()

    assert {lab.report_of(f"job-{n}")["status"] for n in (1, 2, 3)} == {"SUCCEEDED"}
    assert claimed_while_full == 2


def test_idle_runner_stays_within_its_memory(lab: Lab) -> None:
    runner = lab.runner()
    lab.deploy.add(lab.job("job-1"))
    lab.report_of("job-1")
    assert still_alive(runner.workers()) == []

    family = [psutil.Process(runner.process.pid), *runner.family()]
    used = sum(process.memory_info().rss for process in family)

    assert len(family) == 2
    assert used <= IDLE_MEMORY_BYTES, f"{used / 1024 / 1024:.1f} MiB"


def test_report_is_repeated_until_deploy_takes_it(lab: Lab) -> None:
    codes: list[int | None] = [None, 500, 200]
    lab.deploy.report_code = lambda: codes.pop(0)
    # Neither a claim nor a heartbeat in between finds Deploy again.
    runner = lab.runner(RUNNER_PARALLEL_JOBS=1, RUNNER_LEASE_SECONDS=600)

    lab.deploy.add(lab.job("job-1"))
    assert lab.deploy.wait_for(lambda: not codes)
    runner.stop()

    assert [body["status"] for _, body in lab.deploy.reports] == ["SUCCEEDED", "SUCCEEDED"]
    assert len(runner.lines("deploy_unreachable")) == 1


def test_runner_without_deploy_says_so_once(lab: Lab) -> None:
    runner = lab.runner(RUNNER_DEPLOY_URL="http://127.0.0.1:1")

    ends_at = time.monotonic() + 60
    while not runner.lines("deploy_unreachable") and time.monotonic() < ends_at:
        time.sleep(0.1)
    time.sleep(2)  # several retries

    assert len(runner.lines("deploy_unreachable")) == 1
    assert "Connection refused" in runner.lines("deploy_unreachable")[0]
    assert runner.stop() == 0
