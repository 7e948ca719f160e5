"""The clients that are in production already, replayed as the contract describes them."""

from __future__ import annotations

import json
import socket
import threading
import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy_process import ADMIN, NODE, SECRETS, DeployProcess

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_SECONDS = 30
H2C = (
    "Connection: Upgrade, HTTP2-Settings\r\n"
    "Upgrade: h2c\r\n"
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)


def java_call(deploy: DeployProcess, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Send what the Java client puts on the socket and return the envelope, whatever the status."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\n{H2C}Host: 127.0.0.1:{deploy.port}\r\n"
        f"User-Agent: Java-http-client/17.0.15\r\nContent-Type: application/json\r\n"
        f"X-DEPLOY-SECRET: {SECRETS['DEPLOY_SECRET']}\r\n"
        f"X-Admin-Token: {SECRETS['DEPLOY_ADMIN_TOKEN']}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", deploy.port), timeout=10) as connection:
        connection.sendall(head.encode() + content)
        with connection.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 ")
            length = 0
            while (line := answer.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            envelope: dict[str, Any] = json.loads(answer.read(length))
    assert set(envelope) >= {"code", "message", "data"}
    return envelope


def test_java_client_upgrade_headers_do_not_lose_the_body(deploy: DeployProcess) -> None:
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": 20002, "userId": 7, "image": "a/b:1"}}

    created = java_call(deploy, "POST", "/deploy/jobs", body)

    assert created["code"] == 200
    assert created["data"]["payload"] == body["payload"]
    assert java_call(deploy, "GET", f"/deploy/jobs/{created['data']['id']}")["code"] == 200


def test_java_client_sees_number_and_string_as_one_app(deploy: DeployProcess) -> None:
    numeric = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": 20002, "image": "a/b:1"}}
    text = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": "20002", "image": "a/b:1"}}

    first = java_call(deploy, "POST", "/deploy/jobs", numeric)
    second = java_call(deploy, "POST", "/deploy/jobs", text)
    listed = java_call(deploy, "GET", "/deploy/jobs/by-app?appId=20002&limit=50")

    assert (first["code"], second["code"]) == (200, 409)
    assert [job["id"] for job in listed["data"]] == [first["data"]["id"]]


def test_java_client_decodes_refusals_from_the_envelope(deploy: DeployProcess) -> None:
    assert java_call(deploy, "GET", "/deploy/jobs/no-such-job")["code"] == 404
    assert java_call(deploy, "POST", "/deploy/jobs", {"type": "NO_SUCH_TYPE"})["code"] == 400
    assert java_call(deploy, "GET", "/deploy/jobs?limit=500")["code"] == 400
    assert java_call(deploy, "GET", "/no/such/page")["code"] == 404


def test_java_client_gets_200_rows_within_its_time(deploy: DeployProcess) -> None:
    payload = json.dumps({"appId": "x", "image": "registry.test/demo:1", "notes": "n" * 500})
    rows = ",".join(
        f"('job-{i:04}','BUILD_AND_DEPLOY','app-{i % 50}','SUCCEEDED','{payload}',"
        f"UTC_TIMESTAMP(6),UTC_TIMESTAMP(6),1)"
        for i in range(1000)
    )
    deploy.schema.execute(
        "INSERT INTO fun_ai_deploy_job"
        f" (id,type,app_id,status,payload_json,create_time,update_time,version) VALUES {rows}"
    )

    def listing() -> tuple[float, dict[str, Any]]:
        started = time.monotonic()
        answer = java_call(deploy, "GET", "/deploy/jobs?limit=200")
        return time.monotonic() - started, answer

    # The best of a few: the machine may have been busy.
    seconds, listed = min((listing() for _ in range(4)), key=itemgetter(0))

    # 1.5 s is when the existing caller gives up.
    assert seconds < 1.5
    assert len(listed["data"]) == 200
    assert {"runtimeNode", "deployUrl"} <= set(listed["data"][0])


class ExistingRunner:
    """The earlier runner: no token of its own, ``raise_for_status`` first, no fence."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post as it does: what is not HTTP 2xx is an exception without a reason."""
        response = requests.post(self._base_url + path, json=body, timeout=30)
        response.raise_for_status()
        envelope: dict[str, Any] = response.json()
        return envelope

    def run_one(self) -> tuple[dict[str, Any], list[int]]:
        """Claim a job, go through its phases and report; returns the job and each phase's code."""
        job = self.claim()
        codes = [
            self.post(
                f"/deploy/jobs/{job['id']}/heartbeat",
                {"runnerId": "old-1", "extendSeconds": 30, "phase": phase, "phaseMessage": "..."},
            )["code"]
            for phase in ("CLONE", "BUILD", "PUSH", "DEPLOY")
        ]
        return job, codes

    def claim(self) -> dict[str, Any]:
        """Ask until there is a job, as it does; right after its start Deploy may have none yet."""
        deadline, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
        body = {"runnerId": "old-1", "leaseSeconds": 30}
        while (job := self.post("/deploy/jobs/claim", body)["data"]) is None:
            assert time.monotonic() < deadline, "no job to claim"
            pause.wait(0.1)
        found: dict[str, Any] = job
        return found

    def report(self, job_id: str) -> dict[str, Any]:
        """Report success."""
        body = {"runnerId": "old-1", "status": "SUCCEEDED"}
        return self.post(f"/deploy/jobs/{job_id}/report", body)


@pytest.mark.parametrize("mode", ["basic", "address"])
def test_existing_runner_works_without_a_token_during_a_migration(
    start_deploy: Callable[..., DeployProcess], mode: str
) -> None:
    settings = {
        "basic": {
            "DEPLOY_RUNNER_BASIC_USER": "old",
            "DEPLOY_RUNNER_BASIC_PASSWORD": "a-password-of-the-old-runner",
        },
        "address": {"DEPLOY_RUNNER_ADDRESSES": "127.0.0.1"},
    }[mode]
    deploy = start_deploy(DEPLOY_RUNNER_AUTH=mode, **settings)
    login = "old:a-password-of-the-old-runner@" if mode == "basic" else ""
    runner = ExistingRunner(f"http://{login}127.0.0.1:{deploy.port}")
    deploy.beat()
    created = deploy.create()[1]["data"]

    job, codes = runner.run_one()
    reported = runner.report(job["id"])

    assert job["id"] == created["id"]
    # What it reads of a claim: where to deploy to, whose app, and the marks of this attempt.
    assert job["runtimeNode"]["id"] == {"value": pytest.approx(job["runtimeNode"]["id"]["value"])}
    assert job["runtimeNode"]["agentBaseUrl"] == "http://127.0.0.1:7005"
    assert job["deployUrl"] == "http://127.0.0.1:80/apps/20002/"
    assert job["payload"]["attempt"] == 1
    assert isinstance(job["payload"]["runStartedAt"], int)
    assert codes == [200, 200, 200, 200]
    assert (reported["code"], reported["data"]["status"]) == (200, "SUCCEEDED")


def test_existing_runner_is_refused_without_the_migration_setting(deploy: DeployProcess) -> None:
    with pytest.raises(requests.HTTPError) as refusal:
        ExistingRunner(deploy.url).post("/deploy/jobs/claim", {"runnerId": "old-1"})

    assert refusal.value.response.status_code == 401


def test_forwarded_address_lets_nobody_in(start_deploy: Callable[..., DeployProcess]) -> None:
    deploy = start_deploy(DEPLOY_RUNNER_AUTH="address", DEPLOY_RUNNER_ADDRESSES="192.0.2.7")

    status, envelope = deploy.call(
        "POST", "/deploy/jobs/claim", {"runnerId": "x"}, {"X-Forwarded-For": "192.0.2.7"}
    )

    assert (status, envelope["code"]) == (401, 401)


def test_existing_runner_gets_a_default_user(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_RUNNER_AUTH="address", DEPLOY_RUNNER_ADDRESSES="127.0.0.1")
    deploy.beat()
    payload = {"appId": "20002", "image": "a/b:1"}
    deploy.call(
        "POST",
        "/deploy/jobs",
        {"type": "BUILD_AND_DEPLOY", "payload": payload},
        {"X-DEPLOY-SECRET": SECRETS["DEPLOY_SECRET"]},
    )

    job, _ = ExistingRunner(deploy.url).run_one()

    assert str(job["payload"]["userId"]) != ""


def test_cancelled_job_stops_the_existing_runner_at_its_deploy_phase(
    start_deploy: Callable[..., DeployProcess],
) -> None:
    deploy = start_deploy(DEPLOY_RUNNER_AUTH="address", DEPLOY_RUNNER_ADDRESSES="127.0.0.1")
    deploy.beat()
    job = deploy.create()[1]["data"]
    runner = ExistingRunner(deploy.url)
    runner.claim()
    cancel = {"X-DEPLOY-SECRET": SECRETS["DEPLOY_SECRET"]}
    assert deploy.call("POST", f"/deploy/jobs/{job['id']}/cancel", {}, cancel)[0] == 200

    answer = runner.post(
        f"/deploy/jobs/{job['id']}/heartbeat",
        {"runnerId": "old-1", "extendSeconds": 30, "phase": "DEPLOY"},
    )

    assert answer["code"] == 409
    assert "CANCELLED" in answer["message"]


def test_existing_agent_beats_without_figures_and_stays_fresh(deploy: DeployProcess) -> None:
    status, envelope = deploy.beat("old-node")
    # It leaves out figures that are zero, and beats every 60 s: two beats may be lost.
    deploy.schema.execute(
        "UPDATE fun_ai_deploy_runtime_node"
        " SET last_heartbeat_at = last_heartbeat_at - INTERVAL 170 SECOND"
    )
    listed = deploy.call("GET", "/admin/runtime-nodes/list", None, ADMIN)[1]["data"]

    assert (status, envelope["code"]) == (200, 200)
    assert listed[0]["health"] == "HEALTHY"
    assert deploy.beat(" old-node ")[1]["data"]["id"] == envelope["data"]["id"]


def test_heartbeat_does_not_undo_an_operator(deploy: DeployProcess) -> None:
    deploy.beat()
    path = "/admin/runtime-nodes/set-enabled?name=node-1&enabled=false"

    disabled = deploy.call("POST", path, None, ADMIN)
    deploy.beat()
    listed = deploy.call("GET", "/admin/runtime-nodes/list", None, ADMIN)[1]["data"]

    assert disabled[1]["data"] == "disabled"
    assert listed[0]["enabled"] in (False, 0)


def test_two_existing_clients_at_once_make_one_job(deploy: DeployProcess) -> None:
    codes: list[int] = []

    def create() -> None:
        codes.append(deploy.create()[1]["code"])

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200, 409, 409, 409]
    assert len(deploy.schema.rows("SELECT id FROM fun_ai_deploy_job")) == 1


def test_unknown_node_token_is_refused(deploy: DeployProcess) -> None:
    body = {"nodeName": "n", "agentBaseUrl": "http://a:1", "gatewayBaseUrl": "http://a:2"}

    status, envelope = deploy.call(
        "POST", "/internal/runtime-nodes/heartbeat", body, {**NODE, "X-RT-Node-Token": "wrong"}
    )

    assert (status, envelope["code"]) == (401, 401)
