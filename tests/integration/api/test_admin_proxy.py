"""The admin page's calls, as an operator's browser makes them, and what goes wrong with them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.integration.deploy_process import ADMIN, SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.api.process import ApiProcess, Browser

NODES = "/api/fun-ai/admin/deploy-nodes"
DEPLOYS_NODES = "/admin/runtime-nodes"
FIRST = {
    "name": "runtime-01",
    "agentBaseUrl": "http://127.0.0.1:7005",
    "gatewayBaseUrl": "http://127.0.0.1:80",
}
SECOND = {**FIRST, "name": "runtime-02"}


@pytest.fixture(scope="module")
def page(shared_api: ApiProcess) -> Browser:
    """An operator's browser, with two nodes and five apps on the first."""
    deploy = shared_api.deploy
    for node in (FIRST, SECOND):
        deploy.beat(node["name"])
    for number in range(5):
        deploy.call("POST", f"{DEPLOYS_NODES}/set-enabled?name=runtime-02&enabled=false", {}, ADMIN)
        deploy.create(f"app-{number}")
        deploy.report(deploy.claimed(), "SUCCEEDED")
    deploy.call("POST", f"{DEPLOYS_NODES}/set-enabled?name=runtime-02&enabled=true", {}, ADMIN)
    return shared_api.browser("ada")


def data(answer: requests.Response) -> Any:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (200, 200), body
    return body["data"]


def test_the_page_reads_what_deploy_says(page: Browser, shared_api: ApiProcess) -> None:
    reads = {
        f"{NODES}/list": f"{DEPLOYS_NODES}/list",
        f"{NODES}/placements?nodeId=1&offset=1&limit=2": (
            f"{DEPLOYS_NODES}/placements?nodeId=1&offset=1&limit=2"
        ),
        f"{NODES}/runners/list": "/admin/runners/list",
        "/api/fun-ai/admin/runners/list": "/admin/runners/list",
    }
    for ours, theirs in reads.items():
        assert page.get(ours).json() == shared_api.deploy.call("GET", theirs, None, ADMIN)[1], ours
    for path in (f"{NODES}/health", "/api/fun-ai/admin/health"):
        assert set(data(page.get(path))) >= {"service", "timestamp"}
    placed = data(page.get(f"{NODES}/placements?nodeId=1&offset=1&limit=2"))
    assert [item["appId"] for item in placed["items"]] == ["app-1", "app-2"]


def test_the_page_changes_a_node(page: Browser) -> None:
    body = {**SECOND, "weight": "7", "comment": "a field that nobody knows"}
    changed = data(page.post(f"{NODES}/upsert", json=body))
    assert (changed["name"], changed["weight"]) == ("runtime-02", 7)

    assert data(page.post(f"{NODES}/set-enabled?name=runtime-02&enabled=no")) == "disabled"
    assert not data(page.get(f"{NODES}/list"))[1]["enabled"]
    assert (
        data(page.post(f"{NODES}/set-enabled?name=runtime-02&enabled=true", json={})) == "enabled"
    )


def test_the_page_moves_apps(page: Browser) -> None:
    moved = page.post(f"{NODES}/reassign", json={"appId": "app-0", "targetNodeId": 2, "why": "x"})
    assert data(moved) == "ok"

    drained = data(
        page.post(f"{NODES}/drain", json={"sourceNodeId": 1, "targetNodeId": "2", "limit": 3})
    )

    assert drained == {"moved": 3, "sourceNodeId": 1, "targetNodeId": 2}
    assert data(page.get(f"{NODES}/placements?nodeId=1"))["total"] == 1
    data(page.post(f"{NODES}/set-enabled?name=runtime-01&enabled=true"))
    back = page.post(f"{NODES}/drain", json={"sourceNodeId": 2, "targetNodeId": 1})
    assert data(back)["moved"] == 4
    data(page.post(f"{NODES}/set-enabled?name=runtime-02&enabled=true"))


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        pytest.param("GET", "/placements", None, 400, id="no node named"),
        pytest.param("GET", "/placements?nodeId=1&limit=2001", None, 400, id="too many"),
        pytest.param("POST", "/upsert", {"name": "x"}, 400, id="no address"),
        pytest.param("POST", "/upsert", [1], 400, id="no object"),
        pytest.param("POST", "/set-enabled?name=gone&enabled=true", {}, 404, id="no such node"),
        pytest.param("POST", "/set-enabled?name=runtime-01&enabled=x", {}, 400, id="no flag"),
        pytest.param("POST", "/reassign", {"appId": "gone", "targetNodeId": 1}, 404, id="no app"),
        pytest.param("POST", "/reassign", {"appId": "app-1", "targetNodeId": 99}, 404, id="to 99"),
        pytest.param(
            "POST", "/drain", {"sourceNodeId": 1, "targetNodeId": 1}, 400, id="onto itself"
        ),
        pytest.param("POST", "/drain", {"sourceNodeId": 99, "targetNodeId": 1}, 404, id="from 99"),
        pytest.param("GET", "/drain", None, 405, id="method"),
        pytest.param("POST", "/list", {}, 405, id="method of the list"),
    ],
)
def test_a_refusal_is_deploys_own(
    page: Browser, shared_api: ApiProcess, method: str, path: str, body: object, code: int
) -> None:
    headers = {"Origin": shared_api.url}
    answer = page.session.request(
        method, shared_api.url + NODES + path, json=body, headers=headers, timeout=10
    )

    status, direct = shared_api.deploy.call(method, DEPLOYS_NODES + path, body, ADMIN)
    assert (answer.status_code, answer.json()) == (status, direct)
    assert direct["code"] == code


