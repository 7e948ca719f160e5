"""Apps that are placed on one node and served by another, as from a move until the next deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy.agent_stub import AgentStub
from tests.integration.deploy.test_operators import TARGET, deployed, eventually
from tests.integration.deploy_process import ADMIN, API

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.deploy_process import DeployProcess

STOP, DELETE = "/agent/apps/stop", "/agent/apps/delete"


@pytest.fixture
def other() -> Iterator[AgentStub]:
    """The agent of node-2."""
    stub = AgentStub()
    yield stub
    stub.close()


@pytest.fixture
def deploy(
    start_deploy: Callable[..., DeployProcess], agent: AgentStub, other: AgentStub
) -> DeployProcess:
    """A Deploy whose app ``shop`` is served by node-1 and placed on node-2."""
    deploy = start_deploy(DEPLOY_REAPER_SECONDS="0.05")
    deployed(deploy, agent)
    deploy.beat("node-2", agentBaseUrl=other.url)
    answer = deploy.beat("node-2", agentBaseUrl=other.url)[1]
    move(deploy, answer["data"]["id"]["value"])
    return deploy


def move(deploy: DeployProcess, node_id: int) -> None:
    body = {"appId": "shop", "targetNodeId": str(node_id)}
    assert deploy.call("POST", "/admin/runtime-nodes/reassign", body, ADMIN)[1]["code"] == 200


def paths(agent: AgentStub) -> list[str]:
    return [path for path, _, _ in agent.calls]


def left_on(deploy: DeployProcess) -> list[str]:
    """Return the names of nodes that are still to be cleared of the app."""
    query = (
        "SELECT n.name FROM fun_ai_deploy_leftover l"
        " JOIN fun_ai_deploy_runtime_node n ON n.id = l.node_id WHERE l.app_id = 'shop'"
    )
    return sorted(row["name"] for row in deploy.schema.rows(query))


def fail_on_node_2(deploy: DeployProcess) -> dict[str, Any]:
    deploy.create("shop")
    job = deploy.claimed()
    assert job["runtimeNode"]["name"] == "node-2"
    assert deploy.report(job, "FAILED", errorMessage="no")[1]["code"] == 200
    return job


def test_stop_reaches_the_node_that_serves(
    deploy: DeployProcess, agent: AgentStub, other: AgentStub
) -> None:
    status, answer = deploy.call("POST", "/deploy/apps/stop", TARGET, API)

    assert (status, answer["data"]["agentBaseUrl"]) == (200, agent.url)
    assert STOP in paths(agent)
    assert STOP not in paths(other)


def test_cleanup_reaches_every_node_that_may_have_it(
    deploy: DeployProcess, agent: AgentStub, other: AgentStub
) -> None:
    answer = deploy.call("POST", "/deploy/apps/cleanup", TARGET, API)[1]

    assert answer["data"]["runtime"]["success"] is True
    assert DELETE in paths(agent)
    assert left_on(deploy) == ["node-2"]
    assert eventually(lambda: left_on(deploy) == [])
    assert DELETE in paths(other)


def test_log_is_read_where_it_is_served(
    deploy: DeployProcess, agent: AgentStub, other: AgentStub
) -> None:
    agent.log = b"served here\n"

    answer = requests.get(f"{deploy.url}/deploy/apps/shop/logs", headers=API, timeout=30)

    assert answer.content == agent.log
    assert not [path for path in paths(other) if path.startswith("/agent/apps/logs")]


def test_job_that_failed_on_the_new_node_leaves_nothing_there(
    deploy: DeployProcess, agent: AgentStub, other: AgentStub
) -> None:
    job = fail_on_node_2(deploy)

    assert left_on(deploy) == ["node-2"]
    assert eventually(lambda: left_on(deploy) == [])
    deletes = [body for path, body, _ in other.calls if path == DELETE]
    assert deletes[0]["fence"] > job["fence"]
    assert DELETE not in paths(agent)


def test_next_try_on_the_new_node_is_not_cleared_away(
    deploy: DeployProcess, agent: AgentStub, other: AgentStub
) -> None:
    fail_on_node_2(deploy)

    deploy.create("shop")
    job = deploy.claimed()

    assert job["runtimeNode"]["name"] == "node-2"
    assert left_on(deploy) == []
    deploy.report(job, "SUCCEEDED")
    assert left_on(deploy) == ["node-1"]
    assert eventually(lambda: DELETE in paths(agent))
    assert DELETE not in paths(other)
