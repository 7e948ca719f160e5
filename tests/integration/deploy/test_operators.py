"""Apps and nodes in an operator's hands: stop, purge, clean up, reassign, drain, limits."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from tests.integration.deploy_process import ADMIN, API, SECRETS, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deploy.agent_stub import AgentStub

TARGET = {"userId": 7, "appId": "shop"}


def deployed(deploy: DeployProcess, agent: AgentStub, app_id: str = "shop") -> dict[str, Any]:
    """Deploy an app to the stub's node."""
    deploy.beat(agentBaseUrl=agent.url)
    deploy.create(app_id)
    job = deploy.claimed()
    assert deploy.report(job, "SUCCEEDED")[1]["code"] == 200
    return job


def last_known(deploy: DeployProcess) -> dict[str, Any]:
    return deploy.call("GET", "/deploy/apps/shop", None, API)[1]


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.1)
    return True


def test_stop_asks_the_node_with_token_and_fence(deploy: DeployProcess, agent: AgentStub) -> None:
    job = deployed(deploy, agent)

    stopped = deploy.call("POST", "/deploy/apps/stop", TARGET, API)[1]

    assert stopped["data"] == {
        "appId": "shop",
        "userId": 7,
        "nodeId": job["runtimeNode"]["id"]["value"],
        "agentBaseUrl": agent.url,
        "runtime": {"status": "DONE"},
    }
    expected = {"userId": "7", "appId": "shop", "fence": job["fence"]}
    assert agent.calls == [("/agent/apps/stop", expected, SECRETS["DEPLOY_RUNTIME_TOKEN"])]
    assert last_known(deploy)["data"]["lastJobStatus"] == "STOPPED"


def test_stop_that_failed_is_not_recorded(deploy: DeployProcess, agent: AgentStub) -> None:
    deployed(deploy, agent)
    agent.answer = (503, {"detail": "the engine is away"})

    status, envelope = deploy.call("POST", "/deploy/apps/stop", TARGET, API)

    assert (status, envelope["code"]) == (502, 500)
    assert "the engine is away" in envelope["message"]
    assert last_known(deploy)["data"]["lastJobStatus"] == "SUCCEEDED"


def test_stop_of_an_unknown_app_is_404(deploy: DeployProcess) -> None:
    assert deploy.call("POST", "/deploy/apps/stop", TARGET, API)[0] == 404
    assert last_known(deploy)["code"] == 404


def test_purge_deletes_rows_and_keeps_the_fence(deploy: DeployProcess, agent: AgentStub) -> None:
    job = deployed(deploy, agent)

    purged = deploy.call("POST", "/deploy/apps/purge", TARGET, API)[1]["data"]
    again = deployed(deploy, agent)

    assert purged == {
        **TARGET, "deletedJobs": 1, "deletedAppRuns": 1, "deletedPlacements": 1,
    }  # fmt: skip
    assert again["fence"] > job["fence"]


def test_cleanup_of_a_node_that_hangs_is_in_time_and_repeated(
    start_deploy: Callable[..., DeployProcess], agent: AgentStub
) -> None:
    deploy = start_deploy(DEPLOY_REAPER_SECONDS="0.1")
    deployed(deploy, agent)
    agent.hold.clear()

    started = time.monotonic()
    cleaned = deploy.call("POST", "/deploy/apps/cleanup", TARGET, API)[1]
    took = time.monotonic() - started
    agent.hold.set()

    assert cleaned["code"] == 200
    assert took < 8
    assert cleaned["data"]["runtime"]["success"] is False
    assert cleaned["data"]["runtime"]["error"]
    assert cleaned["data"]["purge"]["deletedJobs"] == 1
    assert cleaned["data"]["imageTags"] == ["registry.test/demo:1"]
    assert eventually(lambda: len(agent.calls) >= 2)
    query = "SELECT app_id FROM fun_ai_deploy_leftover"
    assert eventually(lambda: deploy.schema.rows(query) == [])


def test_cleanup_of_an_unknown_app_is_200(deploy: DeployProcess) -> None:
    cleaned = deploy.call("POST", "/deploy/apps/cleanup", TARGET, API)[1]

    assert cleaned["code"] == 200
    assert cleaned["data"]["runtime"]["skipped"] is True
    assert cleaned["data"]["userId"] == "7"


