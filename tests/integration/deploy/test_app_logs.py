"""An app's own log, through Deploy from its node."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.integration.deploy_process import API, SECRETS, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deploy.agent_stub import AgentStub

TIMEOUT = 30
#: Below the twenty seconds after which a Deploy that does not end is killed.
SOON_SECONDS = 15


def deployed(deploy: DeployProcess, agent: AgentStub) -> str:
    """Deploy an app on the agent's node; return the address of its log."""
    deploy.beat(agentBaseUrl=agent.url)
    deploy.create("shop")
    deploy.report(deploy.claimed(), "SUCCEEDED")
    return f"{deploy.url}/deploy/apps/shop/logs"


def test_log_comes_from_the_node_of_the_app(deploy: DeployProcess, agent: AgentStub) -> None:
    agent.log = "eins\nzwei ä\n".encode()
    url = deployed(deploy, agent)

    answer = requests.get(url, headers=API, params={"tail": 7}, timeout=TIMEOUT)

    assert (answer.status_code, answer.content) == (200, agent.log)
    assert answer.headers["Content-Type"].startswith("text/plain")
    path, _, token = agent.calls[-1]
    assert token == SECRETS["DEPLOY_RUNTIME_TOKEN"]
    query = {"userId": ["0"], "appId": ["shop"], "tail": ["7"], "follow": ["0"]}
    assert (urlsplit(path).path, parse_qs(urlsplit(path).query)) == ("/agent/apps/logs", query)


def test_follower_gets_lines_at_once_and_its_hanging_up_reaches_the_node(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    agent.log = b"started\n"
    url = deployed(deploy, agent)
    agent.hold.clear()

    with requests.get(
        url, headers=API, params={"follow": 1}, stream=True, timeout=TIMEOUT
    ) as answer:
        first = next(answer.iter_lines(chunk_size=1))

    assert first == b"started"
    assert agent.log_ended.wait(SOON_SECONDS)


def test_end_of_deploy_ends_those_who_follow_an_app(
    start_deploy: Callable[..., DeployProcess], agent: AgentStub
) -> None:
    deploy = start_deploy()
    url = deployed(deploy, agent)
    agent.hold.clear()

    with requests.get(url, headers=API, params={"follow": 1}, stream=True, timeout=TIMEOUT):
        began = time.monotonic()
        deploy.stop()

    assert time.monotonic() - began < SOON_SECONDS


@pytest.mark.parametrize(
    ("status", "expected"), [pytest.param(404, 404, id="none"), pytest.param(503, 502, id="failed")]
)
def test_refusal_of_the_node_is_told(
    deploy: DeployProcess, agent: AgentStub, status: int, expected: int
) -> None:
    url = deployed(deploy, agent)
    agent.answer = (status, {"detail": "said by the agent", "reason": "X"})

    answer = requests.get(url, headers=API, timeout=TIMEOUT)

    assert answer.status_code == expected
    assert "said by the agent" in answer.json()["message"]


def test_app_without_a_node_and_bad_bounds_are_refused(deploy: DeployProcess) -> None:
    unknown, said = deploy.call("GET", "/deploy/apps/nobody/logs", headers=API)
    bad, message = deploy.call("GET", "/deploy/apps/shop/logs?tail=5001", headers=API)
    without, _ = deploy.call("GET", "/deploy/apps/shop/logs")

    assert (unknown, bad, without) == (404, 400, 401)
    assert "nobody" in said["message"]
    assert "tail" in message["message"]
