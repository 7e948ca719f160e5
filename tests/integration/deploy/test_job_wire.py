"""A job from create to its end, over HTTP, as the contract has it."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy_process import ADMIN, API, GATEWAY, RUNNER, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_for(look: Callable[[], object]) -> None:
    """Wait until ``look`` finds something."""
    deadline = time.monotonic() + 30
    pause = threading.Event()
    while not look():
        assert time.monotonic() < deadline
        pause.wait(0.05)


def metrics(deploy: DeployProcess) -> str:
    return requests.get(f"{deploy.url}/metrics", timeout=30).text


def events(deploy: DeployProcess, job_id: str) -> list[dict[str, Any]]:
    """Return the events of a job."""
    data: list[dict[str, Any]] = deploy.call("GET", f"/deploy/jobs/{job_id}/events", None, API)[1][
        "data"
    ]
    return data


def test_job_goes_from_pending_to_succeeded(deploy: DeployProcess) -> None:
    deploy.beat()
    created = deploy.create()[1]["data"]

    job = deploy.claimed()
    reported = deploy.report(job, "SUCCEEDED")[1]["data"]
    read = deploy.call("GET", f"/deploy/jobs/{job['id']}", None, API)[1]["data"]

    assert (created["status"], job["status"]) == ("PENDING", "RUNNING")
    assert (reported["status"], read["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert [event["toStatus"] for event in events(deploy, job["id"]) if event["toStatus"]] == [
        "PENDING",
        "RUNNING",
        "SUCCEEDED",
    ]
    run = deploy.schema.rows("SELECT * FROM fun_ai_deploy_app_run")[0]
    assert (run["last_job_id"], run["last_job_status"]) == (job["id"], "SUCCEEDED")
    assert run["last_deployed_at"] is not None


def test_waiting_claim_gets_a_job_as_soon_as_it_is_created(deploy: DeployProcess) -> None:
    deploy.beat()
    got: list[dict[str, Any]] = []
    waiter = threading.Thread(target=lambda: got.append(deploy.claimed(waitSeconds=20)))
    waiter.start()

    created = deploy.create()[1]["data"]
    waiter.join(timeout=30)

    assert [job["id"] for job in got] == [created["id"]]


def test_runner_that_died_while_it_waited_gets_no_job(deploy: DeployProcess) -> None:
    deploy.beat()
    body = json.dumps({"runnerId": "runner-dead", "waitSeconds": 20}).encode()
    head = (
        f"POST /deploy/jobs/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-Runner-Token: {RUNNER['X-Runner-Token']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", deploy.port), timeout=10) as dead:
        dead.sendall(head.encode() + body)
        # Its first look is over: one that had begun would not see any more that it is gone.
        wait_for(lambda: 'waiting{what="claims"} 1' in metrics(deploy))

    created = deploy.create()[1]["data"]
    job = deploy.claimed("runner-alive")

    assert (job["id"], job["attempt"], job["runnerId"]) == (created["id"], 1, "runner-alive")


def test_claim_without_a_job_answers_null(deploy: DeployProcess) -> None:
    assert deploy.claim()[1] == {"code": 200, "message": deploy.claim()[1]["message"], "data": None}


def test_job_without_a_node_waits_with_a_reason(deploy: DeployProcess) -> None:
    job = deploy.create()[1]["data"]

    nothing = deploy.claim()[1]["data"]
    waiting = deploy.call("GET", f"/deploy/jobs/{job['id']}", None, API)[1]["data"]
    deploy.beat()

    assert nothing is None
    assert waiting["status"] == "PENDING"
    assert "node" in str(waiting["reason"]).lower()
    assert deploy.claimed()["id"] == job["id"]


def test_runner_that_lost_its_lease_changes_nothing(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()
    late = deploy.claimed("runner-late")
    deploy.schema.execute("UPDATE fun_ai_deploy_job SET lease_expire_at = lease_expire_at - 60000")

    newer = deploy.claimed("runner-new")
    refused_beat = deploy.call(
        "POST",
        f"/deploy/jobs/{late['id']}/heartbeat",
        {"runnerId": "runner-late", "fence": late["fence"], "phase": "DEPLOY"},
        RUNNER,
    )
    refused_report = deploy.report(late, "FAILED", errorMessage="late")

    assert newer["id"] == late["id"]
    assert newer["fence"] > late["fence"]
    assert newer["payload"]["attempt"] == 2
    for status, envelope in (refused_beat, refused_report):
        assert (status, envelope["code"]) == (200, 409)
    assert deploy.report(newer, "SUCCEEDED")[1]["data"]["status"] == "SUCCEEDED"


def test_repeated_report_is_answered_and_changes_nothing(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()
    job = deploy.claimed()
    first = deploy.report(job, "FAILED", errorMessage="the first reason")[1]

    again = deploy.report(job, "FAILED", errorMessage="another reason")[1]
    other = deploy.report(job, "SUCCEEDED")[1]

    assert (first["code"], again["code"], other["code"]) == (200, 200, 409)
    assert again["data"]["errorMessage"] == "the first reason"


def test_long_error_keeps_its_tail(deploy: DeployProcess) -> None:
    deploy.beat()
    deploy.create()

    reported = deploy.report(deploy.claimed(), "FAILED", errorMessage="x" * 100_000 + " the end")[1]

    assert reported["data"]["errorMessage"].endswith("the end")
    assert len(reported["data"]["errorMessage"]) <= 1024


def test_cancel_is_repeatable_and_only_before_the_end(deploy: DeployProcess) -> None:
    deploy.beat()
    pending = deploy.create("app-1")[1]["data"]
    path = f"/deploy/jobs/{pending['id']}/cancel"

    first = deploy.call("POST", path, {}, API)[1]
    again = deploy.call("POST", path, {}, API)[1]
    deploy.create("app-2")
    job = deploy.claimed()
    deploy.report(job, "SUCCEEDED")
    late = deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, API)

    assert (first["code"], first["data"]["status"]) == (200, "CANCELLED")
    assert (again["code"], again["data"]["status"]) == (200, "CANCELLED")
    assert (late[0], late[1]["code"]) == (409, 409)


def test_supersede_lets_the_newest_win(deploy: DeployProcess) -> None:
    older = deploy.create()[1]["data"]
    body = {
        "type": "BUILD_AND_DEPLOY",
        "payload": {"appId": "20002", "image": "a/b:2"},
        "onConflict": "supersede",
    }

    newer = deploy.call("POST", "/deploy/jobs", body, API)[1]["data"]
    after = deploy.call("GET", f"/deploy/jobs/{older['id']}", None, API)[1]["data"]

    assert newer["status"] == "PENDING"
    assert after["status"] == "CANCELLED"
    assert newer["id"] in str(after)


def test_repeated_create_with_a_key_makes_one_job(deploy: DeployProcess) -> None:
    headers = {**API, "Idempotency-Key": "click-1"}
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": "20002", "image": "a/b:1"}}
    other = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": "20002", "image": "a/b:2"}}

    first = deploy.call("POST", "/deploy/jobs", body, headers)[1]
    again = deploy.call("POST", "/deploy/jobs", body, headers)[1]
    changed = deploy.call("POST", "/deploy/jobs", other, headers)[1]

    assert first["data"]["id"] == again["data"]["id"]
    assert changed["code"] in {400, 409}
    assert len(deploy.schema.rows("SELECT id FROM fun_ai_deploy_job")) == 1


def test_route_table_follows_the_apps(deploy: DeployProcess) -> None:
    deploy.beat()
    before = deploy.call("GET", "/internal/routes?sinceVersion=-1", None, GATEWAY)[1]["data"]
    deploy.create("shop")
    job = deploy.claimed()
    deploy.report(job, "SUCCEEDED")

    after = deploy.call(
        "GET", f"/internal/routes?sinceVersion={before['version']}&waitSeconds=5", None, GATEWAY
    )[1]["data"]

    assert before["routes"] == []
    assert after["routes"] == [{"appId": "shop", "address": "127.0.0.1:80"}]
    assert after["version"] > before["version"]


def test_job_past_its_attempts_fails_with_a_reason(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_MAX_ATTEMPTS="1", DEPLOY_REAPER_SECONDS="0.1")
    deploy.beat()
    deploy.create()
    job = deploy.claimed(leaseSeconds=1)
    assert job["maxAttempts"] == 1
    path = f"/deploy/jobs/{job['id']}"

    deadline = time.monotonic() + 15
    pause = threading.Event()
    read = deploy.call("GET", path, None, API)[1]["data"]
    while read["status"] == "RUNNING" and time.monotonic() < deadline:
        pause.wait(0.1)
        read = deploy.call("GET", path, None, API)[1]["data"]

    assert (read["status"], read["maxAttempts"]) == ("FAILED", None)
    assert "attempt" in (read["errorMessage"] or "").lower()


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        pytest.param({"image": "a/b:1"}, "appId", id="no app"),
        pytest.param({"appId": "../x", "image": "a/b:1"}, "appId", id="path in app id"),
        pytest.param({"appId": {}, "image": "a/b:1"}, "appId", id="object as app id"),
        pytest.param({"appId": "a", "image": "--privileged"}, "image", id="option as image"),
        pytest.param({"appId": "a", "image": "A B"}, "image", id="malformed image"),
        pytest.param({"appId": "a", "image": "a/b:1", "containerPort": 0}, "containerPort", id="0"),
        pytest.param(
            {"appId": "a", "image": "a/b:1", "containerPort": 65536}, "containerPort", id="65536"
        ),
        pytest.param(
            {"appId": "a", "image": "a/b:1", "basePath": "/apps/b"}, "basePath", id="other app"
        ),
        pytest.param({"appId": "a", "image": "a/b:1", "basePath": "/"}, "basePath", id="root"),
        pytest.param(
            {"appId": "a", "image": "a/b:1", "basePath": "/apps/a/../b"}, "basePath", id="dots"
        ),
    ],
)
def test_bad_payload_names_the_field(
    deploy: DeployProcess, payload: dict[str, Any], field: str
) -> None:
    body = {"type": "BUILD_AND_DEPLOY", "payload": payload}

    status, envelope = deploy.call("POST", "/deploy/jobs", body, API)

    assert (status, envelope["code"]) == (400, 400)
    assert field in envelope["message"]
    assert deploy.schema.rows("SELECT id FROM fun_ai_deploy_job") == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"{not json", 400, id="not JSON"),
        pytest.param(b"[1, 2]", 400, id="a list"),
        pytest.param(b"\xff\xfe", 400, id="not text"),
        pytest.param(b'{"type":"BUILD_AND_DEPLOY","payload":"x"}', 400, id="payload a string"),
        pytest.param(b'{"payload":{}}', 400, id="no type"),
        pytest.param(
            b'{"type":"BUILD_AND_DEPLOY","payload":{"x":"' + b"y" * 2_000_000 + b'"}}',
            413,
            id="oversized",
        ),
    ],
)
def test_bad_body_is_refused_in_the_envelope(
    deploy: DeployProcess, content: bytes, status: int
) -> None:
    answer = requests.post(
        deploy.url + "/deploy/jobs",
        data=content,
        headers={**API, "Content-Type": "application/json"},
        timeout=10,
    )

    assert answer.status_code == status
    assert answer.json()["code"] == status
    assert answer.json()["message"]


def test_database_away_at_start_and_later(
    deploy: DeployProcess, start_deploy: Callable[..., DeployProcess]
) -> None:
    deploy.beat()
    kept = deploy.create("kept")[1]["data"]
    server = deploy.schema.server

    server.kill()
    try:
        away = requests.get(deploy.url + "/deploy/jobs?limit=1", headers=API, timeout=20)
        refused = requests.get(deploy.url + "/internal/ready", timeout=20)
        started = start_deploy()
        health = started.call("GET", "/internal/health")[0]
    finally:
        server.start()

    assert (away.status_code, away.json()["code"]) == (503, 503)
    assert int(away.headers["Retry-After"]) >= 1
    assert refused.status_code == 503
    assert health == 200
    for process in (deploy, started):
        listed = process.call("GET", "/deploy/jobs?limit=1", None, API)[1]
        assert [job["id"] for job in listed["data"]] == [kept["id"]]


def test_operator_moves_an_app_to_another_node(deploy: DeployProcess) -> None:
    deploy.beat("node-1", diskFreePct=80.0)
    deploy.create("shop")
    job = deploy.claimed()
    deploy.report(job, "SUCCEEDED")
    source = job["runtimeNode"]["id"]["value"]
    target = deploy.beat("node-2", diskFreePct=50.0)[1]["data"]["id"]["value"]

    before = deploy.call("GET", f"/admin/runtime-nodes/placements?nodeId={source}", None, ADMIN)[1]
    body = {"sourceNodeId": source, "targetNodeId": target}
    moved = deploy.call("POST", "/admin/runtime-nodes/drain", body, ADMIN)[1]["data"]
    after = deploy.call("GET", f"/admin/runtime-nodes/placements?nodeId={target}", None, ADMIN)[1]

    assert [item["appId"] for item in before["data"]["items"]] == ["shop"]
    assert moved == {"moved": 1, "sourceNodeId": source, "targetNodeId": target}
    assert [item["appId"] for item in after["data"]["items"]] == ["shop"]