def test_only_our_own_page_is_refused_in_its_readers_language(
    page: Browser, shared_api: ApiProcess
) -> None:
    path, body = f"{NODES}/reassign", {"appId": "app-1", "targetNodeId": 99}
    chinese = {"Accept-Language": "zh-CN", "Origin": shared_api.url}
    _, direct = shared_api.deploy.call("POST", f"{DEPLOYS_NODES}/reassign", body, ADMIN)

    other = page.post(path, json=body, headers=chinese)
    own = page.post(path, json=body, headers={**chinese, "X-Console-Page": "nodes"})

    assert other.json() == direct
    assert own.status_code == other.status_code == 404
    assert own.json() == {**direct, "message": own.json()["message"]}
    assert own.json()["message"].startswith("节点 99 已不存在")
    forbidden = shared_api.browser("bob").post(path, json=body, headers=chinese)
    assert forbidden.json()["message"] == "this is for operators; your account is a user's"


def test_the_page_works_with_the_admin_token_alone(shared_api: ApiProcess, page: Browser) -> None:
    headers = {"X-Admin-Token": SECRETS["DEPLOY_ADMIN_TOKEN"]}
    read = requests.get(f"{shared_api.url}{NODES}/list", headers=headers, timeout=10)
    assert len(data(read)) == 2
    url = f"{shared_api.url}{NODES}/set-enabled?name=runtime-01&enabled=true"
    assert data(requests.post(url, headers=headers, timeout=10)) == "enabled"


def test_it_works_with_an_operators_token(shared_api: ApiProcess, page: Browser) -> None:
    assert len(shared_api.program("ada").data("GET", f"{NODES}/list")) == 2
    assert shared_api.program("bob").call("GET", f"{NODES}/list")[0] == 403


@pytest.mark.parametrize(
    ("name", "headers", "status"),
    [
        pytest.param(None, {}, 401, id="nobody"),
        pytest.param(None, {"X-Admin-Token": "wrong-admin-token"}, 401, id="wrong token"),
        pytest.param("bob", {}, 403, id="a user"),
        pytest.param("bob", {"X-Admin-Token": "wrong-admin-token"}, 403, id="a user's guess"),
        pytest.param("ada", {"Origin": "http://evil.example"}, 403, id="another site"),
    ],
)
def test_others_are_refused_in_json(
    shared_api: ApiProcess, name: str | None, headers: dict[str, str], status: int
) -> None:
    browser = shared_api.browser(name)
    path = f"{NODES}/set-enabled?name=runtime-01&enabled=false"

    answer = browser.post(path, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert answer.json()["message"]


def test_no_answer_holds_a_secret(page: Browser, shared_api: ApiProcess) -> None:
    for path in (f"{NODES}/list", f"{NODES}/placements", "/admin/nodes-admin.html"):
        answer = page.get(path)
        shown = answer.text + str(answer.headers)
        assert not [secret for secret in SECRETS.values() if secret in shown]


class _Broken(BaseHTTPRequestHandler):
    """A Deploy, or a proxy before it, that answers no JSON."""

    def do_GET(self) -> None:
        self.send_response(502)
        self.end_headers()
        self.wfile.write(b"<html>bad gateway</html>")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def broken_deploy() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Broken)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_deploy_that_is_away_or_broken_is_said_in_json(
    shared_api: ApiProcess, broken_deploy: str
) -> None:
    said = {}
    for name, url in (("away", "http://127.0.0.1:1"), ("broken", broken_deploy)):
        shared_api.stop()
        shared_api.start(API_DEPLOY_URL=url)
        answer = shared_api.browser("ada").get(f"{NODES}/list")
        assert (answer.status_code, answer.json()["code"]) == (503, 503)
        assert answer.headers["Retry-After"]
        said[name] = answer.json()["message"]
    shared_api.stop()
    shared_api.start()

    assert "does not answer" in said["away"]
    assert "502" in said["broken"]
