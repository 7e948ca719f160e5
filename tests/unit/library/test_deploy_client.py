"""``module_utils/deploy_client.py``: the envelope, and what goes into error texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils import deploy_client
from ansible.module_utils.deploy_client import DeployClient, DeployError, JobFailedError

SUMMARY = {
    "nodeId": 1,
    "name": "runtime-01",
    "agentBaseUrl": "http://192.0.2.21:7005/",
    "gatewayBaseUrl": "http://192.0.2.21",
    "enabled": 1,
    "weight": 100,
    "health": "HEALTHY",
}


class Wire:
    """Answers each request with the next answer, and records the requests."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, url: str, **request: Any) -> Wire:
        self.requests.append((url, request))
        return self

    @property
    def status(self) -> int:
        return 200

    def read(self) -> bytes:
        return json.dumps({"code": 200, "message": "", "data": self._answers.pop(0)}).encode()


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(*answers: object) -> Wire:
        made = Wire(*answers)
        monkeypatch.setattr(deploy_client, "open_url", made)
        return made

    return install


def client() -> DeployClient:
    return DeployClient("http://192.0.2.10:7002/", secret="s3cr3t", admin_token="t0k3n")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b'{"code":409,"message":"busy","data":null}', "answered 409: busy", id="code"),
        pytest.param(b"<html>", "answered 502 without Deploy's envelope: '<html>'", id="no json"),
        pytest.param(b"[]", "without Deploy's envelope", id="no object"),
        pytest.param(b'{"code":200}', "without Deploy's envelope", id="half an envelope"),
    ],
)
def test_answer_that_is_no_success_is_an_error_that_names_the_request(
    body: bytes, error: str
) -> None:
    with pytest.raises(DeployError, match="POST http://x") as refusal:
        deploy_client.read_envelope("POST http://x", 502, body)

    assert error in str(refusal.value)


def test_code_counts_and_not_the_status() -> None:
    body = b'{"code":200,"message":"success","data":[1]}'

    assert deploy_client.read_envelope("GET http://x", 404, body) == [1]


def test_credentials_and_key_are_headers(wire: Any) -> None:
    seen = wire({"id": "j1"})

    client().create_job({"type": "BUILD_AND_DEPLOY"}, "release-1")

    url, request = seen.requests[0]
    assert url == "http://192.0.2.10:7002/deploy/jobs"
    assert request["headers"]["X-DEPLOY-SECRET"] == "s3cr3t"
    assert request["headers"]["X-Admin-Token"] == "t0k3n"
    assert request["headers"]["Idempotency-Key"] == "release-1"


def test_node_is_read_from_the_wire_without_trailing_slash(wire: Any) -> None:
    wire([SUMMARY])

    record = client().get_node("runtime-01")

    assert record
    assert record.node.agent_base_url == "http://192.0.2.21:7005"
    assert record.node.enabled is True


def test_placements_are_read_page_by_page(wire: Any) -> None:
    seen = wire(
        {"total": 3, "items": [{"appId": "b"}, {"appId": "c"}]},
        {"total": 3, "items": [{"appId": "a"}]},
    )

    assert client().get_placements(1) == ["a", "b", "c"]
    assert "offset=2" in seen.requests[1][0]


def test_waiting_ends_with_the_job(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_client, "JOB_POLL_SECONDS", 0)
    wire({"status": "PENDING"}, {"status": "RUNNING"}, {"status": "FAILED"})

    assert client().wait_for_job("j1", 10)["status"] == "FAILED"


def test_waiting_too_long_says_what_the_job_is_doing(wire: Any) -> None:
    wire({"status": "PENDING", "reason": "no node can take the app"})

    with pytest.raises(DeployError, match=r"still PENDING \(no node can take the app\) after 0 s"):
        client().wait_for_job("j1", 0)


def test_end_of_a_log_is_asked_for_by_its_length(wire: Any) -> None:
    line = {"n": 41, "phase": "BUILD", "text": "make"}
    seen = wire({"total": 42, "lines": []}, {"total": 43, "lines": [line]})

    assert client().job_log("j1", 5) == [line]
    assert seen.requests[1][0].endswith("/deploy/jobs/j1/logs?offset=37&limit=5")


def test_rollback_names_revision_and_reason_and_wins_over_a_job_under_way(wire: Any) -> None:
    seen = wire({"id": "j2"})

    client().rollback_app("a1", 3, "errors since the release")

    url, request = seen.requests[0]
    assert url.endswith("/deploy/apps/a1/rollback")
    assert json.loads(request["data"]) == {
        "revision": 3,
        "reason": "errors since the release",
        "onConflict": "supersede",
    }


def test_job_that_did_not_succeed_goes_with_its_error() -> None:
    job = {"id": "j1", "status": "FAILED", "errorMessage": "no rule to make target"}

    with pytest.raises(JobFailedError, match=r"job j1 ended FAILED \(no rule") as failed:
        deploy_client.succeeded(job)

    assert failed.value.job is job


def test_job_id_cannot_leave_its_place_in_the_path(wire: Any) -> None:
    seen = wire({"status": "FAILED"})

    client().get_job("../admin?x=1")

    assert seen.requests[0][0].endswith("/deploy/jobs/..%2Fadmin%3Fx%3D1")


def test_answer_of_another_shape_is_an_error(wire: Any) -> None:
    wire("ok")

    with pytest.raises(DeployError, match="answered a str, not a list"):
        client().list_app_jobs("a1")
