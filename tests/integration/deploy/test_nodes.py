"""Nodes: stale and back, where they are, and which token each shows."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from tests.integration.deploy_process import ADMIN, API, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_SECONDS = 60


def listed(deploy: DeployProcess, name: str = "node-1") -> dict[str, Any]:
    nodes = deploy.call("GET", "/admin/runtime-nodes/list", None, ADMIN)[1]["data"]
    found: dict[str, Any] = next(node for node in nodes if node["name"] == name)
    return found


def age(deploy: DeployProcess, seconds: int) -> None:
    deploy.schema.execute(
        "UPDATE fun_ai_deploy_runtime_node"
        f" SET last_heartbeat_at = last_heartbeat_at - INTERVAL {seconds} SECOND"
    )


def beat(deploy: DeployProcess, token: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    body = {
        "nodeName": "node-1",
        "agentBaseUrl": "http://127.0.0.1:7005",
        "gatewayBaseUrl": "http://127.0.0.1:80",
        **fields,
    }
    path = "/internal/runtime-nodes/heartbeat"
    return deploy.call("POST", path, body, {"X-RT-Node-Token": token})


def own_token(deploy: DeployProcess, name: str = "node-1") -> str:
    path = f"/admin/runtime-nodes/token?name={name}"
    status, answer = deploy.call("POST", path, None, ADMIN)
    assert status == 200, answer
    token: str = answer["data"]["nodeToken"]
    return token


def test_stale_node_is_back_after_two_beats(deploy: DeployProcess) -> None:
    deploy.beat()
    assert listed(deploy)["health"] == "HEALTHY"
    age(deploy, 181)
    seen = [listed(deploy)["health"]]

    for _ in range(2):
        deploy.beat()
        seen.append(listed(deploy)["health"])

    assert seen == ["STALE", "STALE", "HEALTHY"]


def test_three_intervals_of_the_existing_agent_are_not_stale(deploy: DeployProcess) -> None:
    deploy.beat()
    age(deploy, 170)
    assert listed(deploy)["health"] == "HEALTHY"

    deploy.beat()

    assert listed(deploy)["health"] == "HEALTHY"


def test_heartbeat_from_another_place_does_not_count(deploy: DeployProcess) -> None:
    deploy.beat()
    age(deploy, 100)
    before = listed(deploy)

    status, refused = deploy.beat(agentBaseUrl="http://127.0.0.66:7005")

    assert status == 409
    assert "agentBaseUrl" in refused["message"]
    assert listed(deploy) == before
    upsert = {
        "name": "node-1",
        "agentBaseUrl": "http://127.0.0.66:7005",
        "gatewayBaseUrl": "http://127.0.0.1:80",
    }
    assert deploy.call("POST", "/admin/runtime-nodes/upsert", upsert, ADMIN)[0] == 200
    assert deploy.beat(agentBaseUrl="http://127.0.0.66:7005")[0] == 200


def test_node_with_a_token_of_its_own_shows_it(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.beat("node-2")
    token, other = own_token(deploy), own_token(deploy, "node-2")

    assert deploy.beat()[0] == 401
    assert beat(deploy, other)[0] == 401
    assert beat(deploy, token, nodeName="node-3")[0] == 401
    assert beat(deploy, token)[0] == 200
    assert deploy.beat("node-4")[0] == 200
    assert listed(deploy)["ownToken"] is True
    assert listed(deploy, "node-4")["ownToken"] is False
    stored = deploy.schema.rows("SELECT * FROM fun_ai_deploy_runtime_node")
    assert token not in str(stored)
    newer = own_token(deploy)
    assert [beat(deploy, token)[0], beat(deploy, newer)[0]] == [401, 200]


def test_tokens_are_made_for_known_nodes_by_operators(deploy: DeployProcess) -> None:
    path = "/admin/runtime-nodes/token?name=nobody"

    assert deploy.call("POST", path, None, ADMIN)[0] == 404
    assert deploy.call("POST", path, None, API)[0] == 401
    assert beat(deploy, "a-token-that-nobody-has", nodeName=None)[0] == 401


def test_forbidden_shared_token_lets_only_own_ones_in(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_SHARED_NODE_TOKEN="forbid")
    declared = {
        "name": "node-1",
        "agentBaseUrl": "http://127.0.0.1:7005",
        "gatewayBaseUrl": "http://127.0.0.1:80",
    }
    deploy.call("POST", "/admin/runtime-nodes/upsert", declared, ADMIN)

    status, refused = deploy.beat()

    assert status == 401
    assert "DEPLOY_SHARED_NODE_TOKEN" in refused["message"]
    assert beat(deploy, own_token(deploy))[0] == 200
    assert listed(deploy)["health"] == "HEALTHY"


def test_restarted_deploy_judges_after_one_window(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    window = 8
    first = start_deploy(DEPLOY_NODE_STALE_SECONDS=str(window))
    first.beat("gone-before")
    first.schema.execute("UPDATE fun_ai_deploy_runtime_node SET last_heartbeat_at = '2020-01-01'")
    first.beat()
    first.create()
    job_id = first.claimed()["id"]
    until(lambda: bool(first.schema.rows("SELECT at FROM fun_ai_deploy_alive")))
    first.stop()
    # Deploy is away for a minute: neither the agent nor the runner could reach it.
    age(first, 60)
    first.schema.execute(
        "UPDATE fun_ai_deploy_alive SET at = at - INTERVAL 60 SECOND",
        "UPDATE fun_ai_deploy_job SET attempt = 3, lease_expire_at = 1",
    )

    started = time.monotonic()
    second = start_deploy(DEPLOY_NODE_STALE_SECONDS=str(window))
    until(lambda: listed(second)["health"] == "HEALTHY")

    assert listed(second, "gone-before")["health"] == "STALE"
    assert status_of(second, job_id) == "RUNNING"
    until(lambda: listed(second)["health"] == "STALE")
    until(lambda: status_of(second, job_id) == "FAILED")
    assert time.monotonic() - started >= window


def status_of(deploy: DeployProcess, job_id: str) -> str:
    status: str = deploy.call("GET", f"/deploy/jobs/{job_id}", None, API)[1]["data"]["status"]
    return status


def until(is_so: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that in time"
        pause.wait(0.05)
