"""What a node is told of a job that ended without success, and what Deploy then knows of the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy.revision_calls import APP, app, deploy_built, roll_back
from tests.integration.deploy.test_operators import eventually
from tests.integration.deploy_process import API, SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.deploy_process import DeployProcess

CLOSE = "/agent/apps/close"
NOTHING: dict[str, Any] = {"state": "NEW", "serving": None}


@pytest.fixture
def agent(deploy: DeployProcess) -> Iterator[AgentStub]:
    """The agent of node-1, on which nothing serves."""
    stub = AgentStub()
    stub.answer = (200, NOTHING)
    for _ in range(2):
        deploy.beat(agentBaseUrl=stub.url)
    yield stub
    stub.close()


def closings(agent: AgentStub) -> list[dict[str, Any]]:
    return [body for path, body, _ in agent.calls if path == CLOSE]


def is_told(deploy: DeployProcess) -> bool:
    query = "SELECT COUNT(*) AS n FROM fun_ai_deploy_app WHERE closing_node_id IS NOT NULL"
    return bool(deploy.schema.rows(query)[0]["n"] == 0)


def serve(agent: AgentStub, job: dict[str, Any]) -> None:
    """Let the node say that this job's version serves."""
    serving = {"jobId": job["id"], "fence": job["fence"], "image": "i", "release": "r"}
    agent.answer = (200, {"state": "DEPLOYED", "serving": serving})


def fail(deploy: DeployProcess, app_id: str = APP) -> dict[str, Any]:
    deploy.create(app_id)
    job = deploy.claimed()
    deploy.report(job, "FAILED", errorMessage="no")
    return job


@pytest.mark.parametrize("how", ["FAILED", "CANCELLED"])
def test_node_is_told_of_an_end_with_a_fence_above_the_jobs(
    deploy: DeployProcess, agent: AgentStub, how: str
) -> None:
    deploy.create(APP)
    job = deploy.claimed()
    if how == "FAILED":
        deploy.report(job, "FAILED", errorMessage="no")
    else:
        deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, API)
    assert eventually(lambda: is_told(deploy))
    deploy.create(APP)

    expected = {"appId": APP, "userId": "1", "fence": job["fence"] + 1}
    assert agent.calls[0] == (CLOSE, expected, SECRETS["DEPLOY_RUNTIME_TOKEN"])
    assert deploy.claimed()["fence"] == job["fence"] + 2
    assert app(deploy)["unconfirmedJobId"] is None


def test_node_is_told_nothing_of_what_succeeded_or_was_never_claimed(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deploy_built(deploy, 1)
    created = deploy.create(APP)[1]["data"]
    deploy.call("POST", f"/deploy/jobs/{created['id']}/cancel", {}, API)
    job = fail(deploy, "another")

    assert eventually(lambda: is_told(deploy))
    assert closings(agent) == [{"appId": "another", "userId": "1", "fence": job["fence"] + 1}]


def test_version_of_a_job_that_was_cut_off_is_said_to_serve(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deploy_built(deploy, 1)
    deploy_built(deploy, 2)
    deploy.create(APP)
    job = deploy.claimed()
    serve(agent, job)
    deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, API)
    assert eventually(lambda: app(deploy)["unconfirmedJobId"] is not None)

    found = app(deploy)
    assert found["unconfirmedJobId"] == job["id"]
    assert f"the version of job {job['id']} serves, which is no success" in found["reason"]
    assert "revision 2" in found["reason"]
    events = deploy.call("GET", f"/deploy/jobs/{job['id']}/events", None, API)[1]["data"]
    assert events[-1]["actor"] == "node:node-1"
    assert "serves on node node-1 all the same" in events[-1]["reason"]
    # Back to what succeeded, not to what ran before that.
    assert roll_back(deploy)[1]["data"]["revision"] == 2
    deploy.report(deploy.claimed(), "SUCCEEDED")
    assert app(deploy)["unconfirmedJobId"] is None


def test_later_failure_leaves_what_serves_unconfirmed(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deploy.create(APP)
    job = deploy.claimed()
    # Before the end, which the node may be told of at once.
    serve(agent, job)
    deploy.report(job, "FAILED", errorMessage="no")
    assert eventually(lambda: app(deploy)["unconfirmedJobId"] is not None)
    first = app(deploy)["unconfirmedJobId"]

    later = fail(deploy)

    assert eventually(lambda: is_told(deploy))
    assert (app(deploy)["unconfirmedJobId"], app(deploy)["state"]) == (first, "RUNNING")
    assert later["id"] != first


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"detail": "Not Found"}),
        (422, {"detail": "appId must match", "reason": "INVALID_REQUEST"}),
        (409, {"detail": "newer", "reason": "STALE_FENCE"}),
    ],
)
def test_node_that_cannot_or_need_not_be_told_is_left_alone(
    deploy: DeployProcess, agent: AgentStub, status: int, body: dict[str, Any]
) -> None:
    agent.answer = (status, body)

    fail(deploy)

    assert eventually(lambda: is_told(deploy))
    assert len(closings(agent)) == 1


def test_node_that_is_busy_is_told_again_also_by_the_next_deploy(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    agent.answer = (409, {"detail": "app is busy", "reason": "BUSY"})
    job = fail(deploy)
    assert eventually(lambda: len(closings(agent)) >= 2)
    deploy.stop()
    agent.answer = (200, NOTHING)
    agent.calls.clear()

    deploy.start()

    assert eventually(lambda: is_told(deploy))
    assert closings(agent)[0]["fence"] == job["fence"] + 1


@pytest.mark.parametrize("status", [409, 500, 507])
def test_app_of_which_a_node_cannot_be_told_holds_up_no_other(
    deploy: DeployProcess, agent: AgentStub, status: int
) -> None:
    agent.answers["first"] = (status, {"detail": "not now", "reason": "BUSY"})
    fail(deploy, "first")

    later = fail(deploy, "later")

    told = "SELECT app_id FROM fun_ai_deploy_app WHERE closing_node_id IS NOT NULL"
    assert eventually(lambda: {"app_id": "later"} not in deploy.schema.rows(told))
    assert {"app_id": "first"} in deploy.schema.rows(told)
    assert [body["fence"] for body in closings(agent) if body["appId"] == "later"] == [
        later["fence"] + 1
    ]


def test_node_with_an_impossible_address_holds_up_no_other(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deploy.stop()
    # No such name can be looked up; it was taken before names were checked. It is asked first.
    deploy.schema.execute(
        "UPDATE fun_ai_deploy_runtime_node SET agent_base_url = 'http://node..example:7005',"
        " enabled = 0 WHERE name = 'node-1'"
    )
    deploy.start()
    deploy.beat("node-2", agentBaseUrl=agent.url)

    job = fail(deploy)

    assert eventually(lambda: is_told(deploy))
    assert closings(agent)[0]["fence"] == job["fence"] + 1


def test_purge_forgets_what_was_to_be_told(deploy: DeployProcess, agent: AgentStub) -> None:
    agent.answer = (503, {"detail": "away"})
    fail(deploy)
    assert not is_told(deploy)

    deploy.call("POST", "/deploy/apps/purge", {"userId": 1, "appId": APP}, API)

    assert is_told(deploy)
