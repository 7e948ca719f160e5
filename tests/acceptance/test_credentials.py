"""Every header of the communication matrix is demanded: wrong, missing and borrowed are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

POINT = "Every header of the matrix is demanded"
TIMEOUT = 10  # seconds
REFUSED = {401, 403}
BROKEN = 500
#: Long enough that a length check alone would let it in.
WRONG = "wrong-" * 8
NOBODY = "00000000-0000-4000-8000-000000000000"
#: Asked for where operators cannot call; tried from the host that can.
PREVIEW = "X-Preview-Token"
#: Name in the inventory of what each header carries.
CREDENTIALS = {
    "X-DEPLOY-SECRET": "deploy_secret",
    "X-Admin-Token": "admin_token",
    "X-RT-Node-Token": "node_token",
    "X-Runner-Token": "runner_token",
    "X-Gateway-Token": "gateway_token",
    "X-Runtime-Token": "runtime_token",
}


@dataclass(frozen=True)
class Endpoint:
    """A request that changes nothing even where it is let in: it reads, or its body is refused."""

    header: str
    method: str
    path: str
    group: str = "deploy"
    port: int = 7002

    def __str__(self) -> str:
        return f"{self.method} {self.group}:{self.port}{self.path}"


def agent(method: str, path: str) -> Endpoint:
    return Endpoint("X-Runtime-Token", method, path, "runtime", 7005)


ENDPOINTS = [
    Endpoint("X-DEPLOY-SECRET", "POST", "/deploy/jobs"),
    Endpoint("X-DEPLOY-SECRET", "GET", "/deploy/jobs?limit=1"),
    Endpoint("X-DEPLOY-SECRET", "GET", "/deploy/jobs/by-app?appId=nobody"),
    Endpoint("X-DEPLOY-SECRET", "GET", f"/deploy/jobs/{NOBODY}"),
    Endpoint("X-DEPLOY-SECRET", "GET", f"/deploy/jobs/{NOBODY}/events"),
    Endpoint("X-DEPLOY-SECRET", "POST", f"/deploy/jobs/{NOBODY}/cancel"),
    Endpoint("X-DEPLOY-SECRET", "POST", f"/deploy/jobs/{NOBODY}/transition"),
    Endpoint("X-DEPLOY-SECRET", "GET", f"/deploy/jobs/{NOBODY}/logs"),
    Endpoint("X-DEPLOY-SECRET", "GET", f"/deploy/jobs/{NOBODY}/logs/stream"),
    Endpoint("X-DEPLOY-SECRET", "GET", "/deploy/apps/nobody"),
    Endpoint("X-DEPLOY-SECRET", "GET", "/deploy/apps/nobody/logs"),
    Endpoint("X-DEPLOY-SECRET", "GET", "/deploy/apps/nobody/revisions"),
    Endpoint("X-DEPLOY-SECRET", "POST", "/deploy/apps/nobody/rollback"),
    Endpoint("X-DEPLOY-SECRET", "GET", "/deploy/apps/nobody/settings"),
    Endpoint("X-DEPLOY-SECRET", "POST", "/deploy/apps/stop"),
    Endpoint("X-DEPLOY-SECRET", "POST", "/deploy/apps/purge"),
    Endpoint("X-DEPLOY-SECRET", "POST", "/deploy/apps/cleanup"),
    Endpoint("X-Admin-Token", "GET", "/admin/runtime-nodes/list"),
    Endpoint("X-Admin-Token", "GET", "/admin/runtime-nodes/placements?nodeId=0"),
    Endpoint("X-Admin-Token", "GET", "/admin/runners/list"),
    Endpoint("X-Admin-Token", "POST", "/admin/runtime-nodes/upsert"),
    Endpoint("X-Admin-Token", "POST", "/admin/runtime-nodes/set-enabled?name=nobody&enabled=1"),
    Endpoint("X-Admin-Token", "POST", "/admin/runtime-nodes/reassign"),
    Endpoint("X-Admin-Token", "POST", "/admin/runtime-nodes/drain"),
    Endpoint("X-RT-Node-Token", "POST", "/internal/runtime-nodes/heartbeat"),
    Endpoint("X-Runner-Token", "POST", "/deploy/jobs/claim"),
    Endpoint("X-Runner-Token", "POST", f"/deploy/jobs/{NOBODY}/heartbeat"),
    Endpoint("X-Runner-Token", "POST", f"/deploy/jobs/{NOBODY}/report"),
    Endpoint("X-Runner-Token", "POST", f"/deploy/jobs/{NOBODY}/logs"),
    Endpoint("X-Runner-Token", "GET", f"/deploy/jobs/{NOBODY}/app-settings?runnerId=nobody"),
    Endpoint("X-Gateway-Token", "GET", "/internal/routes?sinceVersion=0&waitSeconds=0"),
    agent("POST", "/agent/apps/deploy"),
    agent("POST", "/agent/apps/stop"),
    agent("POST", "/agent/apps/delete"),
    agent("GET", "/agent/apps/status?userId=0&appId=nobody"),
    agent("GET", "/agent/apps/logs?userId=0&appId=nobody"),
    agent("POST", "/agent/prune"),
]


def ask(
    platform: Platform, http: requests.Session, endpoint: Endpoint, headers: dict[str, str]
) -> requests.Response:
    url = f"http://{platform.address(endpoint.group)}:{endpoint.port}{endpoint.path}"
    body: dict[str, str] | None = {} if endpoint.method == "POST" else None
    return http.request(endpoint.method, url, json=body, headers=headers, timeout=TIMEOUT)


@pytest.mark.point(POINT)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_only_the_right_header_is_let_in(
    platform: Platform,
    http: requests.Session,
    record_evidence: RecordEvidence,
    endpoint: Endpoint,
) -> None:
    right = platform.credential(CREDENTIALS[endpoint.header])
    borrowed = {
        header: platform.credential(name)
        for header, name in CREDENTIALS.items()
        if header != endpoint.header
    }
    tries = {
        "missing": {},
        "empty": {endpoint.header: ""},
        "wrong": {endpoint.header: WRONG},
        "cut short": {endpoint.header: right[:-1]},
        "of other services": borrowed,
        "right": {endpoint.header: right},
    }

    seen = {
        name: ask(platform, http, endpoint, headers).status_code for name, headers in tries.items()
    }

    record_evidence(f"{endpoint} with {endpoint.header} {seen}")
    let_in = [name for name, status in seen.items() if status not in REFUSED]
    assert let_in == ["right"], f"{endpoint} let in: {let_in}"
    assert seen["right"] < BROKEN, f"{endpoint} broke on the right header: {seen['right']}"


@pytest.mark.point(POINT)
def test_every_header_of_the_matrix_is_tried(
    platform: Platform, record_evidence: RecordEvidence
) -> None:
    demanded = {flow.proof: flow for flow in platform.flows if flow.proof.startswith("X-")}

    tried = {endpoint.header for endpoint in ENDPOINTS}
    untried = [
        f"{flow.proof} {path}"
        for flow in demanded.values()
        for path in flow.paths
        if not any(
            endpoint.header == flow.proof and endpoint.path.replace(NOBODY, "{id}").startswith(path)
            for endpoint in ENDPOINTS
        )
    ]

    record_evidence(f"{len(demanded)} headers in the matrix, {len(ENDPOINTS)} endpoints tried")
    assert set(demanded) == tried | {PREVIEW}
    assert [each for each in untried if not each.startswith(PREVIEW)] == []


@pytest.mark.point(POINT)
@pytest.mark.parametrize("headers", ["", f"{PREVIEW}: {WRONG}"], ids=["none", "wrong"])
def test_who_may_see_a_preview_is_told_to_its_gateway_alone(
    platform: Platform,
    connect: Callable[[str], Any],
    record_evidence: RecordEvidence,
    headers: str,
) -> None:
    """The firewall lets only the workspace host ask; that the right header works, previews show."""
    host = connect(next(iter(platform.hosts["workspace"])))
    if "auth_request" not in host.check_output("cat /etc/nginx/sites-enabled/default"):
        pytest.skip("the preview gateway was not converged to ask who may see a preview")
    url = f"http://{platform.address('api')}:7003/internal/preview-access"
    argv = "curl -s -o /dev/null -w '%%{http_code}' -m 10 -H %s %s"
    status = host.check_output(argv, headers or "X-Nothing: 1", url)
    record_evidence(f"GET {url}: {status}")
    assert int(status) in REFUSED


@pytest.mark.point(POINT)
def test_denial_is_an_envelope_that_names_no_secret(
    platform: Platform, http: requests.Session, record_evidence: RecordEvidence
) -> None:
    answer = ask(platform, http, ENDPOINTS[0], {"X-DEPLOY-SECRET": WRONG})

    body = answer.json()
    record_evidence(f"denied with {answer.status_code}: {body['message']}")
    assert set(body) >= {"code", "message", "data"}
    assert body["code"] == answer.status_code
    assert WRONG not in answer.text