def test_node_that_an_app_left_is_cleared(
    start_deploy: Callable[..., DeployProcess], agent: AgentStub
) -> None:
    deploy = start_deploy(DEPLOY_REAPER_SECONDS="0.1")
    deployed(deploy, agent)
    target = deploy.beat("node-2")[1]["data"]["id"]["value"]

    body = {"appId": "shop", "targetNodeId": str(target)}
    moved = deploy.call("POST", "/admin/runtime-nodes/reassign", body, ADMIN)[1]
    deploy.create("shop")
    job = deploy.claimed()
    deploy.report(job, "SUCCEEDED")

    assert moved["data"] == "ok"
    assert job["runtimeNode"]["name"] == "node-2"
    assert eventually(lambda: agent.calls != [])
    # A node that took its time is asked again, for the same.
    for path, asked, _ in agent.calls:
        assert (path, asked["fence"]) == ("/agent/apps/delete", job["fence"])


def test_reassign_names_what_is_unknown_or_in_the_way(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deployed(deploy, agent)
    target = deploy.beat("node-2")[1]["data"]["id"]["value"]
    path = "/admin/runtime-nodes/reassign"

    def reassign(app_id: object, node_id: int) -> int:
        body = {"appId": app_id, "targetNodeId": node_id}
        return int(deploy.call("POST", path, body, ADMIN)[1]["code"])

    assert reassign("shop", 999) == 404
    assert reassign("unknown", target) == 404
    deploy.create("shop")
    deploy.claimed()
    assert reassign("shop", target) == 409
    deploy.call("POST", "/admin/runtime-nodes/set-enabled?name=node-2&enabled=off", None, ADMIN)
    assert reassign("shop", target) == 409


def test_nodes_without_room_are_left_out(deploy: DeployProcess) -> None:
    deploy.beat("tight", diskFreePct=20.0)
    deploy.beat("full", diskFreePct=5)
    deploy.create("shop")
    nothing = deploy.claim()[1]["data"]
    waiting = deploy.call("GET", "/deploy/jobs?limit=1", None, API)[1]["data"][0]
    deploy.beat("roomy", diskFreePct="70.5", diskFreeBytes=1)

    job = deploy.claimed()

    assert nothing is None
    assert "tight" in waiting["reason"]
    assert waiting["reasonCode"] == "NO_NODE"
    assert job["runtimeNode"]["name"] == "roomy"
    nodes = deploy.call("GET", "/admin/runtime-nodes/list", None, ADMIN)[1]["data"]
    assert [node["health"] for node in nodes] == ["HEALTHY", "UNHEALTHY", "HEALTHY"]


def a_thousand_wait(deploy: DeployProcess, node_id: int | None) -> None:
    """Let as many older jobs wait as a look for work goes through, all of apps on that node."""
    deploy.schema.execute(
        "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json, create_time, version,"
        " deploy_seq, attempt) SELECT CONCAT('old-', seq), 'BUILD_AND_DEPLOY', CONCAT('old-', seq),"
        " 'PENDING', '{\"image\": \"a/b:1\"}', UTC_TIMESTAMP(6) - INTERVAL 1 HOUR, 0, 1, 0"
        " FROM seq_1_to_1000"
    )
    if node_id is not None:
        deploy.schema.execute(
            "INSERT INTO fun_ai_deploy_runtime_placement (app_id, node_id)"
            f" SELECT CONCAT('old-', seq), {node_id} FROM seq_1_to_1000"
        )


def test_a_placed_app_is_found_behind_new_ones_for_which_there_is_no_room(
    deploy: DeployProcess, agent: AgentStub
) -> None:
    deployed(deploy, agent)
    deploy.beat(agentBaseUrl=agent.url, diskFreePct=20.0)
    a_thousand_wait(deploy, None)
    deploy.create("shop")

    assert deploy.claimed()["appId"] == "shop"
    assert deploy.claim()[1]["data"] is None


def test_a_new_app_is_found_behind_those_of_a_node_that_is_away(deploy: DeployProcess) -> None:
    away = deploy.beat("away")[1]["data"]["id"]["value"]
    deploy.call("POST", "/admin/runtime-nodes/set-enabled?name=away&enabled=off", None, ADMIN)
    deploy.beat("here")
    a_thousand_wait(deploy, away)
    deploy.create("shop")

    assert deploy.claimed()["appId"] == "shop"
    assert deploy.claim()[1]["data"] is None


def test_running_too_long_is_failed_though_the_runner_beats(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_MAX_RUNNING_SECONDS="1", DEPLOY_REAPER_SECONDS="0.1")
    deploy.beat()
    deploy.create("shop")
    job = deploy.claimed()

    def status() -> str:
        path = f"/deploy/jobs/{job['id']}"
        return str(deploy.call("GET", path, None, API)[1]["data"]["status"])

    assert eventually(lambda: status() == "FAILED")
    assert last_known(deploy)["data"]["lastJobStatus"] == "FAILED"


def test_waiting_claims_leave_room_for_others(start_deploy: Callable[..., DeployProcess]) -> None:
    deploy = start_deploy(DEPLOY_THREADS="4")
    waiters = [threading.Thread(target=lambda: deploy.claim(waitSeconds=20)) for _ in range(2)]
    for waiter in waiters:
        waiter.start()

    assert eventually(
        lambda: 'waiting{what="claims"} 2' in requests.get(deploy.url + "/metrics", timeout=5).text
    )
    assert deploy.claim("one-more", waitSeconds=3)[0] == 503
    started = time.monotonic()
    assert deploy.call("GET", "/deploy/jobs", None, API)[0] == 200
    # Those who wait do so for longer.
    assert time.monotonic() - started < 10
    deploy.beat()
    for app_id in ("one", "two"):
        deploy.create(app_id)
    for waiter in waiters:
        waiter.join()


def test_stop_does_not_wait_for_those_who_wait(start_deploy: Callable[..., DeployProcess]) -> None:
    deploy = start_deploy()
    answers: list[int] = []
    waiter = threading.Thread(target=lambda: answers.append(deploy.claim(waitSeconds=30)[0]))
    waiter.start()
    assert eventually(
        lambda: 'waiting{what="claims"} 1' in requests.get(deploy.url + "/metrics", timeout=5).text
    )

    started = time.monotonic()
    deploy.stop()
    waiter.join()

    assert time.monotonic() - started < 10
    assert answers == [200]


def test_read_only_database_is_told_and_overcome(deploy: DeployProcess) -> None:
    deploy.beat()
    server = deploy.schema.server
    server.execute("SET GLOBAL read_only = 1")
    try:
        status, envelope = deploy.create("shop")
        health = deploy.call("GET", "/internal/health")[0]
    finally:
        server.execute("SET GLOBAL read_only = 0")

    assert (status, envelope["code"]) == (503, 503)
    assert "read-only" in envelope["message"]
    assert health == 200
    assert deploy.create("shop")[0] == 200


def test_openapi_page_shows_every_endpoint(deploy: DeployProcess) -> None:
    page = requests.get(deploy.url + "/openapi/", timeout=10)
    document = requests.get(deploy.url + "/openapi/openapi.json", timeout=10).json()

    assert page.status_code == 200
    assert "/deploy/jobs/claim" in document["paths"]
    assert requests.get(deploy.url + "/openapi/swagger", timeout=10).status_code == 200


def test_memory_of_all_processes_is_bounded(deploy: DeployProcess) -> None:
    deploy.beat()
    for number in range(20):
        deploy.create(f"app-{number}")
    requests.get(deploy.url + "/openapi/openapi.json", timeout=10)

    total = sum(resident_kib(pid) for pid in family(deploy.pid)) / 1024

    assert total <= 120, f"Deploy uses {total:.0f} MiB"


def family(pid: int) -> list[int]:
    children = (Path(f"/proc/{pid}/task/{pid}/children")).read_text().split()
    return [pid, *(int(child) for child in children)]


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def test_worker_that_dies_is_replaced(deploy: DeployProcess) -> None:
    worker = family(deploy.pid)[1]

    os.kill(worker, signal.SIGKILL)

    def answers() -> bool:
        try:
            return requests.get(deploy.url + "/internal/ready", timeout=5).ok
        except requests.RequestException:
            return False

    assert eventually(lambda: worker not in family(deploy.pid) and answers())
