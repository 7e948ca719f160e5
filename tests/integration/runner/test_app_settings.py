"""Settings of an app on their way through a runner: to the agent, and to nowhere else."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.settings_calls import ask
from tests.integration.deploy_process import API, DeployProcess
from tests.integration.runner import stubs
from tests.integration.runner.conftest import RUNNER_TOKEN
from tests.integration.runner.test_faults import wait_until
from tests.integration.runner.test_with_deploy import create, start_runner, wait_for_end

if TYPE_CHECKING:
    from tests.integration.runner.conftest import Lab, RunnerProcess
    from tests.integration.runner.stubs import Reply

SECRET = 'canary-"quoted" secret\nwith-a-second-line'
OPEN = "canary-open-value"
LONG = "canary-long-" + "0123456789abcdef" * 80


def given(**limits: float) -> Reply:
    environment = {"TOKEN": SECRET, "LEVEL": OPEN, "LONG": LONG}
    return stubs.settings(environment, "TOKEN", "LONG", **limits)


def texts(folder: Path) -> str:
    found = []
    for path in folder.rglob("*"):
        # A job's own files go once it is reported; its log is a pipe, which nobody else may read.
        with suppress(FileNotFoundError):
            if path.is_file():
                found.append(path.read_text(errors="replace"))
    return "\n".join(found)


def everything(lab: Lab, runner: RunnerProcess) -> str:
    """Return all that a runner wrote, told Deploy or is seen by others as."""
    told = json.dumps([lab.deploy.reports, lab.deploy.heartbeats, lab.deploy.logs])
    return texts(lab.tmp_path) + told + runner.log.read_text()


@pytest.mark.parametrize("execution", ["forked", "cold"])
def test_agent_gets_environment_and_limits(lab: Lab, execution: str) -> None:
    lab.deploy.app_settings = lambda: given(memoryMib=64, cpus=0.5)
    lab.runner(RUNNER_EXECUTION=execution)

    lab.deploy.add(lab.job("job-1", fence=4))
    report = lab.report_of("job-1")

    assert report["status"] == "SUCCEEDED"
    (body,) = lab.node.deploys
    assert body["environment"] == {"TOKEN": SECRET, "LEVEL": OPEN, "LONG": LONG}
    assert body["limits"] == {"memoryMib": 64, "cpus": 0.5}
    assert lab.deploy.settings_calls == [
        "/deploy/jobs/job-1/app-settings?runnerId=runner-1&fence=4"
    ]
    assert lab.deploy.headers[-1]["X-Runner-Token"] == RUNNER_TOKEN


def test_app_without_settings_changes_nothing_for_the_agent(lab: Lab) -> None:
    lab.runner()

    lab.deploy.add(lab.job("job-1"))
    lab.report_of("job-1")

    assert {"environment", "limits"} & set(lab.node.deploys[0]) == set()


def test_nothing_of_it_is_anywhere_while_the_agent_works(lab: Lab) -> None:
    lab.deploy.app_settings = given
    lab.node.agent = lab.node.hold
    runner = lab.runner()
    lab.deploy.add(lab.job("job-1"))
    assert lab.node.wait_for_deploys(1)

    seen = everything(lab, runner)
    for process in [runner.process.pid, *(child.pid for child in runner.family())]:
        for name in ("cmdline", "environ"):
            seen += Path(f"/proc/{process}/{name}").read_bytes().decode()
    lab.node.release.set()
    lab.report_of("job-1")

    assert "canary-open" not in seen
    assert "canary-long" not in seen
    assert "with-a-second-line" not in seen


def test_secrets_that_an_app_prints_are_masked(lab: Lab) -> None:
    lab.deploy.app_settings = given
    lines = [f"my settings are {line}" for line in (*SECRET.splitlines(), OPEN, LONG[:500])]
    evidence = {"logs": [*lines, f"as JSON {json.dumps(SECRET)}"]}
    answer = {"detail": f"it said {LONG}", "reason": "CONTAINER_EXITED", "evidence": evidence}
    lab.node.agent = lambda _body: (500, answer)
    runner = lab.runner()

    lab.deploy.add(lab.job("job-1"))
    report = lab.report_of("job-1")
    assert wait_until(lambda: "DEPLOY" in lab.deploy.text_of("job-1"))

    assert report["status"] == "FAILED"
    assert "***" in report["errorMessage"]
    found = everything(lab, runner)
    for secret in ("with-a-second-line", "canary-long", "0123456789abcdef" * 2):
        assert secret not in found, secret
    assert OPEN in report["errorMessage"]


@pytest.mark.parametrize("answers", [True, False], ids=["Deploy there", "Deploy away"])
def test_secrets_on_the_apps_page_are_masked(lab: Lab, *, answers: bool) -> None:
    lab.deploy.app_settings = given
    lab.node.app = lambda _path: (500, f"trouble with {LONG[:300]}")
    lab.node.agent = lab.node.hold
    runner = lab.runner(RUNNER_VERIFY_TIMEOUT_SECONDS=3)
    lab.deploy.add(lab.job("job-1"))
    assert lab.node.wait_for_deploys(1)
    if not answers:
        lab.deploy.app_settings = lambda: None
    lab.node.release.set()

    report = lab.report_of("job-1")

    assert report["reason"] == "VERIFY_FAILED"
    assert "canary-long" not in everything(lab, runner)
    assert ("trouble with" in report["errorMessage"]) is answers


def test_app_is_not_deployed_without_the_settings_it_has(lab: Lab) -> None:
    refusal = {"code": 500, "message": "none of the keys opens it", "data": None}
    lab.deploy.app_settings = lambda: (500, refusal)
    lab.runner()

    lab.deploy.add(lab.job("job-1"))
    report = lab.report_of("job-1")

    assert (report["status"], report["reason"]) == ("FAILED", "SETTINGS_UNAVAILABLE")
    assert "none of the keys opens it" in report["errorMessage"]
    assert "What ran before still serves" in report["errorMessage"]
    assert len(lab.deploy.settings_calls) == 1, "what is refused for good is not asked again"
    assert lab.node.deploys == []


def test_short_trouble_of_deploy_is_waited_for(lab: Lab) -> None:
    busy = {"code": 503, "message": "busy", "data": None}
    answers: list[Any] = [None, (503, busy), given()]
    lab.deploy.app_settings = lambda: answers.pop(0)
    lab.runner()

    lab.deploy.add(lab.job("job-1"))

    assert lab.report_of("job-1")["status"] == "SUCCEEDED"
    assert lab.node.deploys[0]["environment"]["TOKEN"] == SECRET


def test_lost_lease_ends_the_job_without_a_word(lab: Lab) -> None:
    conflict = {"code": 409, "message": "held by another", "data": None}
    lab.deploy.app_settings = lambda: (409, conflict)
    runner = lab.runner()

    lab.deploy.add(lab.job("job-1"))

    assert wait_until(lambda: runner.lines("left_to_lease"))
    assert lab.deploy.reports == []
    assert lab.node.deploys == []


def test_earlier_deploy_has_no_settings(lab: Lab) -> None:
    lab.deploy.app_settings = lambda: (404, {"code": 404, "message": "no page", "data": None})
    lab.runner()

    lab.deploy.add(lab.job("job-1"))

    assert lab.report_of("job-1")["status"] == "SUCCEEDED"
    assert "environment" not in lab.node.deploys[0]


def test_settings_come_from_the_real_deploy(lab: Lab, deploy: DeployProcess) -> None:
    environment = [
        {"name": "TOKEN", "value": SECRET},
        {"name": "LEVEL", "value": OPEN, "secret": False},
    ]
    body = {"containerPort": 8080, "memoryMib": 64, "environment": environment}
    assert deploy.call("PUT", "/deploy/apps/20002/settings", body, API)[0] == 200
    runner = start_runner(lab, deploy, "runner-1")

    job = wait_for_end(deploy, create(deploy))

    assert job["status"] == "SUCCEEDED", runner.log.read_text()
    (sent,) = lab.node.deploys
    assert (sent["containerPort"], sent["limits"]) == (8080, {"memoryMib": 64})
    assert sent["environment"] == {"TOKEN": SECRET, "LEVEL": OPEN}
    assert ask(deploy, job["id"])[0] == 409
    for table in deploy.schema.rows("SHOW TABLES"):
        rows = deploy.schema.rows(f"SELECT * FROM `{next(iter(table.values()))}`")
        assert "canary" not in repr(rows)
